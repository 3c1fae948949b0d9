"""What a slice works with: the ports, and what the configuration says of its account."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from worker.domain.breakers import Breakers
from worker.domain.calls import Answer
from worker.domain.catalogue import Catalogue
from worker.domain.filters import Filter
from worker.domain.limits import Purse
from worker.domain.options import Option
from worker.domain.plan import Protection
from worker.domain.retry import RetryPolicy
from worker.ports import (
    AccountStore,
    ChunkStore,
    EndStore,
    GuardStore,
    Job,
    PlanStore,
    Provider,
    WorkStore,
)
from worker.ratelimit.port import Gate
from worker.services.control import ConfirmRules

Args = ParamSpec("Args")
Result = TypeVar("Result")


async def off(call: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result:
    """Run a synchronous call in a thread, beside the loop."""
    return await asyncio.to_thread(call, *args, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What the configuration says of an account, as far as its work needs it."""

    name: str
    catalogue: Catalogue
    purses: tuple[Purse, ...]  # its own first
    sharing: dict[str, tuple[str, ...]]  # accounts by purse
    protection: Protection
    max_items: int
    canary_above: int
    canary_percent: float
    canary_least: int
    call_timeout: timedelta
    confirm: ConfirmRules
    max_percent: float | None = None
    max_items_per_day: int | None = None
    canary_hold: timedelta = timedelta(0)
    breakers: Breakers = field(default_factory=Breakers)
    filters: tuple[Filter, ...] = ()  # what `--filter` takes
    options: tuple[Option, ...] = ()  # what `--provider-option` takes
    page_size: int = 200  # projects on a page of the listing
    bulk_size: int = 0  # projects that one bulk delete takes; 0: there is none, or it is off
    shows_all: tuple[tuple[str, str], ...] = ()  # filters by which the proof's listing hides none
    place: str = ""  # where the account leads now
    latency: timedelta = timedelta(milliseconds=300)  # assumed of one call, for the price

    @property
    def in_flight(self) -> int:
        """Calls that may be under way at once."""
        return min(purse.in_flight for purse in self.purses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Everything a slice needs, handed in."""

    facts: AccountFacts
    work: WorkStore
    plans: PlanStore
    ends: EndStore
    chunks: ChunkStore
    accounts: AccountStore
    guards: GuardStore
    gate: Gate
    provider: Provider
    secret: Callable[[], str]  # digest of the account's secret as it is now; "" if missing
    calls_since: Callable[[str, datetime], Sequence[datetime]]  # answered calls of an account
    refusals: Callable[[str, datetime], Sequence[tuple[datetime, Answer]]]  # too many calls
    open_intents: Callable[[str], int]  # calls of an account that may be under way now
    confirm: Callable[[Job], Job]  # a yes given with the submission
    pause: Callable[[str, str], None]  # a job by its id, and why
    clock: Callable[[], float]  # seconds, monotonic
    jitter: Callable[[], float]  # in [0, 1)
    owner: str
    lease: timedelta
    policy: RetryPolicy
