"""How jobs end: left out, looked up, past their canary, and in which state, on both databases."""

from datetime import timedelta

import pytest

from tests.stores import GONE, KINDS, LENGTH, SEEN, Store, ids_of
from worker.domain.calls import Answer
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import ItemState, JobState, Waiting
from worker.domain.steps import GoOn, Progress, Settle, Step
from worker.ports import Batch, Job, Lease, Note
from worker.services import control

RESET = Answer(verdict=Verdict.AMBIGUOUS, error_class="reset")
LOOK = GoOn(progress=Progress(step=Step.LOOK, attempts=1, lost=1))
VERIFYING = GoOn(
    progress=Progress(step=Step.LOOK, attempts=1, lost=1, looks=1),
    after=timedelta(seconds=10),
    state=ItemState.VERIFYING,
)
STAYED = Settle(outcome=Outcome.UNPROCESSED, reason="still there when the job stopped")
FAMILY = {"p1": [("task", "t1"), ("user", "u1"), ("user", "own1")]}


def ended(store: Store, *outcomes: Outcome) -> Job | None:
    """A job of which each project ended so."""
    lease, job = store.running({f"p{number}": () for number, _ in enumerate(outcomes)})
    for item, outcome in zip(store.due(lease, job), outcomes, strict=True):
        store.settle(lease, item, Settle(outcome=outcome))
    return store.close(lease, job)


def stop(store: Store, job: Job, state: JobState) -> None:
    """What the sweep does to an overdue plan."""
    note = Note(actor="worker", why="overdue", columns={"stopping": state.value})
    store.jobs.change(job.id, lambda _job, _at: note)


def end(store: Store, lease: Lease, job: Job) -> JobState:
    store.stop(lease, job)
    store.close(lease, job)
    return store.jobs.get(job.id).state


# --- leaving out -------------------------------------------------------------------


