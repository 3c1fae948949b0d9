"""Planning: duplicates, order, hash, protections, and the frozen plan, on both databases."""

import pytest

from tests.stores import KINDS, LENGTH, Store, ids_of
from worker.domain.audit import Event
from worker.domain.errors import LeaseLost
from worker.domain.outcomes import Outcome
from worker.domain.states import JobState
from worker.domain.steps import GoOn, Progress, Step
from worker.ports import Batch, Job, Lease
from worker.services import control

TREE = {"p1": [("task", "t1"), ("user", "u1"), ("user", "own1")], "p2": (), "p3": [("user", "u3")]}


def planned(store: Store, **options: object) -> tuple[Lease, Job]:
    """A job that is read, before its plan is made."""
    job = store.submit(*TREE, **({"cascade": KINDS} | options))
    lease = store.lease()
    store.read(lease, job, TREE)
    return lease, job


# --- what the listing shows --------------------------------------------------------


def test_what_no_listing_has_shown_is_read_by_itself(store: Store) -> None:
    job = store.submit("p1", "p2")
    lease = store.lease()
    assert (store.plans.unseen(job.id), store.plans.is_read(job.id)) == (2, True)

    store.plans.end_listing(lease, job.id, read_unseen=True)

    assert not store.plans.is_read(job.id)
    assert store.jobs.get(job.id).listed
    assert [item.progress.step for item in store.due(lease, job)] == [Step.READ, Step.READ]


