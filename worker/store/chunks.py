"""What the bulk delete of a job asks of the database besides the group commit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, func, select, update

from worker.domain.audit import Event
from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import PROJECT
from worker.domain.outcomes import Outcome
from worker.domain.states import ItemState, JobState
from worker.domain.steps import SENT, Progress, Step
from worker.ports import Item, Job, Lease, Left
from worker.store import cascade, entries
from worker.store.accounts import fence
from worker.store.cascade import SettledItem
from worker.store.chain import append, lock_heads
from worker.store.changes import in_order, some_of, write_items
from worker.store.engine import Database
from worker.store.models import ITEMS, JOBS
from worker.store.moves import has_moved, job_entry, move, read_job
from worker.store.rows import BULK, item_of, progress_columns
from worker.store.takeover import at_work

_OPEN = ITEMS.c.state != ItemState.SETTLED.value
_AT_ONCE = 1_000
_ORDER = (ITEMS.c.position, ITEMS.c.id)


class Chunks:
    """The ChunkStore port on SQLAlchemy; what writes is fenced, and one transaction."""

    def __init__(self, db: Database, length: timedelta) -> None:
        self._db = db
        self._length = length

    def items(self, ids: Sequence[int]) -> Sequence[Item]:
        wanted = select(ITEMS).where(ITEMS.c.id.in_(ids)).order_by(ITEMS.c.id)
        with self._db.read() as conn:
            return [item_of(row) for row in conn.execute(wanted)]

    def left(self, job_id: str) -> Left:
        counted = (
            select(ITEMS.c.step, func.count())
            .where(ITEMS.c.job_id == job_id, _OPEN)
            .where(ITEMS.c.step.in_([step.value for step in (Step.CHUNK, *SENT)]))
            .group_by(ITEMS.c.step)
        )
        with self._db.read() as conn:
            found: dict[str, int] = {row[0]: row[1] for row in conn.execute(counted)}
        return Left(
            unsent=found.get(Step.CHUNK, 0),
            unproven=found.get(Step.PROVE, 0),
            in_doubt=found.get(Step.LOOK, 0),
        )

    def has_unsent(self, job_id: str) -> bool:
        wanted = select(ITEMS.c.id).where(_unsent(job_id)).limit(1)
        with self._db.read() as conn:
            return conn.execute(wanted).first() is not None

    def pick(self, job_id: str, offset: int, count: int) -> Sequence[Item]:
        waiting = select(ITEMS).where(_at(job_id, Step.CHUNK)).order_by(*_ORDER)
        with self._db.read() as conn:
            return [item_of(row) for row in conn.execute(waiting.offset(offset).limit(count))]

    def unproven(self, job_id: str) -> Sequence[Item]:
        with self._db.read() as conn:
            rows = conn.execute(select(ITEMS).where(_at(job_id, Step.PROVE)).order_by(*_ORDER))
            return [item_of(row) for row in rows]

    def write(
        self,
        lease: Lease,
        job_id: str,
        bulk: Bulk,
        items: Mapping[int, tuple[ItemState, Progress]],
        *,
        why: str = "",
    ) -> None:
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            lock_heads(conn, [f"job:{job_id}"])
            job = read_job(conn, job_id)
            if why:
                detail = {"why": why, "bulk": bulk.stage.value}
                append(conn, [job_entry(job, Event.JOB_CHANGED, actor=lease.owner, detail=detail)])
            values = {"bulk": BULK.dump_json(bulk).decode(), "list_due_at": None}
            conn.execute(update(JOBS).where(JOBS.c.id == job_id).values(values))
            rows = [
                {"id": id_, "state": state.value, "due_at": None, **progress_columns(progress)}
                for id_, (state, progress) in sorted(items.items())
            ]
            write_items(conn, rows)

    def settle_gone(self, lease: Lease, job: Job, why: str) -> int:
        wanted = some_of(select(ITEMS).where(_at(job.id, Step.PROVE)), _AT_ONCE)
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            lock_heads(conn, [f"job:{job.id}"])
            rows = in_order(conn.execute(wanted))
            settled = [SettledItem.of(item_of(row), Outcome.DELETED, why) for row in rows]
            cascade.settle(conn, settled)
            settled += cascade.follow(conn, settled, {job.id: job})
            append(conn, [entries.of_settled(item, job, lease.owner) for item in settled])
            return len(rows)

    def turn_back(self, lease: Lease, job: Job, why: str) -> None:
        alone = {"state": ItemState.PENDING.value, "step": Step.READY.value, "source": 0}
        bulk = BULK.dump_json(Bulk(stage=Stage.OFF, refusal=why)).decode()
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            lock_heads(conn, [f"job:{job.id}"])
            if has_moved(conn, job):
                return
            conn.execute(update(ITEMS).where(_unsent(job.id)).values(**alone, due_at=None))
            on_it = at_work(lease.now)
            text = f"single deletes are being planned: {why}"
            move(
                conn,
                job,
                JobState.PLANNING,
                actor=lease.owner,
                why=why,
                waiting=replace(on_it, sentence=text),
                bulk=bulk,
            )


def _unsent(job_id: str) -> ColumnElement[bool]:
    """Open projects that are there for all we know: no call of ours may have deleted them."""
    sent = [step.value for step in SENT]
    return and_(
        ITEMS.c.job_id == job_id, _OPEN, ITEMS.c.kind == PROJECT, ITEMS.c.step.not_in(sent)
    )


def _at(job_id: str, step: Step) -> ColumnElement[bool]:
    return and_(ITEMS.c.job_id == job_id, _OPEN, ITEMS.c.step == step.value)