def test_what_was_never_attempted_ends_unprocessed(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": (), "p3": ()})
    store.settle(lease, store.item(job, "p1"))
    store.cancel(job)

    assert store.stop(lease, job) == 2

    assert store.outcomes(job) == {
        "p1": Outcome.DELETED,
        "p2": Outcome.UNPROCESSED,
        "p3": Outcome.UNPROCESSED,
    }
    assert store.item(job, "p2").reason == "the job was cancelled"


def test_more_than_a_transaction_takes_is_left_out_in_parts(store: Store) -> None:
    lease, job = store.running({f"p{number}": () for number in range(2_100)})
    store.cancel(job)

    parts = [store.ends.leave_out(lease, job, "cancelled") for _ in range(4)]

    assert parts == [1_000, 1_000, 100, 0]
    assert store.jobs.counts(job.id).by_outcome == {Outcome.UNPROCESSED: 2_100}


def test_what_is_under_way_is_not_left_out(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": (), "p3": (), "p4": ()})
    store.settle(lease, store.item(job, "p1"), LOOK, RESET)
    store.settle(lease, store.item(job, "p2"), VERIFYING, RESET)
    store.open(lease, store.item(job, "p3"))
    store.cancel(job)

    assert store.stop(lease, job) == 1

    assert store.states(job) == {
        "p1": "pending",
        "p2": "verifying",
        "p3": "sent",
        "p4": "settled",
    }
    store.land(lease, store.item(job, "p3"))
    assert store.outcomes(job)["p3"] is Outcome.DELETED


def test_the_kin_of_a_project_is_itself_and_what_is_left_of_what_goes_with_it(
    store: Store,
) -> None:
    _, job = store.running({**FAMILY, "p2": [("user", "own2")]})
    first, second = store.item(job, "p1"), store.item(job, "p2")

    both = store.ends.kin([first.id, second.id])

    assert sorted(ids_of(both)) == ["own1", "own2", "p1", "p2"]
    assert sorted(ids_of(store.ends.kin([first.id]))) == ["own1", "p1"]
    assert not store.ends.kin([])


def test_a_child_in_flight_ends_by_its_own_answer_when_its_project_is_left_out(
    store: Store,
) -> None:
    lease, job = store.running(FAMILY)
    child = store.item(job, "t1")
    store.open(lease, child)
    store.cancel(job)

    store.stop(lease, job)
    store.land(lease, child)

    assert store.outcomes(job) == {
        "p1": Outcome.UNPROCESSED,
        "t1": Outcome.DELETED,
        "u1": Outcome.UNPROCESSED,
        "own1": Outcome.UNPROCESSED,
    }
    assert end(store, lease, job) is JobState.CANCELLED


def test_a_child_whose_answer_was_lost_is_looked_at_when_its_project_is_left_out(
    store: Store,
) -> None:
    lease, job = store.running(FAMILY)
    store.settle(lease, store.item(job, "t1"), LOOK, RESET)
    store.cancel(job)

    store.stop(lease, job)
    assert store.outcomes(job)["t1"] is None
    assert store.close(lease, job) is None
    store.settle(lease, store.due(lease, job)[0], STAYED, SEEN)

    assert end(store, lease, job) is JobState.CANCELLED
    assert store.item(job, "t1").reason == STAYED.reason


def test_what_goes_with_a_project_under_look_waits_for_it(store: Store) -> None:
    lease, job = store.running({"p1": [("user", "own1")]})
    store.settle(lease, store.item(job, "p1"), LOOK, RESET)
    store.cancel(job)

    assert store.stop(lease, job) == 0
    store.settle(lease, store.item(job, "p1"), GONE, SEEN)

    assert store.outcomes(job) == {"p1": Outcome.DELETED, "own1": Outcome.DELETED_WITH_PARENT}


def test_a_read_in_flight_of_a_stopping_job_is_left_out_when_it_is_back(store: Store) -> None:
    job = store.submit("p1", "p2", cascade=KINDS)
    lease = store.lease()
    item = store.item(job, "p1")
    store.open(lease, item)
    store.cancel(job)
    assert store.stop(lease, job) == 1

    store.land(lease, item, GoOn(progress=Progress(step=Step.READ, source=1)), SEEN)

    assert end(store, lease, job) is JobState.CANCELLED


# --- the last move -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([Outcome.DELETED, Outcome.ALREADY_ABSENT], JobState.SUCCEEDED),
        ([Outcome.DELETED, Outcome.SKIPPED_CHANGED], JobState.SUCCEEDED),
        ([Outcome.SKIPPED_CHANGED], JobState.SUCCEEDED),
        ([Outcome.DELETED, Outcome.FAILED_REFUSED], JobState.PARTIALLY_SUCCEEDED),
        ([Outcome.DELETED, Outcome.UNKNOWN], JobState.PARTIALLY_SUCCEEDED),
        ([Outcome.FAILED_INVALID, Outcome.SKIPPED_CHANGED], JobState.FAILED),
        ([Outcome.UNKNOWN], JobState.FAILED),
    ],
)
def test_a_job_ends_as_its_items_did(
    store: Store, outcomes: list[Outcome], state: JobState
) -> None:
    job = ended(store, *outcomes)

    assert job is not None
    assert job.state is state
    assert job.finished_at is not None
    assert job.waiting_on is None


