"""What a new lease holder finds open from the one before, and jobs whose time has come."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from worker.domain.audit import Entry, Event, job_chain
from worker.domain.calls import TIMER, Answer
from worker.domain.outcomes import Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ACTIVE, JobState, Waiting
from worker.domain.steps import Settle
from worker.domain.takeover import after_takeover
from worker.ports import Change, Job, Lease, WaitingOn
from worker.store import cascade
from worker.store.cascade import SettledItem
from worker.store.chain import append, lock_heads
from worker.store.changes import write_items
from worker.store.entries import of_lost, of_settled
from worker.store.models import ITEMS, JOBS
from worker.store.moves import move
from worker.store.rows import change_values, item_of, job_of


def take_back(conn: Connection, lease: Lease) -> int:
    """Write down every intent a dead holder left open; its item is due again, or given up.

    Returns how many intents there were.
    """
    rows = conn.execute(
        select(ITEMS).where(ITEMS.c.account == lease.account, ITEMS.c.state == "sent")
    ).all()
    listing = conn.execute(
        select(JOBS).where(JOBS.c.account == lease.account, JOBS.c.list_token != 0)
    ).all()
    if not rows and not listing:
        return 0
    ids = {row.job_id for row in rows}
    jobs = {
        row.id: job_of(row) for row in conn.execute(select(JOBS).where(JOBS.c.id.in_(list(ids))))
    }
    heads = lock_heads(conn, {job_chain(job_id) for job_id in {*ids, *(r.id for r in listing)}})
    lost = [of_lost(row, jobs[row.job_id], lease) for row in rows]
    pages = [_lost_page(job_of(row), lease) for row in listing]
    changes = [_taken_back(row) for row in rows]
    write_items(conn, [change_values(one, _unheard(one), lease.now) for one in changes])
    given_up = [
        SettledItem.of(change.item, change.decision.outcome, change.decision.reason)
        for change in changes
        if isinstance(change.decision, Settle)
    ]
    ended = [*given_up, *cascade.follow(conn, given_up, jobs)]
    beside = [of_settled(item, jobs[item.job_id], lease.owner) for item in ended]
    append(conn, [*lost, *pages, *beside], heads=heads)
    if listing:
        conn.execute(update(JOBS).where(JOBS.c.account == lease.account).values(list_token=0))
    return len(lost) + len(listing)


def _unheard(change: Change) -> Answer:
    """The answer of a call that nobody heard: what was heard before stays."""
    item = change.item
    return Answer(
        verdict=Verdict.AMBIGUOUS, http_status=item.http_status, provider_code=item.provider_code
    )


def _taken_back(row: Row[Any]) -> Change:
    item = item_of(row)
    decision = after_takeover(item.progress, RetryPolicy(), can_look=row.kind != TIMER)
    return Change(item=item, decision=decision)


def _lost_page(job: Job, lease: Lease) -> Entry:
    return Entry(
        chain=job_chain(job.id),
        job_id=job.id,
        account=job.account,
        provider=job.provider,
        event=Event.ATTEMPT_LOST,
        actor=lease.owner,
        message="the worker that opened this intent did not close it",
        detail={"action": "list", "page": job.list_cursor or "1"},
    )


def start_due_jobs(conn: Connection, lease: Lease) -> None:
    """Move scheduled jobs whose grace or start time is over to `running`."""
    rows = conn.execute(
        select(JOBS).where(
            JOBS.c.account == lease.account,
            JOBS.c.state == JobState.SCHEDULED.value,
            JOBS.c.start_at <= lease.now,
        )
    ).all()
    for row in rows:
        move(conn, job_of(row), JobState.RUNNING, actor=lease.owner, waiting=at_work(lease.now))
    in_hand, said = [state.value for state in ACTIVE], at_work(lease.now).sentence
    conn.execute(
        update(JOBS)
        .where(JOBS.c.account == lease.account, JOBS.c.state.in_(in_hand), JOBS.c.stopping == "")
        .where(JOBS.c.waiting_code == Waiting.WORKER.value, JOBS.c.waiting_text != said)
        .values(waiting_text=said)
    )


def at_work(since: datetime) -> WaitingOn:
    """What a job waits for that a worker has in hand."""
    return WaitingOn(code=Waiting.WORKER, sentence="a worker is on it", since=since)
