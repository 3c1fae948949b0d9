"""Holds, the day of an account, and second persons, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError

from tests.stores import FREELY, GONE, LENGTH, Store
from worker.domain.errors import NotFound, Refused
from worker.domain.outcomes import Outcome
from worker.domain.states import JobState
from worker.ports import Batch, Job, NewHold, Who
from worker.services import control
from worker.store.confirmations import Confirmations
from worker.store.holds import SqlGuards, SqlHolds
from worker.store.models import APPROVALS, HOLDS

ADA, BOB = Who(name="ada", os_user="ada", host="desk"), Who(name="bob")
RULES = replace(FREELY, approval_over=1)
TREE = {"p1": [("task", "t1"), ("task", "t2")], "p2": [("task", "t3")]}


def hold(store: Store, *ids: str, account: str = "acme") -> list[int]:
    new = NewHold(account=account, external_ids=ids, owner="legal", reason="case 1", who=ADA)
    return [held.id for held in SqlHolds(store.db).add(new)]


def guards(store: Store) -> SqlGuards:
    return SqlGuards(store.db, LENGTH)


def frozen(store: Store, *ids: str) -> Job:
    """A job whose plan waits for its word."""
    job = store.submit(*ids, cascade=(), recheck=False)
    lease = store.lease()
    store.freeze(lease, job)
    store.work.give_lease(lease, None)
    return store.jobs.get(job.id)


def confirmed(store: Store, job: Job, *, rules: control.ConfirmRules = RULES) -> Job:
    decide = control.confirm(rules, actor="ann", word=None, yes=True)
    return Confirmations(store.db).confirm(job.id, decide)


# --- holds -------------------------------------------------------------------------


def test_a_hold_is_there_until_it_is_removed_and_both_are_audited(store: Store) -> None:
    (number,) = hold(store, "p1")
    assert set(guards(store).live("acme").by_id) == {"p1"}

    SqlHolds(store.db).remove(number, who=BOB, why="over")

    assert guards(store).live("acme").by_id == {}
    assert [(e.event, e.actor, e.external_id) for e in store.log(account="acme")] == [
        ("hold.added", "ada", "p1"),
        ("hold.removed", "bob", "p1"),
    ]
    (kept,) = SqlHolds(store.db).all("acme", ended=True)
    assert kept.removed_by == "bob"
    store.check()


def test_a_hold_is_removed_once(store: Store) -> None:
    (number,) = hold(store, "p1")
    SqlHolds(store.db).remove(number, who=BOB, why="over")

    with pytest.raises(NotFound):
        SqlHolds(store.db).remove(number, who=BOB, why="over")


def test_a_hold_that_ended_holds_nothing(store: Store) -> None:
    hold(store, "p1")
    with store.db.write() as conn:
        conn.execute(update(HOLDS).values(expires_at=store.jobs.now() - timedelta(seconds=1)))

    assert guards(store).live("acme").by_id == {}
    assert SqlHolds(store.db).all("acme", ended=False) == []


def test_planning_leaves_out_what_is_held_and_what_has_a_held_child(store: Store) -> None:
    job = store.submit("p1", "p2", "p3", cascade=("task",))
    lease = store.lease()
    store.read(lease, job, {**TREE, "p3": ()})
    hold(store, "t2", "p3")

    guards(store).skip_held(lease, job, guards(store).live("acme"))

    ends = store.outcomes(job)
    assert [ends[one] for one in ("p1", "t1", "t2", "p3")] == [Outcome.SKIPPED_HELD] * 4
    assert ends["p2"] is None
    store.check()


def test_no_intent_is_opened_for_what_is_held_by_now(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    items = store.due(lease, job)
    hold(store, "p2")

    committed = store.work.commit(lease, Batch(opens=items), LENGTH)

    assert committed.opened == frozenset()  # none of the job: a call may be about several
    assert set(guards(store).over("acme", items).why) == {items[1].id}
    assert set(store.states(job).values()) == {"pending"}


def test_a_held_child_keeps_its_project_in_the_background(store: Store) -> None:
    _, job = store.running(TREE, background=True)
    hold(store, "t3")
    projects = [store.item(job, "p1"), store.item(job, "p2")]

    spared = guards(store).over("acme", projects)

    assert list(spared.why) == [store.item(job, "p2").id]
    assert "its task t3: held by legal" in spared.why[store.item(job, "p2").id]


def test_holds_that_cannot_be_read_hold_everything(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    items = store.due(lease, job)
    with store.db.write() as conn:
        conn.execute(text("ALTER TABLE holds RENAME TO lost"))

    spared = guards(store).over("acme", items)

    assert set(spared.why) == {item.id for item in items}
    assert spared.outcome is Outcome.FAILED_PRECHECK
    assert guards(store).live("acme").unreadable


def test_holds_that_cannot_be_read_refuse_a_confirmation(store: Store) -> None:
    job = frozen(store, "p1", "p2")
    with store.db.write() as conn:
        conn.execute(text("ALTER TABLE holds RENAME TO lost"))

    with pytest.raises(Refused, match="holds cannot be read"):
        confirmed(store, job)

    assert store.jobs.get(job.id).state is JobState.AWAITING_CONFIRMATION


def test_a_hold_since_the_plan_refuses_its_confirmation(store: Store) -> None:
    job = frozen(store, "p1", "p2")
    hold(store, "p2")

    with pytest.raises(Refused, match="held since the plan"):
        confirmed(store, job)


# --- the day -----------------------------------------------------------------------


def test_the_day_counts_what_went_and_what_is_promised(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": (), "p3": ()})
    store.settle(lease, store.item(job, "p1"), GONE)
    store.work.give_lease(lease, None)

    frozen(store, "p8", "p9")  # waits for its word: promised to nobody

    assert guards(store).used_today("acme", but="") == 3
    assert guards(store).used_today("acme", but=job.id) == 1


def test_what_is_cancelled_is_promised_no_more(store: Store) -> None:
    _, job = store.running({"p1": (), "p2": ()})

    store.cancel(job)

    assert guards(store).used_today("acme", but="") == 0


def test_a_plan_over_the_day_is_not_confirmed(store: Store) -> None:
    store.running({"p1": (), "p2": ()})
    store.kill_holder()
    job = frozen(store, "p3", "p4")

    with pytest.raises(Refused, match="max_items_per_day 3"):
        confirmed(store, job, rules=replace(FREELY, max_items_per_day=3))


# --- the second person ---------------------------------------------------------------


def test_above_its_number_a_plan_waits_for_a_second_person(store: Store) -> None:
    job = confirmed(store, frozen(store, "p1", "p2"))

    assert job.state is JobState.AWAITING_APPROVAL


@pytest.mark.parametrize("name", ["ann", " ANN ", ""])
def test_the_first_person_is_refused_by_the_database(store: Store, name: str) -> None:
    job = confirmed(store, frozen(store, "p1", "p2"))
    decide = control.approve(RULES, actor=name)

    with pytest.raises(Refused, match="takes a second person"):
        Confirmations(store.db).second(
            job.id, decide, decision="approved", who=Who(name=name), why=""
        )

    assert store.jobs.get(job.id).state is JobState.AWAITING_APPROVAL
    store.check()


def test_a_second_person_lets_it_go(store: Store) -> None:
    job = confirmed(store, frozen(store, "p1", "p2"))
    decide = control.approve(RULES, actor="bob")

    after = Confirmations(store.db).second(
        job.id, decide, decision="approved", who=BOB, why="seen"
    )

    assert after.state is JobState.SCHEDULED
    store.check()


def test_a_second_person_decides_once(store: Store) -> None:
    job = confirmed(store, frozen(store, "p1", "p2"))
    second = Confirmations(store.db).second
    second(job.id, control.reject(actor="bob", why="no"), decision="rejected", who=BOB, why="no")

    with pytest.raises(Refused):
        second(job.id, control.approve(RULES, actor="bob"), decision="approved", who=BOB, why="")

    assert store.jobs.get(job.id).stopping == "rejected"


def test_an_approval_cannot_name_another_submitter(store: Store) -> None:
    job = frozen(store, "p1")
    forged = {
        "job_id": job.id,
        "submitter": "mallory",
        "confirmer": "mallory",
        "plan_hash": "0",
        "asked_at": store.jobs.now(),
    }

    with pytest.raises(IntegrityError), store.db.write() as conn:
        conn.execute(insert(APPROVALS).values(forged))


def test_a_decision_under_the_submitters_name_cannot_be_written_past_us(store: Store) -> None:
    job = confirmed(store, frozen(store, "p1", "p2"))

    ours = update(APPROVALS).where(APPROVALS.c.job_id == job.id)
    forged = ours.values(decision="approved", approver=job.who.name)

    with pytest.raises(IntegrityError), store.db.write() as conn:
        conn.execute(forged)
