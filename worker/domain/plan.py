"""The frozen plan: its hash, its word, its price and what was found on the way."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from unicodedata import normalize

from worker.domain.calls import PROJECT, Seen
from worker.domain.limits import Purse
from worker.domain.text import same_id

WORD_DIGITS = 4
NAMELESS = "it shows no name, and some names are protected"


class FindingLevel(StrEnum):
    """What a finding means for the plan."""

    INFO = "info"  # worth reading
    WARNING = "warning"  # look at this before you confirm
    ASK = "ask"  # a person alone may confirm it, and by its word
    REFUSAL = "refusal"  # the plan cannot be confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the planner noticed, and what to do about it."""

    level: FindingLevel
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Ids and name patterns that no job may delete. Patterns are shell patterns, case counts.

    A letter with its accent is the same whether it is written as one character or as two.
    """

    ids: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()

    def why(self, seen: Seen) -> str:
        """Which rule spares the object; empty if none does.

        A project without a name cannot be held against the patterns, so it is spared by them.
        """
        if same_id(seen.target.external_id) in _spelled(self.ids):
            return f"protected id {seen.target.external_id}"
        if self.names and not seen.name and seen.target.kind == PROJECT:
            return NAMELESS
        name = normalize("NFC", seen.name)
        for pattern in self.names:
            if name and fnmatchcase(name, normalize("NFC", pattern)):
                return f"protected name pattern {pattern}"
        return ""

    def why_below(self, seen: Seen) -> str:
        """Which rule spares a child through its project; empty if none does."""
        parent = seen.target.parent_external_id
        is_spared = bool(parent) and same_id(parent) in _spelled(self.ids)
        return f"its project {parent} has a protected id" if is_spared else ""


@lru_cache(maxsize=64)
def _spelled(ids: frozenset[str]) -> frozenset[str]:
    return frozenset(map(same_id, ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the plan will cost. Calls are those still to make; shares are of one day's quota."""

    calls: int
    by_endpoint: Mapping[str, int]
    quota_share: float | None
    seconds: float


class PlanHash:
    """SHA-256 over the plan's items in order; feed it, then read `digest`."""

    def __init__(self, header: str) -> None:
        self._hash = hashlib.sha256(header.encode())

    def feed(self, rows: Iterable[tuple[int, str, str, str]]) -> None:
        """Add items as (position, kind, external_id, parent_external_id)."""
        for row in rows:
            self._hash.update(("\n" + "\x1f".join(map(str, row))).encode())

    @property
    def digest(self) -> str:
        """64 hex digits."""
        return self._hash.hexdigest()


def chunked(digest: str, size: int) -> str:
    """The hash of the same plan if it goes by chunks of `size`: another price, another word."""
    return hashlib.sha256(f"{digest}\x1fby chunks of {size}".encode()).hexdigest()


def word_of(count: int, account: str, digest: str) -> str:
    """What a person types to confirm: `delete 1284 acme 9f3a`."""
    return f"delete {count} {account} {digest[-WORD_DIGITS:]}"


def price(
    by_endpoint: Mapping[str, int], purses: Sequence[Purse], *, latency: timedelta, now: datetime
) -> Price:
    """Price calls against the purses they are taken from.

    The time is the longest of: what the places in flight let through at `latency` a call, a
    whole window for each full share of it beyond the first, and for what is beyond our share of
    today the time to the next reset and a day for each full share after it.
    """
    calls = sum(by_endpoint.values())
    seconds, shares = 0.0, []
    for purse in purses:
        seconds = max(seconds, calls * latency.total_seconds() / max(purse.in_flight, 1))
        limits = zip(purse.windows, purse.window_limits(), strict=True)
        for window, full in limits:
            seconds = max(seconds, (calls - 1) // full * window.per.total_seconds())
        today = purse.day_limit()
        if today and purse.per_day:
            shares.append(calls / purse.per_day)
        if today and calls > today:
            reset = (purse.next_reset(now) - now).total_seconds()
            seconds = max(seconds, reset + ((calls - 1) // today - 1) * 86_400.0)
    return Price(
        calls=calls,
        by_endpoint=dict(by_endpoint),
        quota_share=round(max(shares), 4) if shares else None,
        seconds=round(seconds, 1),
    )
