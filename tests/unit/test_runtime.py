"""A worker process' own runtime, with what it rests on gone: the account, the broker, Redis."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from worker import app
from worker.bootstrap import Desk
from worker.domain.errors import Unreachable
from worker.domain.states import JobState, Waiting
from worker.ports import Job
from worker.runtime import Runtime
from worker.services import control
from worker.services.submit import DeleteProjects
from worker.store import presence
from worker.testing.bell import SilentBell

ACCOUNT = """\
[accounts.acme]
provider = "zoho_books"
base_url = "http://127.0.0.1:1/books/v4"
organization_id = "10234695"
token = "env:BULKDEL_TEST_TOKEN"
"""
NOW = timedelta(0)
LATER = timedelta(seconds=5)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bulkdel.toml"
    path.write_text(ACCOUNT, encoding="utf-8")
    return path


@pytest.fixture
def environment(sqlite_url: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings under which nothing answers: no Redis, and so no broker and no gate."""
    for name, value in {
        "BULKDEL_DATABASE_URL": sqlite_url,
        "BULKDEL_CONFIG": str(config),
        "BULKDEL_REDIS_URL": "redis://127.0.0.1:1/0",
        "BULKDEL_TEST_TOKEN": "t",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def desk(environment: None) -> Iterator[Desk]:
    assert environment is None
    opened = Desk.open(os.environ, SilentBell())
    yield opened
    opened.db.dispose()


@pytest.fixture
def job(desk: Desk) -> Job:
    request = DeleteProjects(account="acme", reason="closed", cascade=("none",))
    return desk.submit(request, [(1, "42"), (2, "43")]).job


def eventually(look: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not look():
        assert time.monotonic() < end
        Event().wait(0.02)


def test_a_cancelled_job_ends_although_its_account_left_the_configuration(
    desk: Desk, job: Job, config: Path
) -> None:
    runtime = Runtime(desk, SilentBell())
    config.write_text(ACCOUNT.replace("acme", "other"), encoding="utf-8")
    desk.jobs.change(job.id, control.cancel(actor="ada"))

    runtime.work("acme")

    runtime.close()
    ended = desk.jobs.get(job.id)
    assert ended.state is JobState.CANCELLED
    assert desk.jobs.counts(job.id).by_outcome == {"unprocessed": 2}


def test_a_job_whose_account_left_the_configuration_says_so(
    desk: Desk, job: Job, config: Path
) -> None:
    runtime = Runtime(desk, SilentBell())
    config.write_text(ACCOUNT.replace("acme", "other"), encoding="utf-8")

    runtime.work("acme")

    runtime.close()
    waiting = desk.jobs.get(job.id).waiting_on
    assert waiting is not None
    assert waiting.code is Waiting.CREDENTIALS
    assert "account acme is not in bulkdel.toml of worker@" in waiting.sentence


def test_a_process_whose_database_is_gone_hangs_up_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(desk, SilentBell())

    def away(*_: object) -> None:
        raise Unreachable("the database cannot be used")

    monkeypatch.setattr(presence, "gone", away)

    runtime.close()

    assert runtime._loop.is_closed()


@pytest.fixture
def own_runtime(environment: None) -> Iterator[None]:
    """The runtime of this process is made by the test, and ended with it."""
    assert environment is None
    app.runtime.cache_clear()
    yield
    if app.runtime.cache_info().currsize:
        app.runtime().close()
    app.runtime.cache_clear()


@pytest.mark.usefixtures("own_runtime")
def test_without_a_broker_the_sweep_works_accounts_itself(desk: Desk, job: Job) -> None:
    app._SweepBell().ring("acme", NOW)

    eventually(lambda: _waits_for(desk, job) is Waiting.GATE)
    assert desk.jobs.counts(job.id).open == 2


@pytest.mark.usefixtures("own_runtime")
def test_without_a_broker_a_cancelled_job_ends_all_the_same(desk: Desk, job: Job) -> None:
    desk.jobs.change(job.id, control.cancel(actor="ada"))

    app._SweepBell().ring("acme", NOW)

    eventually(lambda: desk.jobs.get(job.id).state is JobState.CANCELLED)


@pytest.mark.usefixtures("own_runtime")
def test_the_sweep_of_a_worker_without_a_broker_begins_what_is_due(desk: Desk, job: Job) -> None:
    app.runtime().sweep(timedelta(seconds=10))

    eventually(lambda: _waits_for(desk, job) is Waiting.GATE)


@pytest.mark.usefixtures("own_runtime")
def test_what_is_due_later_is_not_begun_before(desk: Desk, job: Job) -> None:
    app._SweepBell().ring("acme", LATER)

    assert _waits_for(desk, job) is not Waiting.GATE


def _waits_for(desk: Desk, job: Job) -> Waiting | None:
    waiting = desk.jobs.get(job.id).waiting_on
    return waiting.code if waiting else None
