"""What a new lease holder finds open from the one before, and jobs whose time has come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from worker.domain.audit import Entry, Event, job_chain
from worker.domain.calls import TIMER, Answer
from worker.domain.outcomes import Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ACTIVE, ItemState, JobState, Waiting
from worker.domain.steps import Settle
from worker.domain.takeover import after_takeover
from worker.ports import Change, Job, Lease, WaitingOn
from worker.store import cascade
from worker.store.cascade import SettledItem
from worker.store.chain import append, lock_heads
from worker.store.changes import write_items
from worker.store.entries import of_lost, of_settled
from worker.store.leases import IN_HAND, is_in_hand
from worker.store.models import ITEMS, JOBS
from worker.store.moves import move
from worker.store.rows import change_values, item_of, job_of

_JOBS = (
    select(JOBS)
    .where(
        JOBS.c.account == bindparam("b_account"),
        IN_HAND | (JOBS.c.state == JobState.SCHEDULED.value) | (JOBS.c.list_token != 0),
    )
    .order_by(JOBS.c.priority.desc(), JOBS.c.created_at)
)
_SENT = select(ITEMS).where(
    ITEMS.c.account == bindparam("b_account"), ITEMS.c.state == ItemState.SENT.value
)


def take_over(conn: Connection, lease: Lease) -> list[Job]:
    """Do what a new holder does first; returns the jobs that may be worked, the most urgent first.

    One look at the account's jobs says all, as mostly there is nothing to do.
    """
    jobs = conn.execute(_JOBS, {"b_account": lease.account}).all()
    took_back = take_back(conn, lease, [row for row in jobs if row.list_token])
    if start_due_jobs(conn, lease, jobs) or took_back:
        jobs = conn.execute(_JOBS, {"b_account": lease.account}).all()
    return [job for job in map(job_of, jobs) if is_in_hand(job)]


def take_back(conn: Connection, lease: Lease, listing: Sequence[Row[Any]]) -> int:
    """Write down every intent a dead holder left open; its item is due again, or given up.

    `listing` are the jobs that have a page under way. Returns how many intents there were.
    """
    rows = conn.execute(_SENT, {"b_account": lease.account}).all()
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


def start_due_jobs(conn: Connection, lease: Lease, jobs: Sequence[Row[Any]] | None = None) -> bool:
    """Move scheduled jobs whose grace or start time is over to `running`; whether any changed.

    `jobs` are the rows of the account's, where they are at hand.
    """
    if jobs is None:
        jobs = conn.execute(_JOBS, {"b_account": lease.account}).all()
    work = at_work(lease.now)
    due = [row for row in jobs if _is_due(row, lease.now)]
    for row in due:
        move(conn, job_of(row), JobState.RUNNING, actor=lease.owner, waiting=work)
    waiting = [row.id for row in jobs if _waits_for_a_worker(row, work.sentence)]
    if waiting:
        conn.execute(update(JOBS).where(JOBS.c.id.in_(waiting)).values(waiting_text=work.sentence))
    return bool(due or waiting)


def _is_due(row: Row[Any], now: datetime) -> bool:
    starts = row.state == JobState.SCHEDULED.value and row.start_at is not None
    return bool(starts and row.start_at <= now)


def _waits_for_a_worker(row: Row[Any], said: str) -> bool:
    idle = row.state in ACTIVE and not row.stopping
    return bool(idle and row.waiting_code == Waiting.WORKER.value and row.waiting_text != said)


def at_work(since: datetime) -> WaitingOn:
    """What a job waits for that a worker has in hand."""
    return WaitingOn(code=Waiting.WORKER, sentence="a worker is on it", since=since)
