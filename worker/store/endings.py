"""How jobs end: what nobody will attempt any more, the canary, and the last move."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from worker.domain.audit import Event
from worker.domain.breakers import Breakers
from worker.domain.calls import PROJECT, TIMER
from worker.domain.canary import canary_verdict
from worker.domain.outcomes import Outcome, final_state
from worker.domain.states import ItemState, JobState, Waiting
from worker.ports import Item, Job, Lease, WaitingOn
from worker.store import cascade, entries
from worker.store.accounts import LEFT_OUT, fence
from worker.store.among import among
from worker.store.brakes import count_ended
from worker.store.cascade import SettledItem
from worker.store.chain import append, lock_heads
from worker.store.changes import in_order, some_of
from worker.store.engine import Database
from worker.store.models import ITEMS, JOBS
from worker.store.moves import has_moved, job_entry, move, read_job
from worker.store.rows import item_of
from worker.store.takeover import at_work

_OPEN = ITEMS.c.state != ItemState.SETTLED.value
_CHUNK = 1_000


class Endings:
    """The moves a lease holder makes for jobs that have nothing due."""

    def __init__(self, db: Database, length: timedelta, breakers: Breakers | None = None) -> None:
        self._db = db
        self._length = length
        self._breakers = breakers or Breakers()

    def leave_out(self, lease: Lease, job: Job, why: str) -> int:
        """Settle up to a thousand items as `unprocessed`; returns how many there were.

        An item whose deletion was sent and whose answer was lost is not among them: it is
        looked at first. What goes with its project follows the project.
        """
        wanted = select(ITEMS).where(ITEMS.c.job_id == job.id, LEFT_OUT)
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            lock_heads(conn, [f"job:{job.id}"])
            rows = in_order(conn.execute(some_of(wanted, _CHUNK)))
            settled = [_left_out(item_of(row), why) for row in rows]
            cascade.settle(conn, settled)
            settled += cascade.follow(conn, settled, {job.id: job})
            append(conn, [entries.of_settled(item, job, lease.owner) for item in settled])
            return len(rows)

    def spare(
        self,
        lease: Lease,
        job: Job,
        items: Sequence[Item],
        why: Mapping[int, str],
        *,
        outcome: Outcome = Outcome.SKIPPED_PROTECTED,
    ) -> None:
        """Settle items, none of them under way, as spared: `why` by item id."""
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            lock_heads(conn, [f"job:{job.id}"])
            settled = [SettledItem.of(item, outcome, why[item.id]) for item in items]
            ended = [item.outcome for item in settled]
            cascade.settle(conn, settled)
            settled += cascade.follow(conn, settled, {job.id: job})
            append(conn, [entries.of_settled(item, job, lease.owner) for item in settled])
            if not has_moved(conn, job):
                count_ended(conn, lease, read_job(conn, job.id), ended, self._breakers)

    def kin(self, projects: Sequence[int]) -> Sequence[Item]:
        below = and_(among(ITEMS.c.parent_item_id, "b_ids"), _OPEN, ITEMS.c.goes_with_parent)
        wanted = select(ITEMS).where(or_(among(ITEMS.c.id, "b_ids"), below))
        with self._db.read() as conn:
            return [item_of(row) for row in conn.execute(wanted, {"b_ids": list(projects)})]

    def close(self, lease: Lease, job: Job) -> Job | None:
        """Move a job on that has nothing due: past its canary, to `verifying`, or to its end.

        Returns the job as moved, or None if it stays where it is or a person moved it meanwhile.
        """
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            if has_moved(conn, job):
                return None
            states = _open_states(conn, job)
            if not states:
                return self._end(conn, lease, job)
            if job.state is JobState.PLANNING or job.stopping:
                return None
            if job.canary_position is not None:
                return self._pass_canary(conn, lease, job)
            looking = states <= {ItemState.VERIFYING.value}
            if looking and job.state is JobState.RUNNING:
                return move(conn, job, JobState.VERIFYING, actor=lease.owner, waiting=_looking())
            if not looking and job.state is JobState.VERIFYING:
                on_it = at_work(lease.now)
                return move(conn, job, JobState.RUNNING, actor=lease.owner, waiting=on_it)
            return None

    def _end(self, conn: Connection, lease: Lease, job: Job) -> Job:
        to = JobState(job.stopping) if job.stopping else final_state(outcomes(conn, job.id))
        if job.dry_run and not job.stopping:
            to = JobState.SUCCEEDED
        return move(conn, job, to, actor=lease.owner, stopping="", canary_position=None)

    def _pass_canary(self, conn: Connection, lease: Lease, job: Job) -> Job | None:
        job = read_job(conn, job.id)
        early = ITEMS.c.position <= job.canary_position
        waits = select(ITEMS.c.id).where(ITEMS.c.job_id == job.id, _OPEN, early).limit(1)
        if conn.execute(waits).first() is not None:
            return None
        why = canary_verdict(outcomes(conn, job.id, early), stuck=_why_stuck(conn, job.id, early))
        if not why and job.plan.canary_hold:
            if job.canary_until is None:
                return _hold(conn, lease, job)
            if job.canary_until > lease.now:
                return None
        over = {"canary_position": None, "canary_until": None}
        conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(over))
        if not why:
            return job
        waiting = WaitingOn(
            code=Waiting.CONFIRMATION,
            sentence=f"{why}; look with bulkdel report {job.id}, then bulkdel resume {job.id}",
        )
        return move(
            conn,
            job,
            JobState.PAUSED,
            actor=lease.owner,
            why=why,
            waiting=waiting,
            paused_from=JobState.RUNNING.value,
        )


def _hold(conn: Connection, lease: Lease, job: Job) -> Job:
    """Let the rest wait for a while, as the canary went well."""
    until = lease.now + timedelta(seconds=job.plan.canary_hold)
    why = f"the canary went well; the rest goes at {until:%Y-%m-%d %H:%M:%S} UTC"
    entry = job_entry(job, Event.JOB_CHANGED, actor=lease.owner, detail={"why": why})
    append(conn, [entry])
    conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(canary_until=until))
    return read_job(conn, job.id)


def _why_stuck(conn: Connection, job_id: str, early: ColumnElement[bool]) -> str:
    """Which child kept a project of the canary standing, with the provider's code."""
    stuck = select(ITEMS.c.external_id, ITEMS.c.reason).where(
        ITEMS.c.job_id == job_id,
        early,
        ITEMS.c.kind == PROJECT,
        ITEMS.c.outcome == Outcome.DEPENDENCY_FAILED.value,
    )
    row = conn.execute(stuck.order_by(ITEMS.c.position).limit(1)).one_or_none()
    return f"project {row.external_id}, as its {row.reason}" if row else ""


def _left_out(item: Item, why: str) -> SettledItem:
    """An item nobody attempts any more; a timer that was sent may be stopped all the same."""
    if item.seen.target.kind == TIMER and item.progress.lost:
        return SettledItem.of(item, Outcome.UNKNOWN, f"sent, and its answer was lost; {why}")
    return SettledItem.of(item, Outcome.UNPROCESSED, why)


def outcomes(conn: Connection, job_id: str, *which: ColumnElement[bool]) -> Mapping[Outcome, int]:
    """How many items of a job ended how."""
    rows = conn.execute(
        select(ITEMS.c.outcome, func.count())
        .where(ITEMS.c.job_id == job_id, ~_OPEN, *which)
        .group_by(ITEMS.c.outcome)
    )
    return {Outcome(name): count for name, count in rows}


def _open_states(conn: Connection, job: Job) -> set[str]:
    rows = conn.execute(select(ITEMS.c.state).where(ITEMS.c.job_id == job.id, _OPEN).distinct())
    return {state for (state,) in rows}


def _looking() -> WaitingOn:
    return WaitingOn(
        code=Waiting.DEPENDENCY, sentence="lost answers are being looked up; nothing left to send"
    )
