"""A worker that lost its broker wakes itself."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from worker import app, hearing
from worker.config.settings import Settings

SOON = timedelta(seconds=1)


class Runtime:
    def __init__(self) -> None:
        self.begun: list[tuple[str, timedelta]] = []

        self.swept = threading.Event()

    def begin_later(self, account: str, after: timedelta) -> None:
        self.begun.append((account, after))

    def sweep_after_loss(self, _every: timedelta) -> None:
        self.swept.set()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts for which a message went out; every one does."""
    accounts: list[str] = []

    def send(_task: str, account: str, _after: timedelta) -> bool:
        accounts.append(account)
        return True

    monkeypatch.setattr(app, "send", send)
    return accounts


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    there = Runtime()
    monkeypatch.setattr(app, "runtime", lambda: there)
    return there


@pytest.fixture
def step() -> Iterator[hearing.Hearing]:
    yield hearing.Hearing(None)
    hearing._began.clear()
    hearing._deaf.clear()
    hearing._at_loss.clear()


@pytest.fixture
def bell() -> app.CeleryBell:
    return app.CeleryBell(Settings.load({}))


def test_a_worker_that_hears_is_sent_a_message(
    bell: app.CeleryBell, step: hearing.Hearing, sent: list[str], own: Runtime
) -> None:
    step.start(None)

    bell.ring("acme", SOON)

    assert (sent, own.begun) == (["acme"], [])


def test_a_worker_that_hears_nothing_wakes_itself(
    bell: app.CeleryBell, step: hearing.Hearing, sent: list[str], own: Runtime
) -> None:
    step.start(None)
    step.stop(None)

    bell.ring("acme", SOON)

    assert (sent, own.begun) == ([], [("acme", SOON)])


def test_a_worker_that_hears_again_is_sent_messages_again(
    bell: app.CeleryBell, step: hearing.Hearing, sent: list[str], own: Runtime
) -> None:
    step.start(None)
    step.stop(None)
    step.start(None)

    bell.ring("acme", SOON)

    assert (sent, own.begun) == (["acme"], [])


def test_a_worker_that_lost_its_messages_sweeps_at_once(
    step: hearing.Hearing, own: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_repeated", [object()])
    hearing.at_loss(lambda: app._sweep_after_loss(SOON))

    step.start(None)
    assert not own.swept.is_set()
    step.stop(None)

    assert own.swept.wait(5)


def test_a_worker_that_ends_sweeps_no_more(
    step: hearing.Hearing, own: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_repeated", [])
    hearing.at_loss(lambda: app._sweep_after_loss(SOON))

    step.start(None)
    step.stop(None)

    assert not own.swept.wait(0.2)


def test_a_command_never_works_an_account_itself(
    bell: app.CeleryBell, own: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "send", lambda *_: False)

    bell.ring("acme", SOON)

    assert own.begun == []


def test_celery_tells_the_step() -> None:
    assert hearing.Hearing in app.app.steps["consumer"]
