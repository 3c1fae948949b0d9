"""Jobs as people see them: submitted, read, counted, and changed by a decision."""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from sqlalchemy import Connection, case, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from worker.domain.audit import Event
from worker.domain.calls import PROJECT, TIMER
from worker.domain.errors import KeyReused, NotFound, Refused
from worker.domain.outcomes import Outcome
from worker.domain.states import JobState, Waiting
from worker.ports import (
    Counts,
    Item,
    Job,
    JobOptions,
    Move,
    NewJob,
    Note,
    PlanFacts,
    SlotRow,
    Submitted,
    WaitingOn,
)
from worker.store import policies
from worker.store.accounts import ensure_account
from worker.store.base import MOST_ID
from worker.store.chain import append, lock_heads
from worker.store.changes import many_written
from worker.store.engine import Database
from worker.store.engine import now as db_now
from worker.store.given import carry_lost, insert_items
from worker.store.models import ITEMS, JOBS
from worker.store.moves import job_entry, perform, read_job, ring_bell
from worker.store.rows import KNOBS, OPTIONS, PLAN, item_of, job_of, waiting_columns

_CHUNK = 5_000
_IN_MEMORY = 4_000_000
"""Characters of ids kept in memory while they come in; more go to a temporary file."""
_STREAMED = {"yield_per": 1_000}  # for one statement: set on a connection it would stay
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Jobs:
    """The jobs table and its items, for everyone but the lease holder."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def submit(
        self, new: NewJob, ids: Iterable[tuple[int, str]], digest: Callable[[], str], rank: int
    ) -> Submitted:
        """Keep a job with its items, in one transaction; nothing is kept if `ids` raises.

        `digest` is asked once the ids are read to their end. The same key with the same digest
        gives the job there is; with another one KeyReused is raised.
        """
        # Read to their end first: they may come slowly, and others write meanwhile.
        with SpooledTemporaryFile(max_size=_IN_MEMORY, mode="w+", encoding="utf-8") as spool:
            stream = iter(ids)
            while chunk := [external_id for _, external_id in islice(stream, _CHUNK)]:
                spool.write(f"{json.dumps(chunk)}\n")
            known = digest()
            try:
                return self._keep(new, spool, known, rank)
            except IntegrityError:
                # Another submission of the same key or slot was faster: now it can be seen.
                return self._keep(new, spool, known, rank)

    def _keep(self, new: NewJob, spool: IO[str], digest: str, rank: int) -> Submitted:
        with self._db.write() as conn:
            if (slot := policies.decided(conn, new)) is not None:
                return Submitted(job=_of_slot(conn, slot), is_new=False)
            there = _by_key(conn, new.key)
            if there is None:
                return Submitted(job=_insert(conn, new, spool, digest, rank), is_new=True)
        if there.digest != digest:
            raise KeyReused(
                f"the idempotency key {new.key} belongs to job {there.id}, another request",
                fix="use another --idempotency-key, or the same ids and options",
            )
        return Submitted(job=job_of(there), is_new=False)

    def get(self, job_id: str) -> Job:
        """The job; NotFound if there is none."""
        with self._db.read() as conn:
            return _one(conn, JOBS.c.id == job_id, f"no job {job_id!r}")

    def by_key(self, key: str) -> Job:
        """The job of an idempotency key; NotFound if there is none."""
        with self._db.read() as conn:
            return _one(conn, JOBS.c.key == key, f"no job with the key {key!r}")

    def recent(self, *, account: str | None = None, limit: int = 50) -> Sequence[Job]:
        """Jobs, the newest first."""
        wanted = select(JOBS).order_by(JOBS.c.created_at.desc()).limit(limit)
        if account:
            wanted = wanted.where(JOBS.c.account == account)
        with self._db.read() as conn:
            return [job_of(row) for row in conn.execute(wanted)]

    def overdue(self, age: timedelta) -> Sequence[Job]:
        """Jobs that have been in planning, or waiting for a person, for longer than `age`."""
        waits = (JobState.AWAITING_CONFIRMATION.value, JobState.AWAITING_APPROVAL.value)
        with self._db.read() as conn:
            before = db_now(conn) - age
            unplanned = (JOBS.c.state == JobState.PLANNING.value) & (JOBS.c.created_at < before)
            unplanned &= JOBS.c.planned_at.is_(None)  # not one that is only planned anew
            unconfirmed = JOBS.c.state.in_(waits) & (JOBS.c.planned_at < before)
            late = select(JOBS).where(JOBS.c.stopping == "", unplanned | unconfirmed)
            return [job_of(row) for row in conn.execute(late)]

    def counts(self, job_id: str) -> Counts:
        """How the job's items stand."""
        with self._db.read() as conn:
            rows = conn.execute(
                select(ITEMS.c.outcome, func.count())
                .where(ITEMS.c.job_id == job_id)
                .group_by(ITEMS.c.outcome)
            )
            found = {row[0]: row[1] for row in rows}
        total, still_open = sum(found.values()), found.pop(None, 0)
        return Counts(
            total=total,
            open=still_open,
            by_outcome={Outcome(name): count for name, count in sorted(found.items())},
        )

    def item(self, item_id: int) -> Item:
        """One item; NotFound if there is none."""
        with self._db.read() as conn:
            wanted = select(ITEMS).where(ITEMS.c.id == item_id)
            row = conn.execute(wanted).one_or_none() if item_id <= MOST_ID else None
        if row is None:
            raise NotFound(
                f"no item has the number {item_id}: bulkdel plan JOB --items shows them",
                fix=f"an id of the provider's is asked about with: bulkdel audit --id {item_id}",
            )
        return item_of(row)

    def items(self, job_id: str, *, outcomes: Sequence[Outcome] | None = None) -> Iterator[Item]:
        """A job's items in the order in which they go, streamed; all, or those that ended so."""
        wanted = select(ITEMS).where(ITEMS.c.job_id == job_id)
        if outcomes is not None:
            wanted = wanted.where(ITEMS.c.outcome.in_([outcome.value for outcome in outcomes]))
        order = (ITEMS.c.position, ITEMS.c.rank, ITEMS.c.id)
        wanted = wanted.order_by(*order)
        # The rows are closed too when the reader stops early.
        with self._db.read() as conn, conn.execute(wanted, execution_options=_STREAMED) as rows:
            yield from map(item_of, rows)

    def now(self) -> datetime:
        """The database's time."""
        with self._db.read() as conn:
            return db_now(conn)

    def projects_of(self, job_id: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
        """The ids of the projects with an item that ended so, itself or below, in order."""
        own = case(
            (ITEMS.c.kind == PROJECT, ITEMS.c.external_id), else_=ITEMS.c.parent_external_id
        )
        wanted = (
            select(own.label("project"), func.min(ITEMS.c.position).label("position"))
            .where(ITEMS.c.job_id == job_id, ITEMS.c.outcome.in_([o.value for o in outcomes]))
            .where(ITEMS.c.kind != TIMER)
            .group_by(own)
            .order_by("position")
        )
        with self._db.read() as conn, conn.execute(wanted, execution_options=_STREAMED) as rows:
            for row in rows:
                yield row.project

    def change(self, job_id: str, decide: Callable[[Job, datetime], Move | Note | None]) -> Job:
        """Move a job as `decide` says, given the job and the database's time, and ring.

        `decide` raises what it refuses, and returns None if nothing is to be done. It runs
        under the locks, so what it sees is what is changed.
        """
        account = self.get(job_id).account
        with self._db.write() as conn:
            at = db_now(conn)
            ring_bell(conn, account, at)
            lock_heads(conn, [f"job:{job_id}"])
            job = read_job(conn, job_id)
            return perform(conn, job, decide(job, at))


def _by_key(conn: Connection, key: str | None) -> Any:  # noqa: ANN401  a row of jobs
    if key is None:
        return None
    return conn.execute(select(JOBS).where(JOBS.c.key == key)).one_or_none()


def _insert(conn: Connection, new: NewJob, spool: IO[str], digest: str, rank: int) -> Job:
    job_id = f"j-{''.join(secrets.choice(_ALPHABET) for _ in range(8))}"
    ensure_account(conn, new.account)
    at = db_now(conn)
    conn.execute(insert(JOBS).values(**_job_values(new, job_id, at), digest=digest))
    policies.fire(conn, new, job_id, at)
    given, kept = insert_items(conn, new, job_id, spool, rank)
    if new.parent_job_id is not None:
        carry_lost(conn, new, job_id)
    plan = PLAN.dump_json(PlanFacts(duplicates=given - kept)).decode()
    conn.execute(update(JOBS).where(JOBS.c.id == job_id).values(plan=plan))
    many_written(conn, kept)
    ring_bell(conn, new.account, at)
    job = read_job(conn, job_id)
    detail = {"items": kept, "duplicates": given - kept, "why": new.reason, "key": new.key or ""}
    detail |= _chosen(new.options)
    if new.policy is not None:
        detail |= {"policy": new.policy, "slot": new.slot and f"{new.slot:%FT%TZ}"}
    detail |= {"os_user": new.who.os_user, "host": new.who.host, "db_role": _role(conn)}
    append(conn, [job_entry(job, Event.JOB_SUBMITTED, actor=new.who.name, detail=detail)])
    return job


def _chosen(options: JobOptions) -> dict[str, Any]:
    """What of the options says which projects go, and how the provider is asked."""
    chosen = {"filters": options.filters, "provider_options": dict(options.provider_options)}
    return {name: dict(pairs) for name, pairs in chosen.items() if pairs}


def _of_slot(conn: Connection, slot: SlotRow) -> Job:
    if slot.job_id is None:
        raise Refused(f"policy {slot.policy} has missed its slot of {slot.slot:%F %T} UTC")
    return read_job(conn, slot.job_id)


def _one(conn: Connection, which: Any, missing: str) -> Job:  # noqa: ANN401  an SQL condition
    row = conn.execute(select(JOBS).where(which)).one_or_none()
    if row is None:
        raise NotFound(missing, fix="bulkdel jobs  lists them")
    return job_of(row)


def _job_values(new: NewJob, job_id: str, at: datetime) -> dict[str, Any]:
    waiting = WaitingOn(code=Waiting.WORKER, sentence="no worker has taken it yet", since=at)
    return {
        "id": job_id,
        "key": new.key,
        "account": new.account,
        "provider": new.provider,
        "place": new.place,
        "action": new.action,
        "options": OPTIONS.dump_json(new.options).decode(),
        "dry_run": new.dry_run,
        "state": JobState.PLANNING.value,
        "reason": new.reason,
        "actor": new.who.name,
        "os_user": new.who.os_user,
        "host": new.who.host,
        "priority": new.priority,
        "parent_job_id": new.parent_job_id,
        "policy": new.policy,
        "start_at": new.not_before,
        "knobs": KNOBS.dump_json(new.knobs).decode(),
        "created_at": at,
        **waiting_columns(waiting),
    }


def _role(conn: Connection) -> str:
    if conn.dialect.name == "postgresql":
        return str(conn.execute(text("SELECT current_user")).scalar_one())
    return ""