def test_what_no_listing_has_shown_can_be_left_as_it_is(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()

    store.plans.end_listing(lease, job.id, read_unseen=False)

    assert store.plans.is_read(job.id)
    assert store.plans.measure(job).unlisted == 1


def test_a_plan_that_cannot_be_made_ends_its_job_with_the_reason(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()

    store.plans.fail(lease, job, "the listing has no end")

    (stopped,) = store.work.commit(lease, Batch(), LENGTH).jobs
    assert (stopped.stopping, stopped.stop_reason) == ("plan_failed", "the listing has no end")
    assert [entry.message for entry in store.log(event=Event.JOB_CHANGED)] == [stopped.stop_reason]
    store.stop(lease, stopped)
    ended = store.close(lease, stopped)
    assert ended is not None
    assert ended.state is JobState.PLAN_FAILED


def test_a_job_that_a_person_paused_meanwhile_does_not_fail(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()
    store.jobs.change(job.id, control.pause(actor="ann"))

    store.plans.fail(lease, job, "the listing has no end")

    there = store.jobs.get(job.id)
    assert (there.state, there.stopping) == (JobState.PAUSED, "")


def test_a_project_is_read_when_its_last_source_is(store: Store) -> None:
    job = store.submit("p1", cascade=KINDS)
    lease = store.lease()
    item = store.item(job, "p1")

    store.settle(lease, item, GoOn(progress=Progress(step=Step.READ, source=1)))
    assert not store.plans.is_read(job.id)
    store.settle(lease, store.item(job, "p1"), GoOn(progress=Progress(step=Step.READY)))

    assert store.plans.is_read(job.id)


# --- what is left out --------------------------------------------------------------


def test_protected_ids_are_settled_before_anything_is_read(store: Store) -> None:
    job = store.submit("p1", "p2", "p3")
    lease = store.lease()

    store.plans.skip_protected(lease, job, ["p2", "p9"])

    assert store.outcomes(job) == {"p1": None, "p2": Outcome.SKIPPED_PROTECTED, "p3": None}
    assert store.item(job, "p2").reason == "protected id p2"
    assert store.plans.measure(job).skipped == {Outcome.SKIPPED_PROTECTED: 1}


def test_what_another_live_job_holds_is_left_out(store: Store) -> None:
    lease, first = store.running({"p1": (), "p2": ()})
    second = store.submit("p2", "p3")

    assert store.plans.skip_duplicates(lease, second) == 1
    assert store.plans.skip_duplicates(lease, second) == 0

    assert store.outcomes(second) == {"p2": Outcome.SKIPPED_DUPLICATE, "p3": None}
    assert first.id in store.item(second, "p2").reason


def test_children_go_with_a_duplicate_project(store: Store) -> None:
    _, first = store.running({"p1": [("task", "t1")]})
    lease = store.taken_over()
    second = store.submit("p1", "p2", cascade=KINDS)
    store.read(lease, second, {"p1": [("task", "t1")], "p2": [("task", "t2")]})

    assert store.plans.skip_duplicates(lease, second) == 2

    skipped = dict.fromkeys(("p1", "t1"), Outcome.SKIPPED_DUPLICATE)
    assert store.outcomes(second) == skipped | {"p2": None, "t2": None}
    assert set(store.outcomes(first).values()) == {None}


def test_more_duplicates_than_one_transaction_takes_are_all_left_out(store: Store) -> None:
    ids = [f"p{number}" for number in range(2_100)]
    lease, _ = store.running(dict.fromkeys(ids, ()))
    second = store.submit(*ids)

    left_out = [store.plans.skip_duplicates(lease, second) for _ in range(4)]

    assert left_out == [1_000, 1_000, 100, 0]
    assert store.jobs.counts(second.id).open == 0


def test_a_dry_run_holds_nothing(store: Store) -> None:
    dry = store.submit("p1", dry_run=True)
    lease = store.lease()
    store.freeze(lease, dry)
    second = store.submit("p1")

    assert store.plans.skip_duplicates(lease, second) == 0


def test_jobs_that_are_over_or_still_planned_hold_nothing(store: Store) -> None:
    lease, over = store.running()
    store.cancel(over)
    store.stop(lease, over)
    store.close(lease, over)
    store.submit("p1")
    third = store.submit("p1")

    assert store.plans.skip_duplicates(lease, third) == 0


def test_items_of_other_accounts_are_no_duplicates(store: Store) -> None:
    lease, _ = store.running()
    other = store.submit("p1", account="crm")
    crm = store.work.take_lease("crm", "w2", LENGTH)
    assert crm is not None

    assert store.plans.skip_duplicates(crm.lease, other) == 0
    assert lease.account != crm.lease.account


def test_what_a_job_has_deleted_is_free_for_others(store: Store) -> None:
    lease, first = store.running({"p1": (), "p2": ()})
    store.settle(lease, store.item(first, "p1"))
    second = store.submit("p1", "p2")

    assert store.plans.skip_duplicates(lease, second) == 1
    assert store.outcomes(second) == {"p1": None, "p2": Outcome.SKIPPED_DUPLICATE}


# --- the order of the rest ---------------------------------------------------------


def test_the_first_kind_of_each_project_may_go_and_the_rest_waits(store: Store) -> None:
    lease, job = planned(store, recheck=False)

    store.plans.arrange(lease, job)

    assert store.states(job) == {
        "p1": "blocked",
        "t1": "pending",
        "u1": "blocked",
        "own1": "blocked",
        "p2": "pending",
        "p3": "blocked",
        "u3": "pending",
    }
    assert store.item(job, "p2").progress.step is Step.DELETE


def test_arranging_twice_is_arranging_once(store: Store) -> None:
    lease, job = planned(store)
    store.plans.arrange(lease, job)
    once, hash_once = store.states(job), store.plans.measure(job)

    store.plans.arrange(lease, job)

    assert (store.states(job), store.plans.measure(job)) == (once, hash_once)


def test_projects_are_looked_at_again_if_the_job_wants_it(store: Store) -> None:
    lease, job = planned(store, recheck=True)

    store.plans.arrange(lease, job)

    assert store.item(job, "p2").progress.step is Step.RECHECK
    assert store.item(job, "t1").progress.step is Step.DELETE


def test_in_the_background_only_the_project_goes_by_itself(store: Store) -> None:
    tree = {"p1": [("user", "own1"), ("task", "own2")]}
    job = store.submit("p1", cascade=KINDS, background=True, recheck=False)
    lease = store.lease()
    store.read(lease, job, tree)

    store.plans.arrange(lease, job)

    assert store.states(job) == {"p1": "pending", "own1": "blocked", "own2": "blocked"}
    assert store.plans.measure(job).own == {"project": 1}


# --- the plan in figures -----------------------------------------------------------


def test_a_plan_is_counted(store: Store) -> None:
    lease, job = planned(store)
    store.plans.skip_protected(lease, job, ["p2"])
    store.plans.arrange(lease, job)

    measured = store.plans.measure(job)

    assert measured.by_kind == {"project": 2, "task": 1, "user": 3}
    assert measured.own == {"project": 2, "task": 1, "user": 2}
    assert measured.skipped == {Outcome.SKIPPED_PROTECTED: 1}
    assert (measured.unlisted, measured.spent) == (0, 3)


def test_a_plan_has_the_same_hash_whenever_it_is_measured(store: Store) -> None:
    lease, job = planned(store)
    before = store.plans.measure(job).digest
    store.plans.arrange(lease, job)

    assert store.plans.measure(job).digest == before
    assert len(before) == 64


def test_another_order_is_another_hash(store: Store) -> None:
    one, two, three = (store.submit(*ids) for ids in (["p1", "p2"], ["p2", "p1"], ["p1", "p2"]))

    digests = [store.plans.measure(job).digest for job in (one, two, three)]

    assert digests[0] == digests[2] != digests[1]


def test_an_item_less_or_another_cascade_is_another_hash(store: Store) -> None:
    lease, job = planned(store)
    before = store.plans.measure(job).digest
    store.plans.skip_protected(lease, job, ["p2"])

    assert store.plans.measure(job).digest != before
    none, tasks = store.submit("p1"), store.submit("p1", cascade=("task",))
    assert store.plans.measure(none).digest != store.plans.measure(tasks).digest


def test_a_plan_that_goes_on_where_another_stops_has_another_hash(store: Store) -> None:
    tasks = {"cascade": ("task",)}
    plain = store.submit("p1", **tasks)
    others = [
        store.submit("p1", **tasks, on_child_refused="proceed"),
        store.submit("p1", **tasks, recheck=False),
    ]

    digests = {store.plans.measure(job).digest for job in (plain, *others)}

    assert len(digests) == 3


def test_a_large_plan_is_measured_page_by_page(store: Store) -> None:
    job = store.submit(*(str(number) for number in range(12_000)))

    assert store.plans.measure(job).by_kind == {"project": 12_000}


def test_the_canary_ends_with_its_last_project(store: Store) -> None:
    job = store.submit("p1", "p1", "p2", "p3")
    lease = store.lease()
    store.plans.skip_protected(lease, job, ["p1"])

    assert store.plans.canary_end(job.id, 1) == 3
    assert store.plans.canary_end(job.id, 2) == 4
    assert store.plans.canary_end(job.id, 9) == 4


# --- freezing ----------------------------------------------------------------------


def test_a_frozen_plan_waits_for_its_word(store: Store) -> None:
    lease, job = planned(store)

    frozen = store.freeze(lease, job, canary=1)

    assert (frozen.state, frozen.canary_position) == (JobState.AWAITING_CONFIRMATION, 1)
    assert frozen.planned_at is not None
    assert frozen.plan.hash == store.plans.measure(job).digest
    assert store.jobs.get(job.id).plan == frozen.plan
    frozen_entry = store.log(job=job.id, event=Event.PLAN_FROZEN)[0]
    assert frozen_entry.detail["hash"] == frozen.plan.hash
    assert store.work.commit(lease, Batch(), LENGTH).jobs == []


def test_a_job_paused_at_the_last_moment_is_not_frozen(store: Store) -> None:
    lease, job = planned(store)
    store.jobs.change(job.id, control.pause(actor="ann"))

    after = store.freeze(lease, job)

    assert (after.state, after.planned_at) == (JobState.PAUSED, None)
    assert store.log(job=job.id, event=Event.PLAN_FROZEN) == []


def test_a_job_cancelled_at_the_last_moment_stays_cancelled(store: Store) -> None:
    dry = store.submit("p1", dry_run=True)
    lease = store.lease()
    store.cancel(dry)

    assert store.freeze(lease, dry).stopping == "cancelled"


def test_the_plan_of_a_dry_run_is_kept_and_nothing_waits(store: Store) -> None:
    dry = store.submit("p1", dry_run=True)
    lease = store.lease()

    kept = store.freeze(lease, dry)

    assert (kept.state, kept.stopping) == (JobState.PLANNING, "succeeded")
    assert kept.plan.items == 1
    assert kept.planned_at is not None


def test_the_plan_of_a_job_with_nothing_left_is_kept(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()
    store.plans.skip_protected(lease, job, ["p1"])

    kept = store.freeze(lease, job)
    ended = store.close(lease, kept)

    assert kept.stopping == ""
    assert ended is not None
    assert ended.state is JobState.SUCCEEDED


def test_only_the_lease_holder_plans(store: Store) -> None:
    old, job = planned(store)
    store.taken_over()

    with pytest.raises(LeaseLost):
        store.plans.skip_protected(old, job, ["p1"])
    with pytest.raises(LeaseLost):
        store.plans.skip_duplicates(old, job)
    with pytest.raises(LeaseLost):
        store.plans.end_listing(old, job.id, read_unseen=True)
    with pytest.raises(LeaseLost):
        store.freeze(old, job)

    assert ids_of(store.jobs.items(job.id))[-1] == "p3"
    assert store.jobs.get(job.id).state is JobState.PLANNING
