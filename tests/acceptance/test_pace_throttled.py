"""PACE 4: a storm of 429s costs no attempt and no worker, and ends when the provider said so."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.conftest import ON_SERVICES, a_site
from tests.acceptance.pace import Limits
from tests.acceptance.site import FINAL, Site
from tests.acceptance.stack import Stack
from tests.acceptance.waiting import eventually

pytestmark = [pytest.mark.number("pace-4"), pytest.mark.timeout(1800)]

NAMED = 2.0
"""Seconds that a 429 names where it names a time."""
FORMS: Mapping[str, str | None] = {
    "seconds": f"{NAMED:g}",
    "date": f"date+{NAMED:g}",
    "zero": "0",
    "negative": "-5",
    "rubbish": "soon",
    "none": None,
}
ABSURD = "99999999999999999999"
LONGEST = timedelta(days=1)
RESUMES_WITHIN = 1.0
UNDER_WAY = 0.3
"""Seconds in which a call still leaves that had its permit when a 429 came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long the test runs; without a time named the purse rests for its window, or 10 s."""

    window: float
    rests: float
    items: int


SHORT = Length(window=2, rests=2, items=7)
FULL = Length(window=60, rests=10, items=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """An account whose provider answers 429 in one form, and its job."""

    site: Site
    form: str
    waits: float
    job: Reply


@contextmanager
def one_slot(stack: Stack) -> Iterator[None]:
    """One worker that can do one thing at a time."""
    stack.stop_workers()
    stack.start_workers(1, concurrency=1)
    yield
    stack.stop_workers()  # who needs the stack next starts its own


@contextmanager
def sites(stack: Stack, number: int) -> Iterator[list[Site]]:
    with ExitStack() as ending:
        opened = contextmanager(a_site)
        yield [ending.enter_context(opened(stack)) for _ in range(number)]


def a_job(site: Site, length: Length) -> Reply:
    limits = Limits(windows=[(1000, length.window)], in_flight=3)
    limits.set(site)
    return site.planned(site.seed(length.items), "--cascade", "none")


def storm(stack: Stack, throttled: Sequence[tuple[Site, str | None]], share: float) -> None:
    rules = [
        {
            "kind": "throttle",
            "probability": share,
            "match": {"organization_id": site.organization},
            **({} if form is None else {"retry_after": form}),
        }
        for site, form in throttled
    ]
    stack.control.faults(rules, seed=11)


@ON_SERVICES
def test_a_storm_of_429s_costs_no_attempt_and_ends_on_time(stack: Stack, full: bool) -> None:
    length = FULL if full else SHORT
    with sites(stack, len(FORMS) + 2) as (*others, endless, free), one_slot(stack):
        held = [
            Throttled(
                site=site,
                form=form,
                waits=NAMED if form in {"seconds", "date"} else length.rests,
                job=a_job(site, length),
            )
            for site, form in zip(others, FORMS, strict=True)
        ]
        lasting, beside = a_job(endless, length), a_job(free, length)
        told = [*((each.site, FORMS[each.form]) for each in held), (endless, ABSURD)]
        storm(stack, told, 1.0)
        for each in held:
            each.site.confirm(each.job)
        endless.confirm(lasting)
        eventually(
            lambda: all(closings(one.ledger(), 0) for one in [*others, endless]),
            within=60,
            what="the storm",
        )

        free.confirm(beside)
        alone = free.ended(beside, within=20)
        eventually(lambda: min(rounds(one) for one in held) > 1, within=60, what="rounds")
        storm(stack, told, 0.5)
        ended = [each.site.ended(each.job, within=300) for each in held]

        assert alone["counts"]["by_outcome"] == {"deleted": length.items}
        assert {job["state"] for job in ended} == {"succeeded"}
        for each in held:
            # A date names a whole second, so the time it names is up to one second earlier.
            earlier = 1.0 if each.form == "date" else 0.0
            assert out_of_time(each.site.ledger(), each.waits, earlier=earlier) == [], each.form
            assert attempts(each.site, each.job) == {1}, each.form
            each.site.judge(each.job)
        assert_rests_for_a_day(endless, lasting)


def rounds(each: Throttled) -> int:
    """How often the account was closed and came again."""
    return len(closings(each.site.ledger(), each.waits))


def closings(ledger: Sequence[Reply], waits: float) -> list[tuple[float, float]]:
    """When a 429 had been said, and when calls were welcome again: several of a wave are one."""
    found: list[tuple[float, float]] = []
    refused = [row for row in ledger if row["status"] == 429]
    for row in sorted(refused, key=lambda row: float(row["ended"])):
        said, welcome = row["ended"], row["ended"] + waits
        if found and row["started"] <= found[-1][0] + UNDER_WAY:
            found[-1] = (found[-1][0], welcome)
        else:
            found.append((said, welcome))
    return found


def out_of_time(ledger: Sequence[Reply], waits: float, *, earlier: float = 0.0) -> list[str]:
    """Every call that came while the account was closed, and every one that came too late."""
    starts = sorted(row["started"] for row in ledger)
    problems = []
    for said, welcome in closings(ledger, waits):
        opens = welcome - earlier - 0.01
        early = [at for at in starts if said + UNDER_WAY < at < opens]
        later = [at for at in starts if at >= opens]
        problems += [f"{at - said:.2f} s after a 429" for at in early]
        if later and later[0] > welcome + RESUMES_WITHIN:
            problems.append(f"{later[0] - welcome:.2f} s late")
    return problems


def test_calls_that_come_early_or_late_are_noticed() -> None:
    refused = {"status": 429, "started": 10.0, "ended": 10.1}
    told = [refused, {"status": 200, "started": 11.5}, {"status": 200, "started": 13.5}]

    assert out_of_time(told, 2) == ["1.40 s after a 429", "1.40 s late"]


def attempts(site: Site, job: Reply) -> set[int]:
    """The numbers of the attempts that were made, as the audit log has them."""
    return {entry["attempt"] for entry in site.audit(job) if entry["attempt"] is not None}


def assert_rests_for_a_day(site: Site, job: Reply) -> None:
    """A time that cannot be meant is taken for a day, said so, and a cancelled job ends."""
    shown = site.show(job)["waiting_on"]
    wakes = datetime.fromisoformat(shown["next_wake"]) - datetime.fromisoformat(shown["since"])
    assert shown["code"] == "rate_limit"
    assert LONGEST - timedelta(minutes=5) < wakes < LONGEST + timedelta(minutes=5)
    site.stack.run("cancel", job["id"]).ended(0)
    assert site.ended(job, within=30)["state"] in FINAL
