"""The calls of a slice that are under way: each with its permit, and behind its intent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.domain.calls import Answer, Call
from worker.domain.limits import Permit
from worker.domain.outcomes import Verdict
from worker.ports import Job
from worker.services.choose import Work
from worker.services.tools import Tools


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flight:
    """A call that is under way, its permit, and its task."""

    work: Work
    job: Job
    permit: Permit
    task: asyncio.Task[Answer]
    known: Mapping[int, frozenset[tuple[str, str]]]  # planned children by project item


@dataclass(slots=True)
class Flights:
    """Calls from their start until they are taken in."""

    tools: Tools
    started: int = 0
    _open: dict[Flight, None] = field(default_factory=dict)  # in the order of their start
    _back: list[Flight] = field(default_factory=list)  # those of them that nobody took in yet
    _awaited: int = 0  # so many back end the wait
    _reached: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def start(
        self,
        work: Work,
        permit: Permit,
        job: Job,
        *,
        known: Mapping[int, frozenset[tuple[str, str]]],
        renewed: float,
    ) -> None:
        """Send a call whose intent was committed with the lease as `renewed`."""
        task = asyncio.create_task(self._send(work.call, renewed))
        flight = Flight(work=work, job=job, permit=permit, task=task, known=known)
        self._open[flight] = None
        task.add_done_callback(lambda _: self._came_back(flight))
        self.started += 1

    async def _send(self, call: Call, renewed: float) -> Answer:
        """Make the call, unless it could still be under way when the lease has run out.

        So a process that was frozen after its commit sends nothing behind the next holder's back.
        """
        left = self.tools.lease.total_seconds() - (self.tools.clock() - renewed)
        if left < self.tools.facts.call_timeout.total_seconds():
            said = "not sent: this worker stood still for too long"
            return Answer(verdict=Verdict.NOT_SENT, error_class="stale", message=said)
        return await self.tools.provider.perform(call)

    async def landed(self, *, within: float, patience: float, share: float) -> list[Flight]:
        """Wait for the first call to come back (seconds), and for a few more of its wave.

        Returns those that are back, in the order of their start.

        One commit for many costs little more than one for one. For the others it waits no longer
        than `patience` (seconds) and this share of the time that the slowest so far took.
        """
        if not self._back:
            await self._until(1, within)
        if self._back:
            slowest = max(flight.task.result().duration for flight in self._back)
            await self._until(len(self._open), min(patience, slowest.total_seconds() * share))
        back, self._back = set(self._back), []
        return [flight for flight in self._open if flight in back]

    async def _until(self, count: int, within: float) -> None:
        """Wait until so many calls are back, but no longer than this (seconds)."""
        if len(self._back) >= count:
            return
        loop = asyncio.get_running_loop()
        self._awaited, self._reached = count, loop.create_future()
        timer = loop.call_later(within, self._reach)
        try:
            await self._reached
        finally:
            timer.cancel()
            self._reached = None

    def _reach(self) -> None:
        if self._reached is not None and not self._reached.done():
            self._reached.set_result(None)

    def _came_back(self, flight: Flight) -> None:
        self._back.append(flight)
        if len(self._back) >= self._awaited:
            self._reach()

    def forget(self, flight: Flight) -> None:
        """The call was taken in."""
        del self._open[flight]

    async def last(self) -> list[tuple[Flight, Answer]]:
        """Wait for all that are still under way, and forget them."""
        flying, self._open = self._open, {}
        return [(flight, await flight.task) for flight in flying]


def was_sent(answer: Answer) -> bool:
    """Whether the provider may have counted this call."""
    return answer.verdict is not Verdict.NOT_SENT and answer.error_class != "credentials"