def test_a_job_with_work_left_does_not_end(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    store.settle(lease, store.item(job, "p1"))

    assert store.close(lease, job) is None
    assert store.jobs.get(job.id).state is JobState.RUNNING


def test_a_dry_run_succeeds_whatever_it_leaves_out(store: Store) -> None:
    job = store.submit("p1", "p2", dry_run=True)
    lease = store.lease()
    store.freeze(lease, job)

    assert end(store, lease, job) is JobState.SUCCEEDED
    assert store.jobs.counts(job.id).by_outcome == {Outcome.UNPROCESSED: 2}


@pytest.mark.parametrize("state", [JobState.EXPIRED, JobState.CANCELLED])
def test_an_unconfirmed_plan_ends_with_everything_left_out(store: Store, state: JobState) -> None:
    job = store.submit("p1")
    lease = store.lease()
    store.freeze(lease, job)
    stop(store, job, state)

    assert end(store, lease, job) is state


@pytest.mark.parametrize("state", [JobState.PLAN_FAILED, JobState.CANCELLED])
def test_a_job_that_is_still_planned_ends_with_everything_left_out(
    store: Store, state: JobState
) -> None:
    job = store.submit("p1", cascade=KINDS)
    lease = store.lease()
    stop(store, job, state)

    assert [one.id for one in store.work.commit(lease, Batch(), LENGTH).jobs] == [job.id]
    assert end(store, lease, job) is state


def test_a_scheduled_job_can_be_cancelled(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()
    store.confirm(store.freeze(lease, job))
    store.cancel(job)

    assert end(store, lease, job) is JobState.CANCELLED


def test_a_job_that_a_person_moved_meanwhile_is_left_alone(store: Store) -> None:
    lease, job = store.running()
    store.settle(lease, store.item(job, "p1"))
    store.jobs.change(job.id, control.pause(actor="ann"))

    assert store.ends.close(lease, job) is None

    assert store.jobs.get(job.id).state is JobState.PAUSED


# --- looking up lost answers -------------------------------------------------------


def test_with_only_looks_left_a_job_is_verifying_and_back_again(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    store.settle(lease, store.item(job, "p1"))
    store.settle(lease, store.item(job, "p2"), VERIFYING, RESET)

    verifying = store.close(lease, job)
    assert verifying is not None
    assert verifying.state is JobState.VERIFYING
    assert store.close(lease, job) is None
    store.make_due()
    again = GoOn(
        progress=Progress(step=Step.DELETE, attempts=1, lost=1),
        after=timedelta(seconds=1),
        state=ItemState.DEFERRED,
    )
    store.settle(lease, store.due(lease, job)[0], again, SEEN)
    running = store.close(lease, job)

    assert running is not None
    assert running.state is JobState.RUNNING
    store.make_due()
    store.settle(lease, store.due(lease, job)[0])
    assert end(store, lease, job) is JobState.SUCCEEDED


def test_a_verifying_job_ends_when_its_last_look_does(store: Store) -> None:
    lease, job = store.running()
    store.settle(lease, store.item(job, "p1"), VERIFYING, RESET)
    store.close(lease, job)
    store.make_due()

    store.settle(lease, store.due(lease, job)[0], Settle(outcome=Outcome.UNKNOWN), SEEN)

    assert end(store, lease, job) is JobState.FAILED


# --- the canary --------------------------------------------------------------------


def canary(store: Store, outcome: Outcome) -> tuple[Lease, Job]:
    lease, job = store.running({"p1": (), "p2": (), "p3": ()}, canary=1)
    store.settle(lease, store.due(lease, job)[0], Settle(outcome=outcome))
    return lease, job


def test_a_good_canary_lets_the_rest_go(store: Store) -> None:
    lease, job = canary(store, Outcome.DELETED)

    assert store.due(lease, job) == []
    assert store.close(lease, job) is not None

    assert store.jobs.get(job.id).canary_position is None
    assert len(store.due(lease, job)) == 2


def test_a_bad_canary_pauses_the_job_until_a_person_looks(store: Store) -> None:
    lease, job = canary(store, Outcome.FAILED_REFUSED)

    paused = store.close(lease, job)

    assert paused is not None
    assert (paused.state, paused.paused_from) == (JobState.PAUSED, JobState.RUNNING)
    assert paused.waiting_on is not None
    assert paused.waiting_on.code is Waiting.CONFIRMATION
    assert "1 of the first 1 items failed" in paused.waiting_on.sentence
    store.jobs.change(job.id, control.resume(actor="ann"))
    assert len(store.due(lease, job)) == 2


def test_a_canary_waits_for_its_last_item(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": (), "p3": ()}, canary=2)
    store.settle(lease, store.due(lease, job)[0])
    store.settle(lease, store.item(job, "p2"), VERIFYING, RESET)

    assert store.close(lease, job) is None

    assert store.jobs.get(job.id).canary_position == 2


def test_a_job_as_small_as_its_canary_just_ends(store: Store) -> None:
    lease, job = store.running({"p1": ()}, canary=1)
    store.settle(lease, store.item(job, "p1"), Settle(outcome=Outcome.FAILED_REFUSED))

    assert end(store, lease, job) is JobState.FAILED
