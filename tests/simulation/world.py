"""The provider of a simulation: what it has, what it was asked, and how its answers go wrong."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulation.clockwork import HERE, Clockwork
from worker.domain.calls import PROJECT, Action, Answer, Call, Reading, Seen, Target
from worker.domain.outcomes import Verdict
from worker.providers.zoho_books import CATALOGUE

DEADLINE = 15.0
LOST = ("ambiguous before", "ambiguous after", "not sent", "unavailable", "throttled", "refused")


@dataclass(slots=True)
class Made:
    """One deletion as the provider saw it."""

    target: Target
    began: float
    process: int
    ended: float | None = None
    had_effect: bool = False


@dataclass(slots=True)
class World:
    """Projects with their children, and what is done to them."""

    clock: Clockwork
    has_intent: Callable[[Call], bool]
    trouble: float
    there: dict[str, dict[tuple[str, str], bool]] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    refused: set[Target] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    calls: int = 0

    async def perform(self, call: Call) -> Answer:
        """The Provider port."""
        clock, process = self.clock, HERE.get()
        if clock.dies("before sending"):
            await clock.create_future()
        if not self.has_intent(call):
            self.violations.append(f"{call} left without an intent")
        self.calls += 1
        arrived: asyncio.Future[Answer] = clock.create_future()
        # From here on the call is the network's: it goes on whatever becomes of its process.
        wait = clock.rng.uniform(0.02, 0.4)
        if clock.rng.random() < 0.02:
            wait = clock.rng.uniform(5, DEADLINE + 3)
        number = 0 if process is None else process.number
        one = None
        if call.action is Action.DELETE:
            one = Made(call.targets[0], clock.moved, number)
            self.made.append(one)
        clock.note(f"sends {_told(call)}")
        clock.call_later(wait, self._arrive, call, one, arrived)
        try:
            async with asyncio.timeout(DEADLINE):
                answer = await arrived
        except TimeoutError:
            answer = Answer(verdict=_lost(call), error_class="timeout")
        if clock.dies("after the answer"):
            await clock.create_future()
        clock.note(f"hears {answer.verdict} of {_told(call)}")
        return answer

    async def aclose(self) -> None:
        """Nothing is held."""

    def _arrive(self, call: Call, one: Made | None, arrived: "asyncio.Future[Answer]") -> None:
        answer = self._answer(call, one)
        if one is not None:
            one.ended = self.clock.moved
        if not arrived.done():
            arrived.set_result(answer)

    def _answer(self, call: Call, one: Made | None) -> Answer:
        rng = self.clock.rng
        if rng.random() >= self.trouble:
            return self._truth(call, one)
        kind = rng.choice(LOST)
        if kind == "throttled":
            wait = timedelta(seconds=rng.uniform(0, 5))
            return Answer(verdict=Verdict.THROTTLED, http_status=429, retry_after=wait)
        if kind == "not sent":
            return Answer(verdict=Verdict.NOT_SENT, error_class="refused")
        if one is None or kind == "unavailable":
            return Answer(verdict=Verdict.UNAVAILABLE, http_status=503)
        if kind == "refused":
            self.refused.add(one.target)
        if kind == "ambiguous after":
            self._truth(call, one)
        return (
            self._truth(call, one)
            if kind == "refused"
            else Answer(verdict=Verdict.AMBIGUOUS, error_class="reset")
        )

    def _truth(self, call: Call, one: Made | None) -> Answer:
        if call.action is Action.LIST:
            shown = tuple(_project(own) for own in sorted(self.there))
            return Answer(verdict=Verdict.SEEN, http_status=200, reading=Reading(projects=shown))
        if one is None:
            return self._read(call)
        if one.target in self.refused:
            return Answer(verdict=Verdict.REFUSED, http_status=400, message="invoices first")
        one.had_effect = self._delete(one.target)
        verdict = Verdict.DELETED if one.had_effect else Verdict.ABSENT
        return Answer(verdict=verdict, http_status=200 if one.had_effect else 404)

    def has(self, target: Target) -> bool:
        """Whether it is still there."""
        if target.kind == PROJECT:
            return target.external_id in self.there
        return (target.kind, target.external_id) in self.there.get(target.parent_external_id, {})

    def _delete(self, target: Target) -> bool:
        if target.kind == PROJECT:
            return self.there.pop(target.external_id, None) is not None
        below = self.there.get(target.parent_external_id, {})
        return below.pop((target.kind, target.external_id), None) is not None

    def _read(self, call: Call) -> Answer:
        own = call.targets[0].external_id
        if own not in self.there:
            return Answer(verdict=Verdict.ABSENT, http_status=404)
        children = tuple(
            Seen(target=Target(kind=kind, external_id=child, parent_external_id=own))
            for kind, child in self.there[own]
            if CATALOGUE.kind(kind).source == call.source
        )
        reading = Reading(projects=(_project(own),), children=children)
        return Answer(verdict=Verdict.SEEN, http_status=200, reading=reading)


def _project(own: str) -> Seen:
    return Seen(target=Target(kind=PROJECT, external_id=own), name=own, created="2020-01-01")


def _lost(call: Call) -> Verdict:
    return Verdict.AMBIGUOUS if call.action is Action.DELETE else Verdict.UNAVAILABLE


def _told(call: Call) -> str:
    of = ", ".join(f"{one.kind} {one.external_id}" for one in call.targets)
    return f"{call.action} {of} {call.source if call.action is Action.READ else ''}".strip()
