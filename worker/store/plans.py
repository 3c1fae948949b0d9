"""Freezing a plan: what it leaves out, in which order the rest goes, and what it is called."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, select, update

from worker.domain.audit import Event
from worker.domain.bulk import ONE_BY_ONE, Bulk
from worker.domain.calls import PROJECT
from worker.domain.outcomes import Outcome
from worker.domain.plan import PlanHash
from worker.domain.states import HOLDING, ItemState, JobState
from worker.domain.steps import SENT, Step
from worker.ports import Job, Lease, PlanFacts, PlannedItems, WaitingOn
from worker.store import brakes, cascade, entries, planned
from worker.store.accounts import fence
from worker.store.cascade import SettledItem
from worker.store.chain import append, lock_heads
from worker.store.changes import many_written
from worker.store.engine import Database
from worker.store.models import AUDIT, ITEMS, JOBS
from worker.store.moves import has_moved, job_entry, move, read_job
from worker.store.rows import BULK, PLAN, item_of, plan_detail

_OPEN = ITEMS.c.state != ItemState.SETTLED.value
_UNREAD = and_(ITEMS.c.name == "", ITEMS.c.created == "")
_CHUNK = 1_000


class Plans:
    """What planning asks of the database besides the group commit."""

    def __init__(self, db: Database, length: timedelta) -> None:
        self._db = db
        self._length = length

    def is_read(self, job_id: str) -> bool:
        """Whether no item waits to be read any more."""
        unread = select(ITEMS.c.id).where(
            ITEMS.c.job_id == job_id, _OPEN, ITEMS.c.step == Step.READ.value
        )
        with self._db.read() as conn:
            return conn.execute(unread.limit(1)).first() is None

    def unseen(self, job_id: str) -> int:
        """How many open projects no listing and no read has shown so far."""
        with self._db.read() as conn:
            return conn.execute(
                select(func.count()).select_from(ITEMS).where(_unseen(job_id))
            ).scalar_one()

    def skip_protected(self, lease: Lease, job: Job, ids: Sequence[str]) -> None:
        """Settle the job's projects that have a protected id."""
        wanted = select(ITEMS).where(_projects(job.id), ITEMS.c.external_id.in_(ids))
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            lock_heads(conn, [f"job:{job.id}"])
            settled = [
                SettledItem.of(
                    item_of(row),
                    Outcome.SKIPPED_PROTECTED,
                    f"protected id {row.external_id}",
                )
                for row in conn.execute(wanted)
            ]
            cascade.settle(conn, settled)
            append(conn, [entries.of_settled(item, job, lease.owner) for item in settled])

    def end_listing(
        self, lease: Lease, job_id: str, *, read_unseen: bool, count: bool = False
    ) -> None:
        """Have the listing done with; if asked, what it did not show is read by itself.

        With `count` all projects of the account are listed after it, to count them.
        """
        again = {"list_cursor": "", "list_pages": 0, "account_projects": 0} if count else {}
        with self._db.write() as conn:
            fence(conn, lease, self._length)
            values = {"listed": not count, "counting": count, **again}
            conn.execute(update(JOBS).where(JOBS.c.id == job_id).values(values))
            if read_unseen:
                conn.execute(update(ITEMS).where(_unseen(job_id)).values(step=Step.READ.value))

    def skip_duplicates(self, lease: Lease, job: Job) -> int:
        """Settle up to a thousand items that another live job holds; returns how many."""
        other, holder = ITEMS.alias("other"), JOBS.alias("holder")
        held = (
            select(ITEMS, holder.c.id.label("holder_id"))
            .join(
                other,
                and_(
                    other.c.account == ITEMS.c.account,
                    other.c.kind == ITEMS.c.kind,
                    other.c.external_id == ITEMS.c.external_id,
                    other.c.parent_external_id == ITEMS.c.parent_external_id,
                    other.c.job_id != ITEMS.c.job_id,
                    other.c.state != ItemState.SETTLED.value,
                ),
            )
            .join(holder, holder.c.id == other.c.job_id)
            .where(ITEMS.c.job_id == job.id, _OPEN)
            .where(holder.c.state.in_([s.value for s in HOLDING]), ~holder.c.dry_run)
            .limit(_CHUNK)
        )
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            if not _has_rivals(conn, job):
                return 0
            lock_heads(conn, [f"job:{job.id}"])
            found = {row.id: row for row in conn.execute(held)}
            settled = [
                SettledItem.of(
                    item_of(row),
                    Outcome.SKIPPED_DUPLICATE,
                    f"job {row.holder_id} holds it (bulkdel cancel {row.holder_id} frees it)",
                )
                for row in found.values()
            ]
            cascade.settle(conn, settled)
            settled += cascade.follow(conn, settled, {job.id: job})
            append(conn, [entries.of_settled(item, job, lease.owner) for item in settled])
            return len(settled)

    def keep_projects(self, lease: Lease, job: Job) -> Job:
        """Take the open projects out of a cleanup's items; `plan.kept` of the job counts them."""
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            if has_moved(conn, job):
                return read_job(conn, job.id)
            lock_heads(conn, [f"job:{job.id}"])
            return planned.keep_projects(conn, lease, job)

    def arrange(self, lease: Lease, job: Job, *, by_chunks: bool = False) -> None:
        """Put the items in order: the first kind of each project may go, the rest is blocked."""
        own = and_(
            ITEMS.c.job_id == job.id, _OPEN, ITEMS.c.kind != PROJECT, ~ITEMS.c.goes_with_parent
        )
        child = ITEMS.alias("child")
        first = (
            select(func.min(child.c.rank))
            .where(child.c.parent_item_id == ITEMS.c.parent_item_id)
            .where(child.c.state != ItemState.SETTLED.value, ~child.c.goes_with_parent)
            .scalar_subquery()
        )
        waits = exists().where(
            child.c.parent_item_id == ITEMS.c.id,
            child.c.state != ItemState.SETTLED.value,
            ~child.c.goes_with_parent,
        )
        blocked, projects = {"state": ItemState.BLOCKED.value}, _projects(job.id)
        goes = and_(ITEMS.c.job_id == job.id, _OPEN, ITEMS.c.goes_with_parent)
        alone = Step.RECHECK if job.options.recheck else Step.DELETE
        step = case((_UNREAD, alone.value), else_=Step.CHUNK.value) if by_chunks else alone.value
        unsent = ITEMS.c.step.not_in([step.value for step in SENT])
        with self._db.write() as conn:
            fence(conn, lease, self._length)
            with_it = conn.execute(update(ITEMS).where(goes).values(blocked))
            later = conn.execute(update(ITEMS).where(own, ITEMS.c.rank > first).values(blocked))
            all_of = conn.execute(update(ITEMS).where(projects, unsent).values(step=step))
            conn.execute(update(ITEMS).where(projects, waits).values(blocked))
            many_written(conn, with_it.rowcount + later.rowcount + all_of.rowcount)

    def measure(self, job: Job) -> PlannedItems:
        """Count and hash the plan's open items, streamed in the order in which they go."""
        rows = (
            select(ITEMS.c.position, ITEMS.c.kind, ITEMS.c.external_id, ITEMS.c.parent_external_id)
            .where(ITEMS.c.job_id == job.id, _OPEN)
            .order_by(ITEMS.c.position, ITEMS.c.rank, ITEMS.c.id)
        )
        options = (
            job.account,
            job.place,
            job.action,
            ",".join(job.options.cascade),
            str(job.options.background),
            str(job.options.recheck),
            job.options.on_child_refused,
            *map("=".join, job.options.provider_options),
        )
        digest = PlanHash("\x1f".join(options))
        with self._db.read() as conn:
            streamed = conn.execute(rows, execution_options={"yield_per": 5_000})
            for part in streamed.partitions():
                digest.feed((r[0], r[1], r[2], r[3]) for r in part)
            calls = select(func.count()).where(AUDIT.c.job_id == job.id)
            spent = calls.where(AUDIT.c.event.in_([Event.CALL.value, Event.ATTEMPT_LOST.value]))
            by_kind = _by(conn, ITEMS.c.kind, job.id, _OPEN)
            given, absent = planned.projects_given(conn, job)
            skipped = _by(conn, ITEMS.c.outcome, job.id, ~_OPEN)
            return PlannedItems(
                digest=digest.digest,
                by_kind=by_kind,
                own=_by(conn, ITEMS.c.kind, job.id, and_(_OPEN, ~ITEMS.c.goes_with_parent)),
                unlisted=conn.execute(select(func.count()).where(_unseen(job.id))).scalar_one(),
                skipped={Outcome(name): count for name, count in skipped.items()},
                spent=conn.execute(spent).scalar_one(),
                given=given,
                absent=absent,
                named=planned.first_ids(conn, job.id, _unseen(job.id)),
            )

    def canary_end(self, job_id: str, projects: int) -> int | None:
        """The input position of the last of the first `projects` open projects."""
        firsts = (
            select(ITEMS.c.position)
            .where(_projects(job_id))
            .order_by(ITEMS.c.position)
            .limit(projects)
        ).subquery()
        with self._db.read() as conn:
            return conn.execute(select(func.max(firsts.c.position))).scalar()

    def freeze(
        self,
        lease: Lease,
        job: Job,
        plan: PlanFacts,
        *,
        waiting: WaitingOn,
        canary_position: int | None,
        bulk: Bulk = ONE_BY_ONE,
    ) -> Job:
        """Write the plan down and let it wait for its word; not if a person moved the job."""
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            if has_moved(conn, job):
                return read_job(conn, job.id)
            append(
                conn,
                [job_entry(job, Event.PLAN_FROZEN, actor=lease.owner, detail=plan_detail(plan))],
            )
            return move(
                conn,
                job,
                JobState.AWAITING_CONFIRMATION,
                actor=lease.owner,
                waiting=waiting,
                plan=PLAN.dump_json(plan).decode(),
                planned_at=lease.now,
                canary_position=canary_position,
                bulk=BULK.dump_json(bulk).decode(),
            )

    def keep(self, lease: Lease, job: Job, plan: PlanFacts) -> Job:
        """Write down the plan of a job that ends here: a dry run, or nothing left to delete.

        Not if a person moved the job meanwhile.
        """
        values = {
            "plan": PLAN.dump_json(plan).decode(),
            "planned_at": lease.now,
            "stopping": JobState.SUCCEEDED.value if job.dry_run else "",
        }
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            if has_moved(conn, job):
                return read_job(conn, job.id)
            append(
                conn,
                [job_entry(job, Event.PLAN_FROZEN, actor=lease.owner, detail=plan_detail(plan))],
            )
            conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(values))
            return read_job(conn, job.id)

    def doubt(self, lease: Lease, job: Job, why: str) -> Job:
        """Pause a job to ask whether its list is the right one; not if a person moved it."""
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            if not has_moved(conn, job):
                brakes.doubt(conn, lease, job, why)
            return read_job(conn, job.id)

    def fail(self, lease: Lease, job: Job, why: str) -> None:
        """Bring a job to its end whose plan cannot be made; not if a person moved it."""
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            if not has_moved(conn, job):
                brakes.stop(conn, lease, job, JobState.PLAN_FAILED, why)


def _projects(job_id: str) -> ColumnElement[bool]:
    return and_(ITEMS.c.job_id == job_id, _OPEN, ITEMS.c.kind == PROJECT)


def _unseen(job_id: str) -> ColumnElement[bool]:
    return and_(_projects(job_id), _UNREAD)


def _has_rivals(conn: Connection, job: Job) -> bool:
    rivals = select(JOBS.c.id).where(
        JOBS.c.account == job.account,
        JOBS.c.id != job.id,
        JOBS.c.state.in_([state.value for state in HOLDING]),
        ~JOBS.c.dry_run,
    )
    return conn.execute(rivals.limit(1)).first() is not None


def _by(
    conn: Connection, column: ColumnElement[str], job_id: str, which: ColumnElement[bool]
) -> dict[str, int]:
    rows = conn.execute(
        select(column, func.count()).where(ITEMS.c.job_id == job_id, which).group_by(column)
    )
    return {row[0]: row[1] for row in rows}
