"""What a new lease holder makes of the intents that a dead one left open, on both databases."""

from datetime import timedelta

from sqlalchemy import update

from tests.stores import GONE, KINDS, LENGTH, SEEN, Store, ids_of, seen
from worker.domain.audit import Event
from worker.domain.calls import PROJECT, Answer, Reading
from worker.domain.decide import decide
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState, JobState
from worker.domain.steps import Case, GoOn, Progress, Settle, Step
from worker.ports import Batch
from worker.services import control
from worker.store.models import ACCOUNTS
from worker.store.presence import take_named_lease

RESET = Answer(verdict=Verdict.AMBIGUOUS, error_class="reset")
THERE = Answer(
    verdict=Verdict.SEEN, reading=Reading(projects=(seen(PROJECT, "p1", name="project p1"),))
)


def test_a_deletion_that_may_have_been_sent_is_looked_at_first(store: Store) -> None:
    old, job = store.running({"p1": (), "p2": ()})
    store.open(old, store.item(job, "p1"))

    lease = store.taken_over("w2")

    item = store.item(job, "p1")
    assert item.progress == Progress(step=Step.LOOK, attempts=1, lost=1, takeovers=1)
    assert ids_of(store.due(lease, job)) == ["p1", "p2"]
    lost = store.log(event=Event.ATTEMPT_LOST)
    assert [(e.item_id, e.attempt, e.actor, e.outcome) for e in lost] == [(item.id, 1, "w2", None)]
    assert lost[0].detail == {"step": "delete", "takeover": 1}


def test_a_read_that_was_lost_is_simply_due_again(store: Store) -> None:
    job = store.submit("p1", cascade=KINDS)
    old = store.lease()
    store.open(old, store.item(job, "p1"))

    lease = store.taken_over("w2")

    assert store.item(job, "p1").progress == Progress(step=Step.READ, takeovers=1)
    assert ids_of(store.due(lease, job)) == ["p1"]
    assert [entry.attempt for entry in store.log(event=Event.ATTEMPT_LOST)] == [None]


def test_a_read_goes_on_at_the_source_where_its_holder_died(store: Store) -> None:
    job = store.submit("p1", cascade=KINDS)
    old = store.lease()
    store.settle(
        old, store.item(job, "p1"), GoOn(progress=Progress(step=Step.READ, source=1)), SEEN
    )
    store.open(old, store.item(job, "p1"))

    store.taken_over()

    assert store.item(job, "p1").progress == Progress(step=Step.READ, source=1, takeovers=1)


def test_a_look_that_was_lost_is_a_look_again_and_no_second_attempt(store: Store) -> None:
    old, job = store.running()
    store.open(old, store.item(job, "p1"))
    second = store.taken_over("w2")
    store.open(second, store.item(job, "p1"))

    store.taken_over("w3")

    assert store.item(job, "p1").progress == Progress(
        step=Step.LOOK, attempts=1, lost=1, takeovers=2
    )


def test_a_page_of_the_listing_that_was_lost_is_read_again(store: Store) -> None:
    job = store.submit("p1")
    old = store.lease()
    store.work.commit(old, Batch(listing=[job.id]), LENGTH)

    lease = store.taken_over("w2")

    lost = store.log(event=Event.ATTEMPT_LOST)
    assert [(entry.item_id, entry.detail) for entry in lost] == [
        (None, {"action": "list", "page": "1"})
    ]
    store.work.give_lease(lease, None)
    store.lease("w3")
    assert len(store.log(event=Event.ATTEMPT_LOST)) == 1


def test_intents_are_taken_back_once(store: Store) -> None:
    old, job = store.running({"p1": (), "p2": (), "p3": ()})
    store.open(old, *store.due(old, job)[:2])

    store.taken_over("w2")
    store.taken_over("w3")

    assert len(store.log(event=Event.ATTEMPT_LOST)) == 2
    assert store.states(job) == dict.fromkeys(("p1", "p2", "p3"), "pending")


def test_a_lease_given_back_leaves_nothing_to_take_back(store: Store) -> None:
    old, job = store.running()
    store.settle(old, store.item(job, "p1"), GoOn(progress=Progress(step=Step.LOOK)), RESET)
    store.work.give_lease(old, None)

    store.lease("w2")

    assert store.log(event=Event.ATTEMPT_LOST) == []


def test_intents_of_a_paused_job_are_taken_back_too(store: Store) -> None:
    old, job = store.running()
    store.open(old, store.item(job, "p1"))
    store.jobs.change(job.id, control.pause(actor="ann"))

    store.taken_over()

    assert store.item(job, "p1").progress.step is Step.LOOK
    assert store.jobs.get(job.id).state is JobState.PAUSED


