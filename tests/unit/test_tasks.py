"""What becomes of a submission by message that cannot be kept now."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery.exceptions import Retry

from worker.app import runtime
from worker.domain.errors import Unreachable
from worker.tasks import AGAIN_AFTER, submit

REQUEST = {"account": "acme", "reason": "closed", "key": "k", "ids": ["42"], "cascade": ["none"]}


@dataclass
class Sent:
    """A task under way, as Celery hands it to its function."""

    request: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(origin="billing"))
    again: list[tuple[float, Exception]] = field(default_factory=list)

    def retry(self, *, countdown: float, exc: Exception) -> Retry:
        self.again.append((countdown, exc))
        return Retry()


@pytest.fixture
def _no_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BULKDEL_DATABASE_URL", f"sqlite:///{tmp_path}/none.sqlite")
    monkeypatch.setenv("BULKDEL_CONFIG", str(tmp_path / "bulkdel.toml"))
    runtime.cache_clear()
    yield
    with suppress(Unreachable):  # it cannot say that it is gone
        runtime().close()
    runtime.cache_clear()


@pytest.mark.usefixtures("_no_tables")
def test_a_submission_is_sent_again_while_the_database_is_away() -> None:
    sent = Sent()

    with pytest.raises(Retry):
        submit.run.__func__(sent, REQUEST)  # type: ignore[attr-defined]  # bound to the task

    ((after, why),) = sent.again
    assert timedelta(seconds=after) == AGAIN_AFTER
    assert isinstance(why, Unreachable)
    assert submit.max_retries is None
