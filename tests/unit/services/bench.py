"""A slice on the bench: all its ports are doubles, and time stands still."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.builders import a_job, an_item, planned, some_facts
from worker.domain.calls import Action, Answer, Call
from worker.domain.retry import RetryPolicy
from worker.ports import Batch, Item, Job
from worker.services.execute import Pulse, run_slice
from worker.services.tools import AccountFacts, Tools
from worker.testing.chunks import NoChunks
from worker.testing.clock import FrozenClock
from worker.testing.gate import CountingGate
from worker.testing.guards import MemoryGuards
from worker.testing.plans import MemoryPlans
from worker.testing.provider import Script, ScriptedProvider
from worker.testing.store import MemoryStore

LEASE = timedelta(seconds=30)


def nothing(_: object) -> None:
    """Take no notice."""


@dataclass(kw_only=True)
class Bench:
    """A slice's tools, open to the test; what is not set is ordinary."""

    script: Script
    jobs: Sequence[Job] = field(default_factory=lambda: [a_job()])
    items: Sequence[Item] = field(default_factory=lambda: [an_item(n) for n in range(1, 4)])
    facts: AccountFacts = field(default_factory=some_facts)
    together: int = 1
    on_call: Callable[[Call], None] = nothing
    on_commit: Callable[[Batch], None] = nothing
    made: Callable[[str, datetime], Sequence[datetime]] = lambda _account, _since: []
    refused: Sequence[tuple[datetime, Answer]] = ()
    secret: str = "one"

    def __post_init__(self) -> None:
        self.clock = FrozenClock()
        self.gate = CountingGate(self.clock.now)
        self.guards = MemoryGuards()
        self.pulse = Pulse()
        self.stopping = asyncio.Event()
        self.store = MemoryStore(
            self.jobs,
            self.items,
            clock=self.clock.now,
            on_commit=self._committed,
        )
        self.plans = MemoryPlans(self.store, planned())
        self.provider = ScriptedProvider(
            self._answer,
            on_call=self._called,
            together=self.together,
        )
        self.tools = Tools(
            facts=self.facts,
            work=self.store,
            plans=self.plans,
            ends=self.store,
            chunks=NoChunks(),
            accounts=self.store,
            guards=self.guards,
            gate=self.gate,
            provider=self.provider,
            secret=lambda: self.secret,
            calls_since=self._made,
            refusals=lambda account, _: self.refused if account == "acme" else (),
            open_intents=self.store.open_intents,
            confirm=lambda job: job,
            pause=self.store.pause,
            clock=self.clock.seconds,
            jitter=lambda: 0.5,
            owner="w1",
            lease=LEASE,
            policy=RetryPolicy(),
        )

    async def work(self) -> timedelta | None:
        """One slice."""
        return await run_slice(self.tools, self.pulse, self.stopping)

    # A test may set these anew once it has a bench to speak of, so they are looked up late.

    def _answer(self, call: Call) -> Answer:
        return self.script(call)

    def _called(self, call: Call) -> None:
        self.on_call(call)

    def _committed(self, batch: Batch) -> None:
        self.on_commit(batch)

    def _made(self, account: str, since: datetime) -> Sequence[datetime]:
        return self.made(account, since)

    @property
    def deleted(self) -> list[str]:
        """The ids that the provider was told to delete, in order."""
        calls = [call for call in self.provider.calls if call.action is Action.DELETE]
        return [call.targets[0].external_id for call in calls]

    @property
    def outcomes(self) -> list[str | None]:
        """How the items stand, in order."""
        return [item.outcome for _, item in sorted(self.store.items.items())]


def always(answer: Answer) -> Script:
    """Every call is answered like this."""
    return lambda _: answer


def in_turn(*answers: Answer) -> Script:
    """One answer after the other; the last one for all that follow."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