def test_what_was_gone_at_the_look_is_deleted_by_the_lost_attempt(store: Store) -> None:
    old, job = store.running()
    store.open(old, store.item(job, "p1"))
    lease = store.taken_over()
    item = store.item(job, "p1")
    absent = Answer(verdict=Verdict.ABSENT, http_status=404)

    decision = decide(Case(seen=item.seen), item.progress, absent, RetryPolicy(), 0.5)
    store.settle(lease, item, decision, absent)

    assert store.outcomes(job) == {"p1": Outcome.DELETED}
    assert "lost" in store.item(job, "p1").reason


def test_after_three_dead_holders_an_item_is_given_up(store: Store) -> None:
    lease, job = store.running()
    policy = RetryPolicy()

    for _ in range(3):
        item = store.item(job, "p1")
        store.open(lease, item)
        lease = store.taken_over()
        item = store.item(job, "p1")
        decision = decide(Case(seen=item.seen), item.progress, THERE, policy, 0.0)
        store.settle(lease, item, decision, THERE)

    ended = store.item(job, "p1")
    assert (ended.outcome, ended.progress.takeovers) == (Outcome.FAILED_EXHAUSTED, 3)
    assert "3 takeovers" in ended.reason


def test_a_project_whose_reading_ends_its_worker_again_and_again_is_given_up(
    store: Store,
) -> None:
    job = store.submit("p1", "p2", cascade=KINDS)
    lease = store.lease()
    for number in range(3):
        store.open(lease, store.item(job, "p1"))
        lease = store.taken_over(f"w{number}")

    item = store.item(job, "p1")
    assert (item.outcome, item.progress.takeovers) == (Outcome.FAILED_PRECHECK, 2)
    assert ids_of(store.due(lease, job)) == ["p2"]
    assert len(store.log(event=Event.ATTEMPT_LOST)) == 3
    store.check_job(job)


def test_a_look_that_ends_its_worker_again_and_again_leaves_it_unknown(store: Store) -> None:
    lease, job = store.running()
    for number in range(6):
        assert store.item(job, "p1").state != ItemState.SETTLED
        store.open(lease, store.item(job, "p1"))
        lease = store.taken_over(f"w{number}")

    item = store.item(job, "p1")
    assert (item.outcome, item.progress.attempts) == (Outcome.UNKNOWN, 1)
    store.check_job(job)


def test_a_lease_from_before_the_clock_went_back_is_void_at_the_next_sweep(store: Store) -> None:
    lease, _ = store.running()
    with store.db.write() as conn:
        ahead = lease.until + timedelta(hours=1)
        conn.execute(update(ACCOUNTS).values(lease_until=ahead, next_wake_at=ahead))

    assert store.accounts.heal() == 1
    assert store.accounts.due(timedelta(0)) == [(store.account, timedelta(0))]
    assert store.work.take_lease(store.account, "w2", LENGTH) is not None


def test_a_named_right_from_before_the_clock_went_back_is_nobodys(store: Store) -> None:
    assert take_named_lease(store.db, "sweep", "w1", timedelta(hours=1))

    assert take_named_lease(store.db, "sweep", "w2", timedelta(seconds=10))
    assert not take_named_lease(store.db, "sweep", "w3", timedelta(seconds=10))


def test_other_accounts_are_left_alone(store: Store) -> None:
    old, job = store.running()
    store.open(old, store.item(job, "p1"))
    store.submit("p1", account="crm")

    assert store.work.take_lease("crm", "w2", LENGTH) is not None
    assert store.states(job) == {"p1": "sent"}


def test_a_scheduled_job_starts_when_its_time_has_come(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()
    store.confirm(store.freeze(lease, job))
    store.work.give_lease(lease, None)
    assert store.jobs.get(job.id).state is JobState.SCHEDULED

    store.lease()

    started = store.jobs.get(job.id)
    assert started.state is JobState.RUNNING
    assert started.started_at is not None
    assert store.log(job=job.id)[-1].detail["to"] == "running"


def test_a_deferred_item_is_not_due_for_a_new_holder_either(store: Store) -> None:
    old, job = store.running()
    item = store.item(job, "p1")
    later = GoOn(progress=item.progress, after=timedelta(minutes=1), state=ItemState.DEFERRED)
    store.settle(old, item, later, RESET)

    lease = store.taken_over()

    assert store.due(lease, job) == []


def test_an_answer_after_a_takeover_settles_nothing_twice(store: Store) -> None:
    old, job = store.running()
    item = store.item(job, "p1")
    store.open(old, item)
    lease = store.taken_over()
    store.work.late(old, [store.done(item, GONE)])

    store.settle(lease, store.item(job, "p1"), Settle(outcome=Outcome.DELETED), SEEN)

    outcomes = [entry.outcome for entry in store.log(item_id=item.id)]
    assert outcomes == [None, None, "deleted"]
