"""The bell of a command: it rings beside it, and is waited for as long as a broker may take."""

import sys
from threading import Event
from types import ModuleType

import pytest

from worker.cli.desk import _LONGEST_RING, LateBell
from worker.config.settings import Settings

IMPORT_TAKES = _LONGEST_RING + 0.5


class _Slow(ModuleType):
    """`worker.app` on a machine that has much to do: its import takes longer than a ring may."""

    def __init__(self) -> None:
        super().__init__("worker.app")
        self.rung: list[str] = []

    def __getattr__(self, name: str) -> object:
        if name != "CeleryBell":
            raise AttributeError(name)
        Event().wait(IMPORT_TAKES)
        return lambda _settings: self

    def ring(self, account: str, _after: object) -> None:
        self.rung.append(account)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> _Slow:
    module = _Slow()
    monkeypatch.setitem(sys.modules, "worker.app", module)
    return module


def test_a_ring_is_not_lost_to_the_time_its_import_takes(slow: _Slow) -> None:
    bell = LateBell(Settings.load({}))

    bell.ring("acme")
    bell.finish()

    assert slow.rung == ["acme"]
