"""What a new lease holder finds open from the one before, and jobs whose time has come."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from worker.domain.audit import Entry, Event, job_chain
from worker.domain.calls import TIMER
from worker.domain.onward import lost_attempt
from worker.domain.states import ACTIVE, ItemState, JobState, Waiting
from worker.domain.steps import Step
from worker.ports import Job, Lease, WaitingOn
from worker.store.chain import append
from worker.store.changes import write_items
from worker.store.entries import of_lost
from worker.store.models import ITEMS, JOBS
from worker.store.moves import move
from worker.store.rows import item_of, job_of, progress_columns


def take_back(conn: Connection, lease: Lease) -> int:
    """Write down every intent a dead holder left open and make its item due again.

    A deletion may have been sent: the item is looked at before anything else. Returns how many
    intents there were.
    """
    rows = conn.execute(
        select(ITEMS).where(ITEMS.c.account == lease.account, ITEMS.c.state == "sent")
    ).all()
    listing = conn.execute(
        select(JOBS).where(JOBS.c.account == lease.account, JOBS.c.list_token != 0)
    ).all()
    ids = {row.job_id for row in rows}
    jobs = {
        row.id: job_of(row) for row in conn.execute(select(JOBS).where(JOBS.c.id.in_(list(ids))))
    }
    lost = [of_lost(row, jobs[row.job_id], lease) for row in rows]
    append(conn, [*lost, *(_lost_page(job_of(row), lease) for row in listing)])
    write_items(conn, [_taken_back(row) for row in rows])
    if listing:
        conn.execute(update(JOBS).where(JOBS.c.account == lease.account).values(list_token=0))
    return len(lost) + len(listing)


def _taken_back(row: Row[Any]) -> dict[str, Any]:
    now_at = item_of(row).progress
    now_at = replace(now_at, takeovers=now_at.takeovers + 1)
    can_look = row.kind != TIMER
    if now_at.step is Step.CHUNK:
        after = replace(lost_attempt(now_at), step=Step.PROVE, source=0)
        return {"id": row.id, "state": ItemState.BLOCKED.value, **progress_columns(after)}
    sent = now_at.step in {Step.DELETE, Step.CANARY}
    after = lost_attempt(now_at, can_look=can_look) if sent else now_at
    return {"id": row.id, "state": ItemState.PENDING.value, **progress_columns(after)}


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
    in_hand = [state.value for state in ACTIVE]
    conn.execute(
        update(JOBS)
        .where(JOBS.c.account == lease.account, JOBS.c.state.in_(in_hand), JOBS.c.stopping == "")
        .where(JOBS.c.waiting_code == Waiting.WORKER.value)
        .values(waiting_text=at_work(lease.now).sentence)
    )


def at_work(since: datetime) -> WaitingOn:
    """What a job waits for that a worker has in hand."""
    return WaitingOn(code=Waiting.WORKER, sentence="a worker is on it", since=since)
