"""Policies and their slots in the database, which alone decides what ran for a slot."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from worker.domain.schedule import Schedule
from worker.ports import NewJob, PolicyRow, RunRow, SlotEnd, SlotRow
from worker.store.engine import Database
from worker.store.engine import now as db_now
from worker.store.models import JOBS
from worker.store.policy_tables import POLICIES, POLICY_SLOTS


class Policies:
    """The rows of policies and slots."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def all(self) -> tuple[datetime, Mapping[str, PolicyRow]]:
        """The database's time, and the policies that are known, by name."""
        with self._db.read() as conn:
            rows = conn.execute(select(POLICIES))
            return db_now(conn), {row.name: _policy(row) for row in rows}

    def note(self, name: str, schedule: Schedule, since: datetime) -> None:
        """Take a policy in; its slots count from there on. One that is known stays as it is."""
        with self._db.write() as conn:
            make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
            fresh = make(POLICIES).values(
                name=name,
                schedule=schedule.line,
                timezone=schedule.zone,
                since=since,
                through=since,
            )
            conn.execute(fresh.on_conflict_do_nothing())

    def reschedule(self, old: PolicyRow, schedule: Schedule, since: datetime) -> None:
        """Give a policy another schedule from an instant on, unless somebody did already."""
        with self._db.write() as conn:
            conn.execute(
                update(POLICIES)
                .where(
                    POLICIES.c.name == old.name,
                    POLICIES.c.schedule == old.schedule.line,
                    POLICIES.c.timezone == old.schedule.zone,
                )
                .values(schedule=schedule.line, timezone=schedule.zone, since=since, through=since)
            )

    def forget(self, name: str) -> None:
        """Let go of a policy that is in no file any more; what became of its slots stays."""
        with self._db.write() as conn:
            conn.execute(delete(POLICIES).where(POLICIES.c.name == name))

    def miss(self, name: str, missed: Sequence[tuple[datetime, str]]) -> list[datetime]:
        """Record slots, each with its reason, as missed; those that nobody had decided before."""
        if not missed:
            return []
        with self._db.write() as conn:
            at = db_now(conn)
            make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
            ended = SlotEnd.MISSED
            values = [_slot_values(name, slot, ended, at, why=why) for slot, why in missed]
            fresh = make(POLICY_SLOTS).on_conflict_do_nothing().returning(POLICY_SLOTS.c.slot)
            written = sorted(row.slot for row in conn.execute(fresh, values))
            advance(conn, name, max(slot for slot, _ in missed))
            return written

    def slots(self, name: str, limit: int) -> Sequence[SlotRow]:
        """What became of a policy's last slots, the newest first."""
        wanted = (
            select(POLICY_SLOTS)
            .where(POLICY_SLOTS.c.policy == name)
            .order_by(POLICY_SLOTS.c.slot.desc())
            .limit(limit)
        )
        with self._db.read() as conn:
            return [_slot(row) for row in conn.execute(wanted)]

    def newest_runs(self, name: str) -> Sequence[RunRow]:
        """The last run by hand, unless a slot had its own since; then that of the last slot.

        A preview is no run.
        """
        jobs = (
            select(JOBS.c.id)
            .where(JOBS.c.policy == name, JOBS.c.dry_run.is_(False))
            .order_by(JOBS.c.created_at.desc())
            .limit(1)
        )
        fired = (
            select(POLICY_SLOTS.c.job_id, POLICY_SLOTS.c.slot)
            .where(POLICY_SLOTS.c.policy == name, POLICY_SLOTS.c.ended == SlotEnd.FIRED.value)
            .order_by(POLICY_SLOTS.c.slot.desc())
            .limit(1)
        )
        with self._db.read() as conn:
            by_slot = [RunRow(job_id=row.job_id, slot=row.slot) for row in conn.execute(fired)]
            newest = [RunRow(job_id=job_id) for job_id in conn.execute(jobs).scalars()]
        known = {run.job_id for run in by_slot}
        return [run for run in newest if run.job_id not in known] + by_slot

    def misses(self, name: str) -> int:
        """How many slots of a policy were missed, ever."""
        with self._db.read() as conn:
            which = (
                POLICY_SLOTS.c.policy == name,
                POLICY_SLOTS.c.ended == SlotEnd.MISSED.value,
            )
            return conn.execute(
                select(func.count()).select_from(POLICY_SLOTS).where(*which)
            ).scalar_one()


def decided(conn: Connection, new: NewJob) -> SlotRow | None:
    """What became of the slot of a submission, if that is known already."""
    if new.policy is None or new.slot is None:
        return None
    which = (POLICY_SLOTS.c.policy == new.policy, POLICY_SLOTS.c.slot == new.slot)
    row = conn.execute(select(POLICY_SLOTS).where(*which)).one_or_none()
    return None if row is None else _slot(row)


def fire(conn: Connection, new: NewJob, job_id: str, at: datetime) -> None:
    """Give a slot its job, in the transaction that makes the job; IntegrityError if it has one."""
    if new.policy is None or new.slot is None:
        return
    values = _slot_values(new.policy, new.slot, SlotEnd.FIRED, at, job_id=job_id)
    conn.execute(insert(POLICY_SLOTS).values(values))
    advance(conn, new.policy, new.slot)


def advance(conn: Connection, name: str, through: datetime) -> None:
    """Note up to which slot a policy is decided."""
    conn.execute(
        update(POLICIES)
        .where(POLICIES.c.name == name, POLICIES.c.through < through)
        .values(through=through)
    )


def _slot_values(
    policy: str,
    slot: datetime,
    ended: SlotEnd,
    at: datetime,
    *,
    job_id: str | None = None,
    why: str = "",
) -> dict[str, object]:
    return {
        "policy": policy,
        "slot": slot,
        "ended": ended.value,
        "job_id": job_id,
        "why": why,
        "at": at,
    }


def _policy(row: Row[tuple[object, ...]]) -> PolicyRow:
    return PolicyRow(
        name=row.name,
        schedule=Schedule(row.schedule, row.timezone),
        since=row.since,
        through=row.through,
    )


def _slot(row: Row[tuple[object, ...]]) -> SlotRow:
    return SlotRow(
        policy=row.policy,
        slot=row.slot,
        ended=SlotEnd(row.ended),
        at=row.at,
        job_id=row.job_id,
        why=row.why,
    )
