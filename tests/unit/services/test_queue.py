"""The work at hand, and the way of a plan from its listing to its word."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import (
    a_child,
    a_job,
    a_lease,
    a_purse,
    a_seen,
    an_answer,
    an_item,
    planned,
    some_facts,
    some_rules,
)
from tests.unit.services.bench import Bench, always
from worker.domain.plan import Protection
from worker.domain.states import JobState
from worker.ports import Done, Job, JobOptions, Lease, PlannedItems
from worker.services import control, planning
from worker.services.queue import Queue
from worker.testing.plans import MemoryPlans

LISTING = a_job(JobState.PLANNING, list_pages=1, list_cursor="2")
PLANNED = a_job(JobState.PLANNING, listed=True, options=JobOptions(cascade=("task",)))


def planner(job: Job = PLANNED, items: PlannedItems | None = None, **fields: object) -> Bench:
    facts = some_facts(**fields)
    bench = Bench(script=always(an_answer()), jobs=[job], items=[], facts=facts)
    bench.plans = MemoryPlans(bench.store, items or planned())
    bench.tools = replace(bench.tools, plans=bench.plans)
    return bench


def lease_of(bench: Bench) -> Lease:
    taken = bench.store.take_lease("acme", "w1", bench.tools.lease)
    assert taken is not None
    return taken.lease


async def filled(bench: Bench) -> Queue:
    queue = Queue(bench.tools)
    await queue.fill(lease_of(bench), list(bench.store.jobs.values()))
    return queue


# --- the queue ---------------------------------------------------------------


async def test_a_small_job_does_not_wait_for_a_large_one() -> None:
    jobs = [a_job(), a_job(id="j-2")]
    items = [an_item(n, job_id="j-2" if n == 3 else "j-1") for n in range(1, 4)]
    queue = await filled(Bench(script=always(an_answer()), jobs=jobs, items=items))

    assert [queue.pop().job_id for _ in range(3)] == ["j-2", "j-1", "j-1"]


async def test_what_a_small_job_does_next_does_not_wait_for_a_large_one() -> None:
    jobs = [a_job(), a_job(id="j-2")]
    items = [an_item(n, job_id="j-2" if n == 1 else "j-1") for n in range(1, 9)]
    bench = Bench(script=always(an_answer()), jobs=jobs, items=items)
    queue = await filled(bench)

    work = queue.pop()
    await queue.fill(a_lease(), jobs)
    under_way = len(queue)
    queue.landed([Done(job_id="j-2", call=work.call, answer=an_answer())])
    await queue.fill(a_lease(), jobs)

    assert work.job_id == "j-2"
    assert (under_way, len(queue)) == (7, 8)
    assert queue.pop().job_id == "j-2"


async def test_the_first_of_two_large_jobs_stays_the_first() -> None:
    jobs = [a_job(), a_job(id="j-2", priority=9)]
    items = [an_item(n, job_id="j-2" if n % 2 else "j-1") for n in range(1, 61)]
    facts = some_facts(purses=(a_purse(in_flight=1),))
    bench = Bench(script=always(an_answer()), jobs=jobs, items=items, facts=facts)
    queue = Queue(bench.tools)

    left: list[str] = []
    for _ in range(24):
        await queue.fill(a_lease(), jobs)
        work = queue.pop()
        left.append(work.job_id)
        for item in work.items:
            bench.store.items[item.id] = replace(item, state="sent")

    assert left.count("j-2") >= 16


async def test_what_a_job_has_not_sent_can_be_forgotten() -> None:
    jobs = [a_job(), a_job(id="j-2")]
    items = [an_item(n, job_id="j-2" if n == 3 else "j-1") for n in range(1, 4)]
    queue = await filled(Bench(script=always(an_answer()), jobs=jobs, items=items))

    queue.drop({"j-1"})
    assert (len(queue), queue.pop().job_id) == (1, "j-2")
    queue.clear()
    assert len(queue) == 0


async def test_a_job_is_not_moved_on_while_a_call_of_it_is_under_way() -> None:
    bench = Bench(script=always(an_answer()), items=[an_item()])
    queue = await filled(bench)
    work = queue.pop()
    bench.store.items.clear()
    bench.clock.advance(timedelta(seconds=1))

    await queue.fill(a_lease(), [a_job()])
    states = [bench.store.jobs["j-1"].state]
    queue.landed([Done(job_id="j-1", call=work.call, answer=an_answer())])
    await queue.fill(a_lease(), [a_job()])
    states += [bench.store.jobs["j-1"].state]

    assert states == [JobState.RUNNING, JobState.SUCCEEDED]


async def test_an_empty_queue_does_not_ask_again_at_once() -> None:
    later = an_item(state="deferred", due_at=None)
    bench = Bench(script=always(an_answer()), items=[later])
    queue = await filled(bench)
    assert queue.is_dry

    bench.store.items[1] = an_item()
    await queue.fill(a_lease(), [a_job()])

    assert len(queue) == 0


async def test_a_call_that_does_not_leave_after_all_is_not_under_way() -> None:
    bench = Bench(script=always(an_answer()), items=[an_item()])
    queue = await filled(bench)
    queue.forget(queue.pop())
    bench.store.items.clear()
    bench.clock.advance(timedelta(seconds=1))

    await queue.fill(a_lease(), [a_job()])

    assert bench.store.jobs["j-1"].state is JobState.SUCCEEDED


# --- what changed since the plan -----------------------------------------------


async def test_a_job_whose_account_leads_elsewhere_now_is_paused_and_makes_no_call() -> None:
    job = a_job(place="zoho_books https://one 1")
    facts = some_facts(place="zoho_books https://one 999")
    bench = Bench(script=always(an_answer()), jobs=[job], items=[an_item()], facts=facts)

    queue = await filled(bench)

    assert len(queue) == 0
    assert "leads to zoho_books https://one 999 now" in dict(bench.store.paused)["j-1"]


async def test_what_came_under_a_protection_since_the_plan_is_spared() -> None:
    kept = an_item(1)
    facts = some_facts(protection=Protection(ids=frozenset({kept.seen.target.external_id})))
    bench = Bench(script=always(an_answer()), items=[kept, an_item(2)], facts=facts)

    queue = await filled(bench)

    assert [work.items[0].id for work in [queue.pop()]] == [2]
    assert bench.store.items[1].outcome == "skipped_protected"


async def test_a_child_of_a_project_that_is_protected_now_is_spared() -> None:
    child = an_item(1, seen=a_child("7"))
    facts = some_facts(protection=Protection(ids=frozenset({"42"})))
    bench = Bench(script=always(an_answer()), items=[child], facts=facts)

    await filled(bench)

    assert bench.store.items[1].outcome == "skipped_protected"
    assert bench.store.items[1].reason == "its project 42 has a protected id"


CASCADING = JobOptions(cascade=("task",))
BACKGROUND = JobOptions(cascade=("task",), background=True, recheck=False)
KEPT = Protection(names=("*KEEP*",))


async def test_a_child_of_a_project_whose_name_is_protected_now_is_spared() -> None:
    bench = Bench(
        script=always(an_answer()),
        jobs=[a_job(options=CASCADING)],
        items=[
            an_item(1, seen=a_seen(name="Old KEEP"), state="blocked"),
            an_item(2, seen=a_child("7"), parent_item_id=1),
        ],
        facts=some_facts(protection=KEPT),
    )

    queue = await filled(bench)

    assert len(queue) == 0
    assert bench.store.items[2].outcome == "skipped_protected"
    assert bench.store.items[2].reason == "its project 42: protected name pattern *KEEP*"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Protection(ids=frozenset({"7"})), "its task 7: protected id 7"),
        (Protection(names=("Na*",)), "its task 7: protected name pattern Na*"),
    ],
)
async def test_a_project_that_would_take_a_protected_child_along_is_spared(
    rule: Protection, why: str
) -> None:
    child = an_item(2, seen=a_child("7", goes_with_parent=True), parent_item_id=1, state="blocked")
    bench = Bench(
        script=always(an_answer()),
        jobs=[a_job(options=BACKGROUND)],
        items=[an_item(1), child],
        facts=some_facts(protection=rule),
    )

    queue = await filled(bench)

    assert len(queue) == 0
    assert bench.store.items[1].outcome == "skipped_protected"
    assert bench.store.items[1].reason == why


# --- the listing -------------------------------------------------------------


async def test_protected_ids_are_spared_before_the_first_page() -> None:
    first = a_job(JobState.PLANNING)
    bench = planner(first, protection=Protection(ids=frozenset({"9", "10"})))

    queue = await filled(bench)

    assert bench.plans.steps == ["skip_protected 10 9"]
    assert queue.pop().call.action == "list"


@pytest.mark.parametrize(
    ("cursor", "missing", "names", "steps"),
    [
        ("2", 2, (), []),
        ("2", 0, (), ["end_listing"]),
        ("2", 1, (), ["end_listing, read the rest"]),
        ("", 9, (), ["end_listing"]),
        ("", 9, ("*KEEP*",), ["end_listing, read the rest"]),
    ],
)
async def test_the_listing_ends_once_reading_the_rest_is_cheaper(
    cursor: str, missing: int, names: tuple[str, ...], steps: list[str]
) -> None:
    job = replace(LISTING, list_cursor=cursor)
    bench = planner(job, protection=Protection(names=names))
    bench.plans = MemoryPlans(bench.store, planned(), missing=missing)
    tools = replace(bench.tools, plans=bench.plans)

    ended = await planning.after_page(tools, a_lease(), job, {})

    assert bench.plans.steps == steps
    assert ended == bool(steps)


async def test_what_a_long_list_lacks_is_not_counted_after_every_page() -> None:
    count_at: dict[str, int] = {}
    bench = planner(LISTING)
    counted: list[int] = []

    class Counting(MemoryPlans):
        def unseen(self, job_id: str) -> int:  # noqa: ARG002  there is one job
            counted.append(page)
            return 2_000 - 200 * page

    bench.plans = Counting(bench.store, planned())
    tools = replace(bench.tools, plans=bench.plans)
    for page in range(1, 11):
        job = replace(LISTING, list_cursor=str(page + 1), list_pages=page)
        ended = await planning.after_page(tools, a_lease(), job, count_at)
        assert ended is (page == 10)

    assert counted == [1, 10]


# --- the plan ----------------------------------------------------------------


async def test_a_plan_is_frozen_once_everything_is_read() -> None:
    bench = planner()
    bench.plans = MemoryPlans(bench.store, planned(), duplicates=(1_000, 3))
    tools = replace(bench.tools, plans=bench.plans)

    frozen = await planning.finish(tools, a_lease(), PLANNED)

    assert frozen.state is JobState.AWAITING_CONFIRMATION
    assert frozen.waiting_on is not None
    assert 'bulkdel confirm j-1 --word "delete 3 acme 9f3a"' in frozen.waiting_on.sentence
    assert bench.plans.steps == [*["skip_duplicates"] * 3, "measure", "arrange", "freeze"]


@pytest.mark.parametrize(
    ("job", "items"),
    [
        (replace(PLANNED, dry_run=True), planned()),
        (PLANNED, planned(by_kind={}, own={})),
    ],
    ids=["dry run", "nothing left"],
)
async def test_a_plan_that_deletes_nothing_asks_for_no_word(job: Job, items: PlannedItems) -> None:
    bench = planner(job, items)

    await planning.finish(bench.tools, a_lease(), job)

    assert bench.plans.steps[-1] == "keep"


@pytest.mark.parametrize(("projects", "last"), [(100, None), (101, 5), (1_000, 10)])
async def test_a_large_plan_sends_a_canary_first(projects: int, last: int | None) -> None:
    bench = planner(PLANNED, planned(by_kind={"project": projects, "task": 5}))

    frozen = await planning.finish(bench.tools, a_lease(), PLANNED)

    assert frozen.canary_position == last


@pytest.mark.parametrize(("items", "yes", "asked"), [(10, True, 1), (11, True, 0), (10, False, 0)])
async def test_a_yes_with_the_submission_confirms_a_small_plan(
    items: int, asked: int, *, yes: bool
) -> None:
    job = replace(PLANNED, options=JobOptions(auto_confirm=yes))
    bench = planner(job, planned(by_kind={"project": items}))
    confirmed: list[str] = []

    def confirm(frozen: Job) -> Job:
        confirmed.append(frozen.id)
        return frozen

    await planning.finish(replace(bench.tools, confirm=confirm), a_lease(), job)

    assert len(confirmed) == asked


async def test_a_plan_that_a_person_stopped_meanwhile_is_not_frozen() -> None:
    bench = planner()
    bench.store.change("j-1", state=JobState.PAUSED)

    left = await planning.finish(bench.tools, a_lease(), PLANNED)

    assert left.state is JobState.PAUSED


async def test_a_yes_to_a_plan_over_a_guard_leaves_it_waiting() -> None:
    job = replace(PLANNED, options=JobOptions(auto_confirm=True))
    bench = planner(job, planned(by_kind={"project": 8}), max_items=5)

    def confirm(frozen: Job) -> Job:
        control.confirm(some_rules(), actor="ada", word=None, yes=True)(frozen, bench.clock.now())
        return frozen

    frozen = await planning.finish(replace(bench.tools, confirm=confirm), a_lease(), job)

    assert frozen.state is JobState.AWAITING_CONFIRMATION


@pytest.mark.parametrize("how", [{"state": JobState.PAUSED}, {"stopping": "cancelled"}], ids=str)
async def test_a_yes_to_a_plan_that_a_person_stopped_meanwhile_is_no_error(
    how: dict[str, JobState | str],
) -> None:
    job = replace(PLANNED, options=JobOptions(auto_confirm=True))
    bench = planner(job)
    bench.store.change("j-1", **how)

    def confirm(frozen: Job) -> Job:
        control.confirm(some_rules(), actor="ada", word=None, yes=True)(frozen, bench.clock.now())
        return frozen

    left = await planning.finish(replace(bench.tools, confirm=confirm), a_lease(), job)

    assert {name: getattr(left, name) for name in how} == how
