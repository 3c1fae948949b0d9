"""A listing that repeats itself ends early: no plan by filters is made of it, one by ids is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import (
    CATALOGUE,
    EPOCH,
    a_job,
    a_lease,
    a_progress,
    a_seen,
    an_answer,
    an_item,
    planned,
    shows,
    some_facts,
)
from tests.unit.services.bench import Bench, always
from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Action, Answer, Call, Seen
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.plan import FindingLevel, Protection
from worker.domain.repeats import Trail
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState, JobState
from worker.domain.steps import Progress, Step
from worker.ports import Job, JobOptions, Lease
from worker.providers.zoho_filters import FILTERS_V4
from worker.services import chunks, refresh
from worker.services.choose import Work
from worker.services.planning import REPEATS, after_page, make_plan
from worker.services.results import Rules
from worker.testing.chunks import NoChunks
from worker.testing.plans import MemoryPlans
from worker.testing.provider import Script

FILTERS = JobOptions(filters={"status": "active"})
AGAIN = Bulk(trail=Trail(repeats=True))
FEW = 12
"""Pages after which each listing here has to be known for what it is."""


def full(name: int) -> tuple[Seen, ...]:
    return tuple(a_seen(f"{name}{n:03}") for n in range(200))


def same_page(call: Call) -> Answer:
    """Whatever the number of the page, it is the first one, and another one follows."""
    return shows(*full(1), next_cursor=str(int(call.cursor or 1) + 1))


def to_and_fro(call: Call) -> Answer:
    """The cursors lead from one page to the other and back."""
    here = "b" if call.cursor == "a" else "a"
    return shows(*full(1 if here == "a" else 2), next_cursor=here)


def lost_now_and_then(script: Script) -> Script:
    """Every other answer does not come back."""
    asked: list[Call] = []

    def answer(call: Call) -> Answer:
        asked.append(call)
        return an_answer(Verdict.UNAVAILABLE) if len(asked) % 2 else script(call)

    return answer


def listing(script: Script, options: JobOptions, *, missing: int = 0) -> Bench:
    job = a_job(JobState.PLANNING, options=options)
    ready = an_item(progress=a_progress(Step.READY))
    bench = Bench(script=script, jobs=[job], items=[ready], facts=some_facts(filters=FILTERS_V4))
    bench.plans = MemoryPlans(bench.store, planned(), missing=missing)
    bench.tools = replace(bench.tools, plans=bench.plans)
    return bench


@pytest.mark.parametrize("script", [same_page, to_and_fro])
async def test_a_selection_whose_listing_repeats_itself_fails_soon_and_says_why(
    script: Script,
) -> None:
    bench = listing(script, FILTERS)

    await bench.work()

    assert len(bench.provider.calls) <= FEW
    assert bench.plans.steps == [f"fail {REPEATS}"]
    assert bench.store.jobs["j-1"].state is JobState.PLAN_FAILED
    assert [(item.outcome, item.reason) for item in bench.store.items.values()] == [
        (Outcome.UNPROCESSED, REPEATS)
    ]


@pytest.mark.parametrize("script", [same_page, to_and_fro])
async def test_a_job_by_ids_ends_such_a_listing_and_is_planned_all_the_same(
    script: Script,
) -> None:
    bench = listing(script, JobOptions(), missing=5_000)

    await bench.work()

    assert len(bench.provider.calls) <= FEW
    assert bench.plans.steps[0] == "end_listing, read the rest"
    assert bench.store.jobs["j-1"].state is JobState.AWAITING_CONFIRMATION


async def test_a_page_that_is_asked_again_for_want_of_an_answer_is_no_repetition() -> None:
    def three_pages(call: Call) -> Answer:
        number = int(call.cursor or 1)
        return shows(*full(number), next_cursor=str(number + 1) if number < 3 else "")

    bench = listing(lost_now_and_then(three_pages), FILTERS)

    for _ in range(6):
        await bench.work()
        bench.clock.advance(timedelta(minutes=1))

    assert [call.cursor for call in bench.provider.calls] == ["", "", "2", "2", "3", "3"]
    assert bench.store.jobs["j-1"].state is JobState.AWAITING_CONFIRMATION


@pytest.mark.parametrize(
    ("job", "step"),
    [
        (a_job(options=FILTERS, list_cursor=""), f"fail {REPEATS}"),
        (a_job(options=FILTERS, list_cursor="9", counting=True), "end_listing"),
        (a_job(list_cursor="9"), "end_listing, read the rest"),
        (a_job(list_cursor=""), "end_listing, read the rest"),
    ],
    ids=["filters, last page", "counting", "ids", "ids, last page"],
)
async def test_whatever_it_is_read_for_it_ends(job: Job, step: str) -> None:
    bench = listing(same_page, job.options, missing=5_000)
    asked = replace(job, state=JobState.PLANNING, list_pages=2, bulk=AGAIN)
    bench.store.jobs["j-1"] = asked

    assert await after_page(bench.tools, a_lease(), asked, {})

    assert bench.plans.steps == [step]


# --- what such a listing cannot tell ------------------------------------------


def test_it_counts_nothing_and_proves_nothing_and_the_plan_says_so() -> None:
    facts = some_facts(max_percent=50.0, bulk_size=25, max_items=None)
    items = planned(by_kind={"project": 100}, own={"project": 100})
    job = a_job(JobState.PLANNING, account_projects=1_000, list_pages=2)

    good = make_plan(job, items, facts, EPOCH)
    bad = make_plan(replace(job, bulk=AGAIN), items, facts, EPOCH)

    assert {finding.code for finding in good.findings} >= {"bulk"}
    said = {finding.code: finding.level for finding in bad.findings}
    assert "bulk" not in said
    assert said["listing_repeats"] is FindingLevel.WARNING
    assert said["max_percent"] is FindingLevel.REFUSAL


# --- an old plan that is compared with it --------------------------------------


class Written(NoChunks):
    """Where the job was said to stand."""

    def __init__(self) -> None:
        self.bulks: list[Bulk] = []

    def write(
        self,
        lease: Lease,  # noqa: ARG002  there is one lease
        job_id: str,  # noqa: ARG002  there is one job
        bulk: Bulk,
        items: Mapping[int, tuple[ItemState, Progress]],  # noqa: ARG002  none are written
        *,
        why: str = "",  # noqa: ARG002  nobody reads the audit of a double
    ) -> None:
        self.bulks.append(bulk)


def compared(pages: Sequence[Answer]) -> Job:
    """A job after it was shown these pages."""
    job = a_job(bulk=Bulk(stage=Stage.REFRESH, then=Stage.ON, compared_at=EPOCH))
    rules = Rules(catalogue=CATALOGUE, protection=Protection(), policy=RetryPolicy())
    for answer in pages:
        work = Work(job_id=job.id, call=Call(action=Action.LIST, cursor=job.bulk.cursor))
        done = refresh.refreshed(work, answer, job=job, matched={}, rules=rules)
        assert done.listing is not None
        assert done.listing.bulk is not None
        job = replace(job, bulk=done.listing.bulk)
    return job


def test_a_plan_that_was_compared_with_all_pages_goes_on() -> None:
    job = compared([shows(*full(1), next_cursor="2"), shows(*full(2))])

    assert job.bulk.stage is Stage.ON


async def test_a_plan_is_not_compared_with_a_listing_that_repeats_itself() -> None:
    job = compared([shows(*full(1), next_cursor="2"), shows(*full(1))])
    assert job.bulk.stage is Stage.REFRESH
    bench, written = Bench(script=always(an_answer()), jobs=[job], items=[]), Written()
    tools = replace(bench.tools, chunks=written)

    assert await chunks.prove(tools, a_lease(), job) is True

    assert bench.store.paused == [("j-1", refresh.REPEATS)]
    assert written.bulks == [Bulk(stage=Stage.REFRESH, then=Stage.ON, compared_at=EPOCH)]
    anew = await chunks.prove(tools, a_lease(), replace(job, bulk=written.bulks[0]))
    assert isinstance(anew, Work)
    assert anew.call.cursor == ""
