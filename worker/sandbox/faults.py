"""Which request goes wrong, and how: rules, matched in order, repeatable from a seed."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from worker.sandbox.dialect import Call, Route
from worker.sandbox.limits import Count, Seconds

STRICT = ConfigDict(extra="forbid")


class FaultKind(StrEnum):
    """The ways in which an answer can go wrong."""

    ERROR_BEFORE = "error_before"  # an internal error, and nothing was done
    ERROR_AFTER = "error_after"  # an internal error, and all was done
    LOST_BEFORE = "lost_before"  # the connection ends, and nothing was done
    LOST_AFTER = "lost_after"  # the connection ends, and all was done
    GARBAGE = "garbage"  # a 200 with a body nobody can read
    WRONG_TYPE = "wrong_type"  # the right body under the wrong content type
    OVERSIZE = "oversize"  # a body far too long
    REFUSE = "refuse"  # a business rule says no
    THROTTLE = "throttle"  # too many calls, says the provider
    THROTTLE_DAY = "throttle_day"  # too many calls today, says the provider
    UNAUTHORISED = "unauthorised"  # the token is not good any more
    REDIRECT = "redirect"  # go somewhere else
    SLOW = "slow"  # the right answer, late
    STILL_VISIBLE = "still_visible"  # deleted, and reads go on showing it


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Match:
    """Which requests a rule is about; what is not given matches all, `ids` any of a bulk call."""

    method: str | None = None
    path_regex: str | None = None
    page: int | None = None
    organization_id: str | None = None
    kind: str | None = None
    ids: frozenset[str] | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.path_regex or "")
        except re.error as error:
            raise ValueError(f"path_regex: {error}") from error

    def holds(self, call: Call, route: Route, organization_id: str) -> bool:
        """True if the rule is about this request."""
        return (
            self.method in (None, call.method)
            and self.organization_id in (None, organization_id)
            and (self.kind is None or self.kind == route.kind)
            and (self.ids is None or not self.ids.isdisjoint(route.ids or (route.id or "",)))
            and (self.page is None or str(self.page) == call.params.get("page", "1"))
            and (self.path_regex is None or re.search(self.path_regex, call.path) is not None)
        )


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Rule:
    """One fault: for which requests, how often, and its particulars.

    `when` is where the fault stands to the effect (garbage, wrong_type, oversize, slow): "after",
    the default, means the call was carried out first. `first_n` takes the first n matching
    requests, `every_n` each n-th of them; `count` stops after so many hits, `per_id` after so
    many for one path. A `retry_after` is sent as it is; "date+2" becomes the date in 2 seconds.
    """

    kind: FaultKind
    match: Match = Match()
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    first_n: Count | None = None
    count: Count | None = None
    every_n: Count | None = None
    per_id: Count | None = None
    when: Literal["before", "after"] = "after"
    seconds: Seconds = 1.0
    retry_after: float | str | None = None
    status: int | None = None
    code: int | None = None
    text: str | None = None
    location: str = "/login"
    body: Literal["html", "broken", "list", "empty"] = "html"
    size: Annotated[int, Field(ge=1, le=1 << 28)] = 1 << 23
    reset: bool = False


class _Tally:
    """How often one rule matched and hit."""

    def __init__(self, rule: Rule, salt: str) -> None:
        self.rule = rule
        self._salt = salt
        self.matched = 0
        self.hits = 0
        self._seen: Counter[str] = Counter()
        self._hits_by_path: Counter[str] = Counter()

    def fires(self, call: Call) -> bool:
        """Count a matching request; True if it is to go wrong."""
        self.matched += 1
        if not (self._is_due() and self._is_drawn(call)):
            return False
        if self.rule.per_id is not None:
            if self._hits_by_path[call.path] >= self.rule.per_id:
                return False
            self._hits_by_path[call.path] += 1
        self.hits += 1
        return True

    def _is_due(self) -> bool:
        rule = self.rule
        return (
            (rule.first_n is None or self.matched <= rule.first_n)
            and (rule.count is None or self.hits < rule.count)
            and (rule.every_n is None or self.matched % rule.every_n == 0)
        )

    def _is_drawn(self, call: Call) -> bool:
        """The lot depends on the seed and on which request this is, not on who came first."""
        if self.rule.probability >= 1:
            return True
        request = f"{self._salt} {call.method} {call.path}?{call.query}"
        self._seen[request] += 1
        lot = hashlib.blake2b(f"{request} {self._seen[request]}".encode(), digest_size=8)
        return int.from_bytes(lot.digest(), "big") < self.rule.probability * (1 << 64)


class Faults:
    """The rules in force; the first one that hits is the one fault of a request."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._tallies: list[_Tally] = []

    def set(self, rules: Sequence[Rule], seed: int | None = None) -> None:
        """Replace the rules and begin to count afresh."""
        self._seed = self._seed if seed is None else seed
        self._tallies = [_Tally(rule, f"{self._seed}/{n}") for n, rule in enumerate(rules)]

    def choose(self, call: Call, route: Route, organization_id: str) -> Rule | None:
        """The rule this request falls under, if any."""
        for tally in self._tallies:
            if tally.rule.match.holds(call, route, organization_id) and tally.fires(call):
                return tally.rule
        return None

    def stats(self) -> list[dict[str, Any]]:
        """How often each rule matched and hit, in their order."""
        return [
            {"kind": str(tally.rule.kind), "matched": tally.matched, "hits": tally.hits}
            for tally in self._tallies
        ]
