"""The guards of a plan: numbers somebody set, held against what the plan comes to.

A guard refuses the whole plan and never makes it smaller. What cannot be measured is refused.
The account's numbers refuse for good; a policy's leave its plan to a person, who may confirm it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import median

from worker.domain.plan import Finding, FindingLevel

RUNS = 10
"""How many runs of a policy say what is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardNumbers:
    """What a plan may come to, at most; a number that is not set is not checked."""

    max_items: int | None = None
    max_percent: float | None = None  # of all projects of the account
    max_times_median: float | None = None  # of the items of the policy's last runs
    max_items_per_day: int | None = None  # of the account, over all its jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a plan comes to, and what it is held against."""

    items: int
    projects: int = 0  # that it deletes, or clears
    account_projects: int | None = None  # None: not counted
    last_runs: Sequence[int] = ()  # items of the policy's runs, the newest first
    used_today: int = 0  # items of the account deleted today, or promised to other jobs


def check(
    numbers: GuardNumbers, measured: Measured, *, level: FindingLevel = FindingLevel.REFUSAL
) -> list[Finding]:
    """What the guards say of a plan: a finding of `level` for each number that it exceeds."""
    said = [
        _items(numbers.max_items, measured),
        _percent(numbers.max_percent, measured),
        _median(numbers.max_times_median, measured),
        _day(numbers.max_items_per_day, measured),
    ]
    return [
        replace(finding, level=level) if finding.level is FindingLevel.REFUSAL else finding
        for finding in said
        if finding is not None
    ]


def _refusal(code: str, text: str) -> Finding:
    return Finding(level=FindingLevel.REFUSAL, code=code, text=text)


def unreadable(why: str) -> Finding:
    """The refusal of a plan whose holds cannot be read: all of it counts as held."""
    text = f"the holds cannot be read, so all of it counts as held: {why}"
    return _refusal("holds_unreadable", text)


def _items(limit: int | None, measured: Measured) -> Finding | None:
    count = measured.items
    if limit is None or count <= limit:
        return None
    text = f"{count} items are more than max_items {limit}: submit with --max-items {count}"
    return _refusal("max_items", text)


def _percent(limit: float | None, measured: Measured) -> Finding | None:
    if limit is None or not measured.projects:
        return None
    total = measured.account_projects
    if total is None:
        text = "max_percent cannot be checked: the account's projects were not counted"
        return _refusal("max_percent", text)
    if measured.projects * 100 <= Decimal(str(limit)) * total:
        return None
    share = f"{measured.projects * 100 / total:.1f} %" if total else "more than all"
    text = (
        f"{measured.projects} projects are {share} of the {total} the account has: "
        f"more than max_percent {limit:g}"
    )
    return _refusal("max_percent", text)


def _median(limit: float | None, measured: Measured) -> Finding | None:
    if limit is None:
        return None
    runs = [items for items in measured.last_runs[:RUNS] if items]  # of nothing: says nothing
    if not runs:
        text = "no earlier run to compare with: max_times_median is not checked"
        return Finding(level=FindingLevel.INFO, code="max_times_median", text=text)
    usual = median(runs)
    if measured.items <= Decimal(str(limit)) * Decimal(str(usual)):
        return None
    text = (
        f"{measured.items} items are {measured.items / usual:.1f} times the median "
        f"{usual:g} of the last {len(runs)} runs: more than max_times_median {limit:g}"
    )
    return _refusal("max_times_median", text)


def _day(limit: int | None, measured: Measured) -> Finding | None:
    if limit is None or measured.used_today + measured.items <= limit:
        return None
    text = (
        f"{measured.items} items, and {measured.used_today} that went today (UTC) or are "
        f"promised to other jobs, are more than max_items_per_day {limit} of the account"
    )
    return _refusal("max_items_per_day", text)
