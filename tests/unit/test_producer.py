from datetime import timedelta
from pathlib import Path

import pytest

from worker.domain.errors import InvalidInput, KeyReused
from worker.producer import DeleteProjects, submit

CONFIG = """\
[accounts.acme]
provider = "zoho_books"
base_url = "http://127.0.0.1:1/books/v4"
organization_id = "10234695"
token = "env:BULKDEL_TEST_TOKEN"
"""


class HeardBell:
    """A bell that remembers who rang."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        assert after == timedelta(0)
        self.rung.append(account)


@pytest.fixture
def bell(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HeardBell:
    (tmp_path / "bulkdel.toml").write_text(CONFIG)
    monkeypatch.setenv("BULKDEL_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("BULKDEL_CONFIG", str(tmp_path / "bulkdel.toml"))
    return HeardBell()


def a_request(key: str = "run-7") -> DeleteProjects:
    return DeleteProjects(account="acme", reason="closed", cascade=["none"], key=key)


def test_a_job_is_kept_and_the_bell_rung(bell: HeardBell) -> None:
    job_id = submit(a_request(), ["1", "2"], bell=bell)

    assert job_id.startswith("j-")
    assert bell.rung == ["acme"]


def test_the_same_key_gives_the_same_job_and_never_another_request(bell: HeardBell) -> None:
    first = submit(a_request(), ["1", "2"], bell=bell)

    assert submit(a_request(), iter(["1", "2"]), bell=bell) == first
    with pytest.raises(KeyReused):
        submit(a_request(), ["1", "3"], bell=bell)


def test_no_ids_never_mean_all(bell: HeardBell) -> None:
    with pytest.raises(InvalidInput, match="no id"):
        submit(a_request(), [], bell=bell)

    assert bell.rung == []


def test_a_request_may_carry_its_ids_and_use_the_words_of_the_command(bell: HeardBell) -> None:
    asked = DeleteProjects(
        account="acme", reason="closed", cascade="none", idempotency_key="run-7", ids=["1", "2"]
    )

    assert submit(asked, bell=bell) == submit(a_request(), ["1", "2"], bell=bell)


def test_one_text_is_no_list_of_ids(bell: HeardBell) -> None:
    with pytest.raises(InvalidInput, match="a list of texts"):
        submit(a_request(), "12", bell=bell)
