"""One job from one state to the next: compare-and-set and audit entry in one transaction."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from worker.domain.audit import Entry, Event, job_chain
from worker.domain.errors import Refused
from worker.domain.states import FINAL, JobState, check_move
from worker.ports import Job, Move, Note, WaitingOn
from worker.store.chain import append
from worker.store.models import ACCOUNTS, JOBS
from worker.store.rows import BULK, job_of, waiting_columns


def move(
    conn: Connection,
    job: Job,
    to: JobState,
    *,
    actor: str,
    why: str = "",
    waiting: WaitingOn | None = None,
    **columns: Any,  # noqa: ANN401  columns of the jobs table
) -> Job:
    """Move a job; raises Refused if it is not where the caller saw it any more."""
    check_move(job.state, to)
    detail = {"from": job.state.value, "to": to.value, "why": why}
    entry = job_entry(job, Event.JOB_MOVED, actor=actor, detail=detail)
    at = append(conn, [entry])
    values = {"state": to.value, **waiting_columns(waiting), **columns}
    if values["waiting_code"]:
        values["waiting_since"] = at
    if to in FINAL:
        values["finished_at"] = at
    if job.state is JobState.PAUSED:
        values["bulk"] = BULK.dump_json(replace(job.bulk, went_on_at=at)).decode()
    if to is JobState.RUNNING and job.started_at is None:
        values["started_at"] = at
    moved = conn.execute(
        update(JOBS).where(JOBS.c.id == job.id, JOBS.c.state == job.state.value).values(values)
    )
    if moved.rowcount != 1:
        raise Refused(f"job {job.id} has moved on meanwhile", fix=f"bulkdel show {job.id}")
    return read_job(conn, job.id)


def perform(conn: Connection, job: Job, what: Move | Note | None) -> Job:
    """Do what was decided about a job; None: nothing is to be done."""
    match what:
        case None:
            return job
        case Move():
            return move(
                conn,
                job,
                what.to,
                actor=what.actor,
                why=what.why,
                waiting=what.waiting,
                **what.columns,
            )
        case Note():
            detail = {"why": what.why, **what.columns}
            append(conn, [job_entry(job, Event.JOB_CHANGED, actor=what.actor, detail=detail)])
            values = dict(what.columns)
            if what.waiting is not None:
                values |= waiting_columns(what.waiting)
            conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(**values))
            return read_job(conn, job.id)


def job_entry(job: Job, event: Event, *, actor: str, detail: dict[str, Any]) -> Entry:
    """An entry on the job's chain about the job itself."""
    return Entry(
        chain=job_chain(job.id),
        job_id=job.id,
        account=job.account,
        provider=job.provider,
        event=event,
        actor=actor,
        message=str(detail.get("why", "")),
        detail=detail,
    )


def read_job(conn: Connection, job_id: str) -> Job:
    """The job as this transaction sees it."""
    return job_of(conn.execute(select(JOBS).where(JOBS.c.id == job_id)).one())


def has_moved(conn: Connection, job: Job) -> bool:
    """Whether a person changed the job since it was read; asked under the account's lock."""
    now = read_job(conn, job.id)
    return (now.state, now.stopping) != (job.state, job.stopping)


def ring_bell(conn: Connection, account: str, now: datetime) -> None:
    """Note that there is work for an account; call it before any chain head is locked."""
    conn.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.name == account)
        .values(bell=ACCOUNTS.c.bell + 1, next_wake_at=now)
    )
