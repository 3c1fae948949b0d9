"""Keeps the processes of `bulkdel up` running in the foreground, and ends them all together."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType

from worker.processes import CannotStart, Child, ChildSpec

STOPPED = 0
GAVE_UP = 9
STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the supervisor waits, and how often it tries again."""

    grace: timedelta = timedelta(seconds=20)  # for children asked to end
    last_grace: timedelta = timedelta(seconds=5)  # then, for those that outlive the others
    first: timedelta = timedelta(seconds=1)  # before the first restart; doubled every time
    longest: timedelta = timedelta(seconds=30)
    quick_crashes: int = 5  # so many ...
    within: timedelta = timedelta(minutes=1)  # ... in this time, and we give up


PATIENT = Patience()


def restart_after(crashes: Sequence[float], patience: Patience) -> float | None:
    """Seconds until the next start, None to give up.

    `crashes` are the times of those since the child last ran well, the newest last.
    """
    within = patience.within.total_seconds()
    if sum(crashes[-1] - at <= within for at in crashes) >= patience.quick_crashes:
        return None
    doubled = patience.first.total_seconds() * 2.0 ** min(len(crashes) - 1, 32)
    return min(doubled, patience.longest.total_seconds())


def run(
    children: Sequence[ChildSpec], *, say: Callable[[str], None], patience: Patience = PATIENT
) -> int:
    """Run the children until Ctrl-C, SIGTERM or SIGHUP, or until one cannot be kept alive.

    Returns 0 after a wanted stop and 9 after giving up; nothing is left running either way.
    Call it from the main thread.
    """
    supervisor = _Supervisor(children, say, patience)
    with _woken_by_signals() as wakeups:
        try:
            return supervisor.run(wakeups)
        finally:
            supervisor.kill_all()


@dataclass(slots=True, kw_only=True)
class _Kept:
    """One child over all its lives."""

    spec: ChildSpec
    child: Child | None = None
    started_at: float = 0.0
    start_at: float | None = 0.0  # None: not to be started
    crashes: list[float] = field(default_factory=list)
    asked_to_end: bool = False


class _Supervisor:
    def __init__(
        self, children: Sequence[ChildSpec], say: Callable[[str], None], patience: Patience
    ) -> None:
        self._all = [_Kept(spec=spec) for spec in children]
        self._say = say
        self._patience = patience
        self._exit_code: int | None = None  # known once we are stopping
        self._kill_at: float | None = None

    def run(self, wakeups: int) -> int:
        while True:
            self._tend()
            if self._exit_code is not None and not self._living():
                self._say("everything has stopped")
                return self._exit_code
            if STOP_SIGNALS & _await(wakeups, self._seconds_to_next()):
                self._stop_was_asked()

    def kill_all(self) -> None:
        for child in self._living():
            child.kill()

    def _tend(self) -> None:
        for kept in self._all:
            self._look_at(kept)
        for kept in self._all:
            if self._exit_code is None and kept.start_at is not None:
                self._start_if_due(kept, kept.start_at)
        if self._exit_code is not None:
            self._press_on()

    def _look_at(self, kept: _Kept) -> None:
        if kept.child is None or (code := kept.child.ended()) is None:
            return
        kept.child = None
        if self._exit_code is None:
            self._crashed(kept, f"ended by itself ({_in_words(code)})")

    def _start_if_due(self, kept: _Kept, due: float) -> None:
        if due > time.monotonic():
            return
        kept.start_at = None
        kept.started_at = time.monotonic()
        try:
            kept.child = kept.spec.start()
        except CannotStart as error:
            self._crashed(kept, f"did not start: {error}")
        else:
            self._say(f"{kept.spec.name} runs (process {kept.child.pid})")

    def _crashed(self, kept: _Kept, what: str) -> None:
        now = time.monotonic()
        if now - kept.started_at > self._patience.within.total_seconds():
            kept.crashes.clear()
        kept.crashes.append(now)
        delay = restart_after(kept.crashes, self._patience)
        if delay is not None:
            kept.start_at = now + delay
            self._say(f"{kept.spec.name} {what}; it is started again in {delay:g} s")
            return
        log = "" if kept.spec.log is None else f"; see {kept.spec.log}"
        self._say(f"{kept.spec.name} {what}, {len(kept.crashes)} times: giving up{log}")
        self._begin_stop(GAVE_UP)

    def _stop_was_asked(self) -> None:
        if self._exit_code is None:
            self._say("stopping; Ctrl-C again ends everything at once")
            self._begin_stop(STOPPED)
        else:
            self._say("ending everything at once")
            self.kill_all()

    def _begin_stop(self, exit_code: int) -> None:
        if self._exit_code is None:
            self._exit_code = exit_code

    def _press_on(self) -> None:
        """One step of the stop: those that are used by others come last."""
        living = [kept for kept in self._all if kept.child is not None]
        first = [kept for kept in living if not kept.spec.outlives]
        grace = self._patience.grace if first else self._patience.last_grace
        now_ending = first or living
        unasked = [kept for kept in now_ending if not kept.asked_to_end]
        if unasked:
            self._kill_at = time.monotonic() + grace.total_seconds()
        for kept in unasked:
            kept.asked_to_end = True
            if kept.child is not None:
                kept.child.terminate()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._kill_late(now_ending)

    def _kill_late(self, late: Sequence[_Kept]) -> None:
        for kept in late:
            if kept.child is not None:
                self._say(f"{kept.spec.name} did not stop in time: killed")
                kept.child.kill()

    def _living(self) -> list[Child]:
        return [kept.child for kept in self._all if kept.child is not None]

    def _seconds_to_next(self) -> float | None:
        if self._exit_code is not None:
            due = [] if self._kill_at is None else [self._kill_at]
        else:
            due = [kept.start_at for kept in self._all if kept.start_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


@contextlib.contextmanager
def _woken_by_signals() -> Iterator[int]:
    """A descriptor on which every signal of interest arrives as a byte, its number."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    earlier_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    wanted = [*STOP_SIGNALS, signal.SIGCHLD]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        wanted.remove(signal.SIGHUP)
    earlier = {number: signal.signal(number, _noted) for number in wanted}
    try:
        yield reader
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(earlier_wakeup)
        os.close(reader)
        os.close(writer)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte on the descriptor says it all; but without a handler there would be no byte."""


def _await(wakeups: int, seconds: float | None) -> set[int]:
    """The numbers of the signals that came; empty when the time is over."""
    ready, _, _ = select.select([wakeups], [], [], seconds)
    return set(os.read(wakeups, 4096)) if ready else set()
