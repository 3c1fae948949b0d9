"""The lease and the group commit, on both databases."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from tests.audits import triggers_off
from tests.stores import (
    ACCOUNT,
    GONE,
    KINDS,
    LENGTH,
    SEEN,
    Store,
    a_new_job,
    ids_of,
    seen,
)
from worker.domain.audit import Event
from worker.domain.bulk import Bulk
from worker.domain.calls import PROJECT, Action, Answer, Call, Reading
from worker.domain.errors import LeaseLost, Unreachable
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.repeats import Page, Trail, after
from worker.domain.states import ItemState, JobState, Waiting
from worker.domain.steps import GoOn, Progress, Settle, Step
from worker.ports import Batch, Change, Done, Job, ListingProgress, WaitingOn
from worker.services import control
from worker.store.leases import EARLY

NOW = timedelta(0)
MINUTE = timedelta(minutes=1)
REFUSED = Answer(verdict=Verdict.REFUSED, http_status=400, provider_code="9001", message="no")
FAILED = Settle(outcome=Outcome.FAILED_REFUSED, reason="no")
RESET = Answer(verdict=Verdict.AMBIGUOUS, error_class="reset")
LOOK = GoOn(progress=Progress(step=Step.LOOK, attempts=1, lost=1))
FAMILY = {
    "p1": [("user", "u1"), ("task", "t1"), ("comment", "c1"), ("document", "d1"), ("task", "t2")]
}


# --- the lease ---------------------------------------------------------------------


def test_an_account_without_a_job_cannot_be_worked(store: Store) -> None:
    assert store.work.take_lease(ACCOUNT, "w1", LENGTH) is None


def test_one_worker_holds_an_account_at_a_time(store: Store) -> None:
    store.submit("p1")

    lease = store.lease("w1")

    assert store.work.take_lease(ACCOUNT, "w2", LENGTH) is None
    assert store.work.take_lease(ACCOUNT, "w1", LENGTH) is None
    assert store.accounts.get(ACCOUNT).lease_owner == "w1"
    assert lease.until - lease.now == LENGTH


def test_a_lease_given_back_is_free_and_its_token_never_comes_again(store: Store) -> None:
    store.submit("p1")
    first = store.lease("w1")
    store.work.give_lease(first, None)

    second = store.lease("w2")

    assert second.token == first.token + 1
    assert store.work.give_lease(first, MINUTE) is None
    assert store.accounts.get(ACCOUNT).lease_owner == "w2"


def test_a_ring_before_an_account_is_due_takes_no_lease(store: Store) -> None:
    store.submit("p1")
    store.work.give_lease(store.lease(), MINUTE)

    assert store.work.take_lease(ACCOUNT, "w1", LENGTH) is None
    assert [name for name, _ in store.accounts.due(2 * MINUTE)] == [ACCOUNT]


def test_a_ring_a_moment_before_an_account_is_due_is_in_time(store: Store) -> None:
    store.submit("p1")
    store.work.give_lease(store.lease(), EARLY * 0.9)

    assert store.work.take_lease(ACCOUNT, "w1", LENGTH) is not None


def test_whoever_changes_a_job_makes_its_account_due(store: Store) -> None:
    job = store.submit("p1")
    store.work.give_lease(store.lease(), MINUTE)

    store.cancel(job)

    assert store.work.take_lease(ACCOUNT, "w1", LENGTH) is not None


def test_a_dead_lease_is_taken_over_and_the_old_one_is_lost(store: Store) -> None:
    old, job = store.running()
    item = store.due(old, job)[0]
    store.open(old, item)

    store.taken_over("w2")

    with pytest.raises(LeaseLost):
        store.land(old, item)
    with pytest.raises(LeaseLost):
        store.work.commit(old, Batch(opens=[item]), LENGTH)
    with pytest.raises(LeaseLost):
        store.ends.leave_out(old, job, "late")
    with pytest.raises(LeaseLost):
        store.ends.close(old, job)
    with pytest.raises(LeaseLost):
        store.accounts.park(old, code="credentials", text="no", secret="s")
    assert store.outcomes(job) == {"p1": None}


def test_every_commit_renews_the_lease(store: Store) -> None:
    store.submit("p1")
    lease = store.lease(length=MINUTE)

    renewed = store.work.commit(lease, Batch(), 10 * MINUTE).lease

    assert renewed.until - renewed.now == 10 * MINUTE
    assert renewed.now >= lease.now
    assert store.accounts.get(ACCOUNT).lease_until == renewed.until


def test_a_lease_that_ran_out_but_was_not_taken_is_still_ours(store: Store) -> None:
    lease, job = store.running()
    store.kill_holder()

    store.settle(lease, store.due(lease, job)[0])

    assert store.outcomes(job) == {"p1": Outcome.DELETED}


def test_an_account_is_due_at_once_should_its_holder_die(store: Store) -> None:
    lease, _ = store.running()

    assert store.accounts.due(NOW) == []
    store.kill_holder()

    assert store.accounts.due(NOW) == [(ACCOUNT, NOW)]
    assert lease.token < store.lease("w2").token


def test_a_bell_rung_during_a_slice_wins_over_everything(store: Store) -> None:
    lease, _ = store.running()

    store.submit("p9")

    assert store.work.give_lease(lease, MINUTE) == NOW


# --- when an account is due again --------------------------------------------------


def test_an_account_is_due_when_its_caller_says(store: Store) -> None:
    lease, _ = store.running()

    assert store.work.give_lease(lease, MINUTE) == MINUTE
    assert store.accounts.due(NOW) == []
    assert [name for name, _ in store.accounts.due(2 * MINUTE)] == [ACCOUNT]


def test_an_account_with_work_left_is_due_now(store: Store) -> None:
    lease, _ = store.running()

    assert store.work.give_lease(lease, None) == NOW


def test_an_account_is_due_when_its_next_deferred_item_is(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    one, two = store.due(lease, job)
    later = GoOn(progress=one.progress, after=5 * MINUTE, state=ItemState.DEFERRED)
    sooner = GoOn(progress=LOOK.progress, after=2 * MINUTE, state=ItemState.VERIFYING)
    store.settle(lease, one, later, RESET)
    store.settle(lease, two, sooner, RESET)

    wake = store.work.give_lease(lease, None)

    assert wake is not None
    assert MINUTE < wake <= 2 * MINUTE


def test_an_account_is_never_due_while_its_jobs_wait_for_people(store: Store) -> None:
    lease, job = store.running()
    store.jobs.change(job.id, control.pause(actor="ann"))
    store.work.give_lease(lease, None)  # the bell of that pause

    assert store.work.give_lease(store.lease(), None) is None
    assert store.accounts.get(ACCOUNT).next_wake_at is None


def test_an_account_is_due_when_its_scheduled_job_starts(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()
    frozen = store.freeze(lease, job)
    grace = control.ConfirmRules(auto_confirm_max=9, grace_above=0, grace=10 * MINUTE)
    store.jobs.change(
        job.id, control.confirm(grace, actor="ann", word=frozen.plan.word, yes=False)
    )
    store.work.give_lease(lease, None)

    wake = store.work.give_lease(store.lease(), None)

    assert wake is not None
    assert 9 * MINUTE < wake <= 10 * MINUTE
    assert store.jobs.get(job.id).state is JobState.SCHEDULED


def test_an_account_is_due_when_the_next_page_of_a_listing_is(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()
    store.work.commit(lease, Batch(listing=[job.id]), LENGTH)
    page = a_page(job.id, ListingProgress(cursor="", pages=0, tries=1, after=MINUTE))
    store.work.commit(lease, Batch(done=[page]), LENGTH)

    wake = store.work.give_lease(lease, None)

    assert wake is not None
    assert NOW < wake <= MINUTE


def test_what_waits_for_the_canary_does_not_keep_an_account_awake(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": (), "p3": ()}, canary=1)
    item = store.due(lease, job)[0]
    store.settle(lease, item, GoOn(progress=item.progress, after=MINUTE, state=ItemState.DEFERRED))

    wake = store.work.give_lease(lease, None)

    assert wake is not None
    assert NOW < wake <= MINUTE


def test_a_stopping_job_that_only_waits_for_a_look_does_not_keep_an_account_awake(
    store: Store,
) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    item = store.due(lease, job)[0]
    store.settle(
        lease, item, GoOn(progress=LOOK.progress, after=MINUTE, state=ItemState.VERIFYING), RESET
    )
    store.cancel(job)
    store.stop(lease, job)
    store.work.give_lease(lease, None)

    wake = store.work.give_lease(store.lease(), None)

    assert wake is not None
    assert NOW < wake <= MINUTE


def test_a_job_with_nothing_left_is_due_now_to_be_ended(store: Store) -> None:
    lease, job = store.running()
    store.settle(lease, store.due(lease, job)[0])

    assert store.work.give_lease(lease, None) == NOW


# --- intents and outcomes ----------------------------------------------------------


def test_an_open_intent_is_loaded_by_nobody(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})

    store.open(lease, store.due(lease, job)[0])

    assert ids_of(store.due(lease, job)) == ["p2"]
    assert store.states(job) == {"p1": "sent", "p2": "pending"}


def test_an_intent_opens_once(store: Store) -> None:
    lease, job = store.running()
    item = store.due(lease, job)[0]
    store.open(lease, item)

    with pytest.raises(RuntimeError, match="intent"):
        store.open(lease, item)
    store.land(lease, item)
    with pytest.raises(RuntimeError, match="intent"):
        store.open(lease, item)

    assert store.outcomes(job) == {"p1": Outcome.DELETED}


def test_an_item_does_not_end_twice(store: Store) -> None:
    lease, job = store.running()
    item = store.due(lease, job)[0]
    store.settle(lease, item)

    with pytest.raises(RuntimeError, match="outcome already"):
        store.land(lease, item, FAILED, REFUSED)

    assert store.outcomes(job) == {"p1": Outcome.DELETED}


def test_a_settled_item_and_its_entry_are_written_together(store: Store) -> None:
    lease, job = store.running()
    item = store.due(lease, job)[0]

    store.settle(lease, item, FAILED, REFUSED)

    ended, entry = store.item(job, "p1"), store.log(job=job.id)[-1]
    assert (ended.outcome, ended.reason, ended.http_status) == (Outcome.FAILED_REFUSED, "no", 400)
    assert (entry.event, entry.outcome, entry.item_id) == (Event.CALL, "failed_refused", item.id)
    assert (entry.verdict, entry.provider_code, entry.attempt) == ("refused", "9001", 1)
    assert (entry.kind, entry.external_id, entry.actor) == (PROJECT, "p1", "w1")


def test_nothing_is_settled_if_the_audit_entry_cannot_be_written(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    one, two = store.due(lease, job)
    store.open(lease, one)
    entries = len(store.log())
    with triggers_off(store.db) as conn:
        conn.exec_driver_sql("ALTER TABLE audit_entries RENAME TO elsewhere")

    with pytest.raises((DBAPIError, Unreachable)):
        store.work.commit(lease, Batch(done=[store.done(one, GONE)], opens=[two]), LENGTH)

    with triggers_off(store.db) as conn:
        conn.exec_driver_sql("ALTER TABLE elsewhere RENAME TO audit_entries")
    assert store.states(job) == {"p1": "sent", "p2": "pending"}
    assert len(store.log()) == entries


def test_one_commit_settles_what_came_back_and_opens_what_leaves(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": (), "p3": ()})
    one, two, three = store.due(lease, job)
    store.open(lease, one, two)
    done = [store.done(one, GONE), store.done(two, FAILED, REFUSED)]

    committed = store.work.commit(lease, Batch(done=done, opens=[three]), LENGTH)

    assert [job.id for job in committed.jobs] == [job.id]
    assert store.states(job) == {"p1": "settled", "p2": "settled", "p3": "sent"}
    assert store.jobs.counts(job.id).by_outcome == {
        Outcome.DELETED: 1,
        Outcome.FAILED_REFUSED: 1,
    }


def test_a_commit_shows_the_jobs_as_people_left_them(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    urgent = store.submit("p7", priority=9)
    store.jobs.change(job.id, control.pause(actor="ann"))

    committed = store.work.commit(lease, Batch(), LENGTH)

    assert [one.id for one in committed.jobs] == [urgent.id]


def test_an_answer_for_a_job_paused_meanwhile_still_counts(store: Store) -> None:
    lease, job = store.running()
    item = store.due(lease, job)[0]
    store.open(lease, item)
    store.jobs.change(job.id, control.pause(actor="ann"))

    store.land(lease, item)

    assert store.outcomes(job) == {"p1": Outcome.DELETED}
    assert store.jobs.get(job.id).state is JobState.PAUSED


def test_a_call_without_an_outcome_leaves_an_entry_and_a_due_time(store: Store) -> None:
    lease, job = store.running()
    item = store.due(lease, job)[0]

    store.settle(lease, item, LOOK, RESET)

    again = store.item(job, "p1")
    assert (again.progress, again.state, again.outcome) == (LOOK.progress, "pending", None)
    entry = store.log(job=job.id)[-1]
    assert (entry.event, entry.outcome, entry.error_class) == (Event.CALL, None, "reset")


def test_a_look_at_a_child_leaves_the_outcome_on_an_entry_of_its_own(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1")]})
    store.settle(lease, store.item(job, "t1"), LOOK, RESET)
    child = store.item(job, "t1")

    store.settle(lease, child, GONE, SEEN)

    call, settled = store.log(job=job.id, event=Event.CALL)[-1], store.log(kind="task")[-1]
    assert (call.kind, call.external_id, call.outcome) == (PROJECT, "p1", None)
    assert (settled.event, settled.outcome) == (Event.ITEM_SETTLED, "deleted")
    assert (settled.item_id, settled.external_id) == (child.id, "t1")


def test_a_look_shared_by_two_settles_each_by_itself(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1"), ("task", "t2")]})
    store.settle(lease, store.item(job, "t1"), LOOK, RESET)
    store.settle(lease, store.item(job, "t2"), LOOK, RESET)
    one, two = store.item(job, "t1"), store.item(job, "t2")
    store.open(lease, one, two)
    there = GoOn(progress=Progress(step=Step.DELETE, attempts=1, lost=1))
    changes = (Change(item=one, decision=GONE), Change(item=two, decision=there))

    store.work.commit(lease, Batch(done=[store.done(one, GONE, SEEN, changes=changes)]), LENGTH)

    assert store.outcomes(job) == {"p1": None, "t1": Outcome.DELETED, "t2": None}
    assert store.log(item_id=one.id)[-1].outcome == "deleted"


def test_a_call_for_many_has_one_entry_and_one_for_each_outcome(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    items = store.due(lease, job)
    store.open(lease, *items)
    call = Call(action=Action.DELETE, targets=tuple(item.seen.target for item in items))
    changes = tuple(Change(item=item, decision=GONE) for item in items)
    done = Done(job_id=job.id, call=call, answer=SEEN, changes=changes)

    store.work.commit(lease, Batch(done=[done]), LENGTH)

    last = store.log(job=job.id)[-3:]
    assert [entry.event for entry in last] == [Event.CALL, Event.ITEM_SETTLED, Event.ITEM_SETTLED]
    assert [entry.outcome for entry in last] == [None, "deleted", "deleted"]
    assert last[0].detail["ids"] == ["p1", "p2"]


def test_text_of_the_provider_is_kept_short_and_plain(store: Store) -> None:
    lease, job = store.running()
    item = store.due(lease, job)[0]
    said = "no\x1b[2J\x00\ud800 " + 400 * "ü"
    answer = Answer(verdict=Verdict.REFUSED, message=said)

    store.settle(lease, item, Settle(outcome=Outcome.FAILED_REFUSED, reason=said), answer)

    reason = store.item(job, "p1").reason
    assert len(reason) == 300
    assert reason.isprintable()


def test_calls_whose_lease_was_lost_are_written_down_and_decide_nothing(store: Store) -> None:
    old, job = store.running()
    item = store.due(old, job)[0]
    store.open(old, item)
    lease = store.taken_over()

    store.work.late(old, [store.done(item, GONE)])

    late = store.log(event=Event.CALL_LATE)[0]
    assert (late.item_id, late.verdict, late.outcome) == (item.id, "deleted", None)
    assert (late.actor, late.attempt) == ("w1", 1)
    assert ids_of(store.due(lease, job)) == ["p1"]


def test_calls_can_come_late_after_their_job_has_ended(store: Store) -> None:
    old, job = store.running()
    item = store.due(old, job)[0]
    store.open(old, item)
    lease = store.taken_over()
    store.settle(lease, store.due(lease, job)[0], GONE, SEEN)
    store.close(lease, job)

    store.work.late(old, [store.done(item, GONE)])

    assert store.log(job=job.id)[-1].event == Event.CALL_LATE
    assert store.jobs.get(job.id).state is JobState.SUCCEEDED


def test_what_a_job_waits_for_is_kept_since_it_began(store: Store) -> None:
    lease, job = store.running()
    wait = WaitingOn(code=Waiting.RATE_LIMIT, sentence="100 of 100 calls used")
    store.work.give_lease(lease, None, {job.id: wait})
    first = store.jobs.get(job.id).waiting_on

    other = WaitingOn(code=Waiting.RATE_LIMIT, sentence="99 of 100 calls used")
    store.work.give_lease(store.lease(), None, {job.id: other})

    second = store.jobs.get(job.id).waiting_on
    assert first is not None
    assert second is not None
    assert second.sentence == "99 of 100 calls used"
    assert second.since == first.since is not None


def test_a_job_that_verifies_says_when_its_next_look_is_due(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    sent = Progress(step=Step.LOOK, attempts=1, lost=1, looks=1)
    soon, late = (
        GoOn(progress=sent, after=timedelta(seconds=wait), state=ItemState.VERIFYING)
        for wait in (0.5, 600)
    )
    store.settle(lease, store.item(job, "p1"), late)
    store.settle(lease, store.item(job, "p2"), soon)
    looking = WaitingOn(code=Waiting.DEPENDENCY, sentence="lost answers are being looked up")

    store.work.give_lease(lease, None, {job.id: looking})

    assert _wake(store, job) == store.item(job, "p2").due_at
    lease = store.lease()
    store.settle(lease, store.item(job, "p2"), GONE)
    store.work.give_lease(lease, None, {job.id: looking})
    assert _wake(store, job) == store.item(job, "p1").due_at


def _wake(store: Store, job: Job) -> datetime | None:
    waiting = store.jobs.get(job.id).waiting_on
    assert waiting is not None
    return waiting.next_wake


# --- a page of the listing ---------------------------------------------------------


def a_page(job_id: str, listing: ListingProgress, *changes: Change) -> Done:
    call = Call(action=Action.LIST, cursor="")
    answer = Answer(verdict=Verdict.SEEN, reading=Reading(next_cursor=listing.cursor))
    return Done(job_id=job_id, call=call, answer=answer, changes=changes, listing=listing)


def test_a_page_moves_the_listing_on_and_shows_what_it_saw(store: Store) -> None:
    job = store.submit("p1", "p2")
    lease = store.lease()
    matched = store.work.match(job.id, ["p2", "p3"])
    shown = seen(PROJECT, "p2", name="Two", created="2020-01-01")
    changes = [Change(item=i, decision=GoOn(progress=i.progress), seen=shown) for i in matched]
    page = a_page(job.id, ListingProgress(cursor="2", pages=1), *changes)

    store.work.commit(lease, Batch(listing=[job.id]), LENGTH)
    committed = store.work.commit(lease, Batch(done=[page]), LENGTH)

    assert ids_of(matched) == ["p2"]
    assert (committed.jobs[0].list_cursor, committed.jobs[0].list_pages) == ("2", 1)
    assert store.item(job, "p2").seen.name == "Two"
    assert store.plans.unseen(job.id) == 1


def test_what_pages_show_against_the_filters_adds_up(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()

    for number in (1, 2):
        page = a_page(job.id, ListingProgress(cursor="2", pages=number, strays=3, believed=1))
        store.work.commit(lease, Batch(listing=[job.id]), LENGTH)
        store.work.commit(lease, Batch(done=[page]), LENGTH)

    (there,) = store.work.commit(lease, Batch(), LENGTH).jobs
    plan = there.plan
    assert (plan.strays, plan.believed) == (6, 2)


def test_where_a_listing_came_by_is_kept_with_its_job(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()
    trail = after(Trail(), Page(ids=["p1"], following="2"))
    page = a_page(job.id, ListingProgress(cursor="2", pages=1, bulk=Bulk(trail=trail)))

    store.work.commit(lease, Batch(listing=[job.id]), LENGTH)
    store.work.commit(lease, Batch(done=[page]), LENGTH)

    assert store.jobs.get(job.id).bulk.trail == trail


# --- children before their project -------------------------------------------------


def test_kinds_go_one_after_another_and_the_project_last(store: Store) -> None:
    lease, job = store.running(FAMILY)
    gone = []

    for _ in range(5):
        items = store.due(lease, job)
        gone.append(sorted(ids_of(items)))
        for item in items:
            store.settle(lease, item)

    assert gone == [["c1"], ["d1"], ["t1", "t2"], ["u1"], ["p1"]]
    assert store.jobs.counts(job.id).by_outcome == {Outcome.DELETED: 6}


def test_a_kind_waits_for_all_of_the_kind_before(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1"), ("task", "t2"), ("user", "u1")]})

    store.settle(lease, store.item(job, "t1"))
    assert store.states(job)["u1"] == "blocked"
    store.settle(lease, store.item(job, "t2"), FAILED, REFUSED)

    assert store.states(job)["u1"] == "pending"
    assert store.states(job)["p1"] == "blocked"


def test_projects_do_not_wait_for_each_other(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1")], "p2": [("user", "u2")], "p3": ()})

    assert ids_of(store.due(lease, job)) == ["t1", "u2", "p3"]


def test_a_child_that_stays_makes_its_project_dependency_failed(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1"), ("user", "own1")]})

    store.settle(lease, store.item(job, "t1"), FAILED, REFUSED)

    project = store.item(job, "p1")
    assert project.outcome is Outcome.DEPENDENCY_FAILED
    assert project.reason == "task t1 ended failed_refused (code 9001)"
    assert store.item(job, "own1").outcome is Outcome.DEPENDENCY_FAILED
    settled = store.log(item_id=project.id)[-1]
    assert (settled.event, settled.outcome) == (Event.ITEM_SETTLED, "dependency_failed")


def test_a_project_can_go_although_a_child_stays(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1")]}, on_child_refused="proceed")

    store.settle(lease, store.item(job, "t1"), FAILED, REFUSED)

    assert ids_of(store.due(lease, job)) == ["p1"]


def test_a_project_is_looked_at_again_just_before_it_goes(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1")]}, recheck=True)

    store.settle(lease, store.item(job, "t1"))

    assert [item.progress.step for item in store.due(lease, job)] == [Step.RECHECK]


def test_children_that_go_with_their_project_end_as_it_does(store: Store) -> None:
    tree = {"p1": [("user", "own1"), ("task", "t1")], "p2": [("user", "own2")]}
    lease, job = store.running(tree)
    store.settle(lease, store.item(job, "t1"))

    store.settle(lease, store.item(job, "p1"))
    store.settle(lease, store.item(job, "p2"), FAILED, REFUSED)

    assert store.outcomes(job) == {
        "p1": Outcome.DELETED,
        "own1": Outcome.DELETED_WITH_PARENT,
        "t1": Outcome.DELETED,
        "p2": Outcome.FAILED_REFUSED,
        "own2": Outcome.DEPENDENCY_FAILED,
    }
    assert store.item(job, "own1").reason == "its project ended deleted"


def test_a_project_that_was_spared_spares_what_goes_with_it(store: Store) -> None:
    lease, job = store.running({"p1": [("user", "own1")]})

    store.settle(lease, store.item(job, "p1"), Settle(outcome=Outcome.SKIPPED_CHANGED))

    assert store.outcomes(job) == dict.fromkeys(("p1", "own1"), Outcome.SKIPPED_CHANGED)


def test_protected_while_planning_means_its_children_too(store: Store) -> None:
    job = store.submit("p1", "p2", cascade=KINDS)
    lease = store.lease()
    item = store.item(job, "p1")
    store.open(lease, item)
    half = GoOn(progress=Progress(step=Step.READ, source=1))
    below = (seen("task", "t1", "p1"), seen("user", "u1", "p1", goes_with_parent=True))
    store.work.commit(lease, Batch(done=[store.done(item, half, SEEN, children=below)]), LENGTH)
    spared = Settle(outcome=Outcome.SKIPPED_PROTECTED, reason="protected name pattern *KEEP*")

    store.settle(lease, store.item(job, "p1"), spared, SEEN)

    spared_ones = dict.fromkeys(("p1", "t1", "u1"), Outcome.SKIPPED_PROTECTED)
    assert store.outcomes(job) == spared_ones | {"p2": None}


def test_children_found_twice_are_one_item(store: Store) -> None:
    job = store.submit("p1", cascade=KINDS)
    lease = store.lease()
    half = GoOn(progress=Progress(step=Step.READ, source=1))
    task = seen("task", "t1", "p1")

    item = store.item(job, "p1")
    for below in ((task, task), (task, seen("task", "t2", "p1"))):
        store.open(lease, item)
        done = store.done(item, half, SEEN, children=below)
        store.work.commit(lease, Batch(done=[done]), LENGTH)

    assert ids_of(store.jobs.items(job.id)) == ["t1", "t2", "p1"]
    assert store.work.children([item.id]) == {item.id: {("task", "t1"), ("task", "t2")}}


# --- what is loaded ----------------------------------------------------------------


def test_items_that_came_back_go_before_new_ones(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": (), "p3": ()})
    last = store.item(job, "p3")
    store.settle(lease, last, GoOn(progress=last.progress, after=MINUTE, state=ItemState.DEFERRED))

    assert ids_of(store.due(lease, job)) == ["p1", "p2"]
    store.make_due()

    assert ids_of(store.due(lease, job)) == ["p3", "p1", "p2"]
    assert ids_of(store.due(lease, job, limit=2)) == ["p3", "p1"]


def test_only_the_canary_goes_first(store: Store) -> None:
    lease, job = store.running({"p1": [("task", "t1")], "p2": [("task", "t2")]}, canary=1)

    assert ids_of(store.due(lease, job)) == ["t1"]


def test_a_stopping_job_only_looks(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    store.settle(lease, store.item(job, "p1"), LOOK, RESET)

    store.cancel(job)

    assert ids_of(store.due(lease, job)) == ["p1"]


# --- parking -----------------------------------------------------------------------


def test_a_parked_account_says_why_until_it_goes_on(store: Store) -> None:
    lease, _ = store.running()

    store.accounts.park(lease, code="credentials", text="token refused", secret="abc")

    row = store.accounts.get(ACCOUNT)
    assert (row.parked_code, row.parked_secret) == ("credentials", "abc")
    assert store.accounts.unpark(ACCOUNT, actor="ann", why="a new token")
    assert not store.accounts.unpark(ACCOUNT, actor="ann", why="a new token")
    assert store.accounts.get(ACCOUNT).parked_code == ""
    events = [entry.event for entry in store.log() if entry.job_id is None]
    assert events == [Event.ACCOUNT_PARKED, Event.ACCOUNT_RESUMED]


def test_a_lost_account_is_healed(store: Store) -> None:
    lease, job = store.running()
    store.jobs.change(job.id, control.pause(actor="ann"))
    store.work.give_lease(lease, None)
    store.work.give_lease(store.lease(), None)

    assert store.accounts.heal() == 0
    store.jobs.change(job.id, control.resume(actor="ann"))
    with store.db.write() as conn:
        conn.exec_driver_sql("UPDATE accounts SET next_wake_at = NULL")

    assert store.accounts.heal() == 1
    assert store.accounts.due(NOW) == [(ACCOUNT, NOW)]


def test_an_account_is_alone_until_another_is_due(store: Store) -> None:
    store.submit("p1")
    assert store.accounts.is_alone(ACCOUNT)

    store.jobs.submit(a_new_job(account="crm"), [(1, "p1")], lambda: "d", 4)

    assert not store.accounts.is_alone(ACCOUNT)
