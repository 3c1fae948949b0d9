"""The desk as commands open it: by the environment, with a bell."""

import os
from concurrent.futures import Future
from datetime import timedelta
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from worker.bootstrap import Desk
    from worker.config.settings import Settings
    from worker.ports import DoorBell
    from worker.ratelimit.redis_gate import RedisGate


_LONGEST_RING = 2.0


class SilentBell:
    """Rings nowhere: the workers' sweeps find the work."""

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        """Do nothing."""


class LateBell:
    """The workers' bell, made when it is first rung: what was refused before costs no import.

    It rings beside the command. A broker that does not answer holds nobody up for longer than
    two seconds: a ring that is lost is made good by the next sweep.
    """

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._ringing: list[tuple[Thread, Future[float]]] = []

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        """Ask for a slice of this account."""
        began: Future[float] = Future()
        ringing = Thread(target=self._ring, args=(account, after, began), daemon=True)
        self._ringing.append((ringing, began))
        ringing.start()

    def finish(self) -> None:
        """Let rings come to their end before the program does, within their time."""
        for ringing, began in self._ringing:
            # The time is the broker's: on a busy machine the import alone may take longer.
            ringing.join(max(began.result() + _LONGEST_RING - monotonic(), 0))

    def _ring(self, account: str, after: timedelta, began: Future[float]) -> None:
        try:
            from worker.app import CeleryBell
            from worker.telemetry import configure
        finally:
            began.set_result(monotonic())
        if self._settings.log_level != "debug":
            configure("error")  # a lost doorbell is no news to a person
        CeleryBell(self._settings).ring(account, after)


def open_desk(*, changes: bool = False) -> "Desk":
    """The desk by the environment. Who only reads opens it without a broker.

    The bell may be handed in as the context's `obj`.
    """
    from worker.bootstrap import Desk
    from worker.config.settings import Settings

    context = click.get_current_context()
    bell: DoorBell | None = context.obj
    if bell is None and changes:
        late = bell = LateBell(Settings.load(os.environ))
        context.call_on_close(late.finish)
    desk = Desk.open(os.environ, bell or SilentBell())
    context.call_on_close(desk.close)
    return desk


def gate_of(desk: "Desk") -> "RedisGate":
    """The gate all workers of this database share; Unreachable if no Redis is known."""
    from worker.ratelimit.redis_gate import RedisGate
    from worker.store.presence import deployment
    from worker.wiring import addresses

    url = addresses(desk.settings).redis
    return RedisGate.at(url, prefix=f"bulkdel:{deployment(desk.db)}")
