"""What a worker does for an account that is not in its configuration, on both databases."""

from datetime import timedelta

from tests.stores import ACCOUNT, LENGTH, SEEN, Store
from worker.domain.calls import Answer
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import JobState, Waiting
from worker.domain.steps import GoOn, Progress, Step
from worker.ports import Job, WaitingOn
from worker.services.execute import PARKED_LOOK, end_without_account

SAID = "account acme is not in bulkdel.toml of w2"
RESET = Answer(verdict=Verdict.AMBIGUOUS, error_class="reset")
LOOK = GoOn(progress=Progress(step=Step.LOOK, attempts=1, lost=1))


def stand_in(store: Store) -> None:
    end_without_account(
        store.work, store.ends, account=ACCOUNT, owner="w2", lease=LENGTH, said=SAID
    )


def waiting(store: Store, job: Job) -> WaitingOn:
    there = store.jobs.get(job.id).waiting_on
    assert there is not None
    return there


def test_a_cancelled_job_ends_and_what_is_left_is_unprocessed(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1")], "p2": ()})
    store.settle(lease, store.item(job, "t1"))
    store.cancel(job)
    store.work.give_lease(lease, None)

    stand_in(store)

    assert store.jobs.get(job.id).state is JobState.CANCELLED
    assert store.outcomes(job) == {
        "t1": Outcome.DELETED,
        "p1": Outcome.UNPROCESSED,
        "p2": Outcome.UNPROCESSED,
    }


def test_a_job_cancelled_in_its_planning_ends(store: Store) -> None:
    job = store.submit("p1", "p2")
    store.cancel(job)

    stand_in(store)

    assert store.jobs.get(job.id).state is JobState.CANCELLED
    assert set(store.outcomes(job).values()) == {Outcome.UNPROCESSED}


def test_a_job_that_goes_on_says_whose_configuration_lacks_the_account(store: Store) -> None:
    lease, job = store.running()
    store.work.give_lease(lease, None)

    stand_in(store)

    said = waiting(store, job)
    assert (said.code, said.sentence) == (Waiting.CREDENTIALS, SAID)
    assert said.next_wake is not None
    assert said.since is not None
    assert said.next_wake - said.since <= PARKED_LOOK
    assert store.jobs.get(job.id).state is JobState.RUNNING


def test_what_must_be_looked_at_first_keeps_a_cancelled_job_and_it_says_why(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    store.settle(lease, store.item(job, "p1"), LOOK, RESET)
    store.cancel(job)
    store.work.give_lease(lease, None)

    stand_in(store)

    assert store.outcomes(job) == {"p1": None, "p2": Outcome.UNPROCESSED}
    assert store.jobs.get(job.id).finished_at is None
    assert waiting(store, job).sentence == SAID
    lease = store.rung()
    store.settle(lease, store.item(job, "p1"), answer=SEEN)
    assert store.close(lease, job) is not None


def test_an_account_that_another_worker_holds_is_left_to_it(store: Store) -> None:
    _, job = store.running()
    store.cancel(job)

    stand_in(store)

    assert store.outcomes(job) == {"p1": None}
    assert waiting(store, job).sentence != SAID


def test_the_account_is_looked_at_again_while_jobs_last_and_not_after(store: Store) -> None:
    lease, job = store.running()
    store.work.give_lease(lease, None)

    stand_in(store)
    within = [name for name, _ in store.accounts.due(PARKED_LOOK + timedelta(seconds=1))]
    store.cancel(job)
    store.kill_holder()
    stand_in(store)

    assert within == [ACCOUNT]
    assert list(store.accounts.due(timedelta(hours=2))) == []
