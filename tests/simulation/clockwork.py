"""One event loop for all simulated processes: virtual time, no threads, and death at any await.

Time passes only when nothing else can be done. What a slice runs in a thread runs here as one
step at a drawn moment, so that threads of several processes interleave in a way the seed decides.
A process that has died hangs at its next await for ever, as after kill -9.
"""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

START = datetime(2026, 11, 21, 10, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Process:
    """One simulated worker process."""

    number: int
    is_dead: bool = False
    deaths: list[str] = field(default_factory=list)

    @property
    def owner(self) -> str:
        return f"worker@sim:{self.number}"


HERE: ContextVar[Process | None] = ContextVar("process", default=None)
"""The process whose code is running; None: the world around them."""


class _Jumping(selectors.DefaultSelector):
    """Waits by moving the clock."""

    loop: "Clockwork"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout:
            self.loop.moved += timeout
        return super().select(0)


class Clockwork(asyncio.SelectorEventLoop):
    """The loop; `rng` draws every delay and every death."""

    def __init__(self, rng: Random, *, death: float) -> None:
        selector = _Jumping()
        selector.loop = self
        self.moved = 0.0
        self.rng = rng
        self.death = death
        self.trace: list[str] = []
        self.disturbed = 0  # deaths, and steps that took longer than a lease
        super().__init__(selector)
        self.set_exception_handler(lambda _, context: self.problems.append(context))
        self.problems: list[Mapping[str, Any]] = []

    def time(self) -> float:
        return self.moved

    def now(self) -> datetime:
        """The instant, as database and gate have it."""
        return START + timedelta(seconds=self.moved)

    def note(self, text: str) -> None:
        """A line of the trace that a failing seed prints."""
        process = HERE.get()
        who = "world" if process is None else f"p{process.number}"
        self.trace.append(f"{self.moved:9.3f} {who:6} {text}")

    def delay(self) -> float:
        """How long a step takes: mostly a moment, now and then longer than a lease."""
        drawn = self.rng.random()
        if drawn < 0.0015:
            self.disturbed += 1
            return self.rng.uniform(20, 60)  # frozen, or a very slow disk
        return self.rng.uniform(0, 0.002) if drawn < 0.9 else self.rng.uniform(0, 0.3)

    def dies(self, at: str) -> bool:
        """Whether the process that is running is dead, or dies at this place."""
        process = HERE.get()
        if process is None:
            return False
        if not process.is_dead and self.rng.random() < self.death:
            process.is_dead = True
            self.disturbed += 1
            self.note(f"dies at {at}")
        return process.is_dead

    async def step(self, what: str) -> None:
        """An await at which a process can die."""
        if self.dies(f"before {what}"):
            await self.create_future()
        await asyncio.sleep(self.delay())
        if self.dies(f"after {what}"):
            await self.create_future()

    def run_in_executor(  # type: ignore[override]  # what asyncio.to_thread asks for
        self,
        _executor: object,
        call: Callable[..., Any],
        *args: Any,  # noqa: ANN401  any call
    ) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = self.create_future()
        name = _name_of(call)
        if not self.dies(f"before {name}"):
            self.call_later(self.delay(), self._run, future, call, args, name)
        return future

    def _run(
        self,
        future: "asyncio.Future[Any]",
        call: Callable[..., Any],
        args: tuple[Any, ...],
        name: str,
    ) -> None:
        process = HERE.get()
        if future.cancelled() or (process is not None and process.is_dead):
            return  # its thread died with it: nothing was committed
        try:
            result = call(*args)
        except BaseException as error:  # noqa: BLE001  it belongs to whoever awaits it
            self.note(f"{name} raised {type(error).__name__}")
            if not self.dies(f"after {name}"):
                future.set_exception(error)
            return
        self.note(name)
        if not self.dies(f"after {name}"):
            self.call_later(self.delay() / 4, _hand_over, future, result, process)


def _hand_over(future: "asyncio.Future[Any]", result: object, process: Process | None) -> None:
    if not future.done() and not (process is not None and process.is_dead):
        future.set_result(result)


def _name_of(call: Callable[..., Any]) -> str:
    # asyncio.to_thread wraps what it runs: partial(context.run, function, *args).
    inner = getattr(call, "args", (call,))[0]
    return str(getattr(inner, "__qualname__", inner))
