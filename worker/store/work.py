"""What a lease holder reads and writes: the lease, the group commit, the items due."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Integer, Select, bindparam, select, update

from worker.domain.audit import job_chain
from worker.domain.breakers import Breakers
from worker.domain.calls import PROJECT
from worker.domain.states import ACTIVE, ItemState, JobState
from worker.domain.steps import DELETIONS, TOGETHER, Settle, Step
from worker.ports import Batch, Committed, Done, Item, Job, Lease, Taken, WaitingOn
from worker.store import brakes, cascade, entries, leases, takeover
from worker.store.accounts import fence, lock_account, next_due
from worker.store.among import among
from worker.store.cascade import SettledItem
from worker.store.chain import append, lock_heads
from worker.store.changes import write_items
from worker.store.engine import Database
from worker.store.engine import now as db_now
from worker.store.holds import held_jobs, holds_any
from worker.store.leases import IN_HAND, is_in_hand
from worker.store.listings import write_listing
from worker.store.models import ITEMS, JOBS
from worker.store.planned import insert_children, insert_found
from worker.store.rows import change_values, item_of, job_of
from worker.store.turns import NO_CHUNK, state_is

_LATER = (ItemState.DEFERRED.value, ItemState.VERIFYING.value)
_OPENABLE = (ItemState.PENDING.value, *_LATER)
_WORKED = JOBS.c.account == bindparam("b_account"), IN_HAND | among(JOBS.c.id, "b_ids")
_JOBS = select(JOBS).where(*_WORKED).order_by(JOBS.c.priority.desc(), JOBS.c.created_at)
_IS_HELD = holds_any(JOBS.c.account, bindparam("b_now", type_=JOBS.c.start_at.type))
_JOBS_AND_HOLDS = _JOBS.add_columns(_IS_HELD)
_OPEN = (
    update(ITEMS)
    .where(among(ITEMS.c.id, "b_ids"), ITEMS.c.state.in_(_OPENABLE))
    .values(state=ItemState.SENT.value, token=bindparam("b_token"), due_at=None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """Which items of a job may go now, by the rules that hold for all of them."""

    step: Step | None  # this step alone
    chunks: bool  # what goes by chunks may go
    canary: bool  # new ones up to the canary's last alone
    timer: bool  # the timer goes before all


def _turn_of(job: Job) -> _Turn:
    plans = job.state is JobState.PLANNING
    alone = Step.READ if plans else Step.LOOK if job.stopping else None
    return _Turn(
        step=alone,
        chunks=alone is not None or job.bulk.may_go,
        canary=alone is None and job.canary_position is not None,
        timer=job.options.stop_timer and not plans,
    )


@cache
def _statements(turn: _Turn) -> tuple[Select[Any], Select[Any]]:
    """Items that came back and are due, and new ones; what is the same of them is made once."""
    job = bindparam("b_job", type_=ITEMS.c.job_id.type)
    which = [ITEMS.c.job_id == job]
    if turn.step is not None:
        which.append(ITEMS.c.step == turn.step.value)
    if not turn.chunks:
        which.append(NO_CHUNK)
    if turn.timer:
        which.append(cascade.after_timer(job))
    now = bindparam("b_now", type_=ITEMS.c.due_at.type)
    # States stand in the text, so that the partial indexes fit whatever is planned for.
    back = select(ITEMS).where(*which, state_is(ItemState.DEFERRED, ItemState.VERIFYING))
    if turn.canary:
        which.append(ITEMS.c.position <= bindparam("b_position"))
    fresh = select(ITEMS).where(*which, state_is(ItemState.PENDING))
    most = bindparam("b_limit", type_=Integer())
    order = (ITEMS.c.position, ITEMS.c.rank, ITEMS.c.id)
    return (
        back.where(ITEMS.c.due_at <= now).order_by(ITEMS.c.due_at).limit(most),
        fresh.order_by(*order).limit(most),
    )


class SqlWorkStore:
    """The WorkStore port on SQLAlchemy; each method is one transaction.

    Locks are taken in one order everywhere: account row, chain heads by name, jobs, items.
    """

    def __init__(
        self, db: Database, ranks: Mapping[str, int], breakers: Breakers | None = None
    ) -> None:
        self._db = db
        self._ranks = ranks
        self._breakers = breakers or Breakers()

    def take_lease(self, account: str, owner: str, length: timedelta) -> Taken | None:
        with self._db.write() as conn:
            taken = leases.take(conn, account, owner, length)
            if taken is None:
                return None
            lease, row = taken
            return Taken(lease=lease, row=row, jobs=takeover.take_over(conn, lease))

    def commit(self, lease: Lease, batch: Batch, length: timedelta) -> Committed:
        with self._db.write() as conn:
            heard, lease = lease.bell, fence(conn, lease, length)
            if lease.bell != heard:  # somebody brought work while this slice was at it
                takeover.start_due_jobs(conn, lease)
            jobs, is_held = _looked_up(conn, lease, batch)
            if batch.done:
                settled = _settle_done(conn, lease, batch.done, jobs, self._ranks)
                if brakes.watch(conn, lease, jobs, (batch.done, settled), self._breakers):
                    jobs = _jobs(conn, lease)
            held = held_jobs(conn, lease.account, batch.opens, lease.now) if is_held else set()
            shut = {job.id for job in jobs.values() if job.opens_at(lease.now) > lease.now}
            opened = [item.id for item in batch.opens if _may_go(item, jobs, held, shut)]
            listing = [one for one in batch.listing if _may_list(jobs.get(one))]
            _open(conn, lease, opened, listing)
            if any(one.listing for one in batch.done):
                jobs = _jobs(conn, lease)
            left = (frozenset(opened), frozenset(listing))
            in_hand = [job for job in jobs.values() if is_in_hand(job)]
            return Committed(lease=lease, jobs=in_hand, opened=left[0], listing=left[1])

    def load(self, lease: Lease, job: Job, limit: int) -> Sequence[Item]:
        """Items due now: those that came back first, then new ones in order."""
        if job.opens_at(lease.now) > lease.now:
            return []
        back, fresh = _statements(_turn_of(job))
        given = {"b_job": job.id, "b_now": lease.now, "b_position": job.canary_position}
        with self._db.glance() as conn:
            found = list(conn.execute(back, {**given, "b_limit": limit}))
            if len(found) < limit:
                found += conn.execute(fresh, {**given, "b_limit": limit - len(found)})
        return [item_of(row) for row in found]

    def children(self, item_ids: Sequence[int]) -> dict[int, frozenset[tuple[str, str]]]:
        """The planned children of projects, as (kind, external id) by the project's item id."""
        known: dict[int, set[tuple[str, str]]] = {item_id: set() for item_id in item_ids}
        wanted = select(ITEMS.c.parent_item_id, ITEMS.c.kind, ITEMS.c.external_id).where(
            ITEMS.c.parent_item_id.in_(item_ids)
        )
        with self._db.glance() as conn:
            for parent, kind, external_id in conn.execute(wanted):
                known[parent].add((kind, external_id))
        return {item_id: frozenset(found) for item_id, found in known.items()}

    def match(self, job_id: str, external_ids: Sequence[str]) -> Sequence[Item]:
        """The job's own open projects among these ids."""
        wanted = select(ITEMS).where(
            ITEMS.c.job_id == job_id,
            ITEMS.c.kind == "project",
            ITEMS.c.external_id.in_(external_ids),
            ITEMS.c.state != ItemState.SETTLED.value,
        )
        with self._db.glance() as conn:
            return [item_of(row) for row in conn.execute(wanted)]

    def late(self, lease: Lease, done: Sequence[Done]) -> None:
        """Write calls down whose lease was lost meanwhile: they count, their outcome does not."""
        with self._db.write() as conn:
            lock_account(conn, lease.account)
            jobs = _jobs(conn, lease, {one.job_id for one in done})
            append(conn, [entries.of_late(one, jobs[one.job_id], lease) for one in done])

    def give_lease(
        self,
        lease: Lease,
        wake_after: timedelta | None,
        waiting: Mapping[str, WaitingOn] | None = None,
    ) -> timedelta | None:
        with self._db.write() as conn:
            heard = leases.heard(conn, lease)
            if heard is None:
                return None
            now = db_now(conn)
            for job_id, waits in (waiting or {}).items():
                leases.say_waiting(conn, job_id, waits, now)
            wake = next_due(conn, lease.account, now) if wake_after is None else now + wake_after
            if heard != lease.bell:
                wake = now
            leases.give(conn, lease.account, wake)
            return None if wake is None else max(wake - now, timedelta(0))


def _jobs(conn: Connection, lease: Lease, ids: Collection[str] = ()) -> dict[str, Job]:
    """The jobs of an account that a worker has in hand, the most urgent first, and those named."""
    rows = conn.execute(_JOBS, {"b_account": lease.account, "b_ids": list(ids)})
    return {row.id: job_of(row) for row in rows}


def _looked_up(conn: Connection, lease: Lease, batch: Batch) -> tuple[dict[str, Job], bool]:
    """The jobs a batch is about, and whether anything of their account is held by now.

    Holds are looked for only before deletions: while they cannot be read, all else goes on.
    """
    ids = {one.job_id for one in batch.done}
    if not any(item.progress.step in DELETIONS for item in batch.opens):
        return _jobs(conn, lease, ids), False
    given = {"b_account": lease.account, "b_ids": list(ids), "b_now": lease.now}
    rows = conn.execute(_JOBS_AND_HOLDS, given).all()
    return {row.id: job_of(row) for row in rows}, any(row.is_held for row in rows)


def _settle_done(
    conn: Connection,
    lease: Lease,
    done: Sequence[Done],
    jobs: Mapping[str, Job],
    ranks: Mapping[str, int],
) -> list[SettledItem]:
    """Write what came back, what follows, and the entries of both; returns what settled."""
    heads = lock_heads(conn, {job_chain(one.job_id) for one in done})
    changes = [
        change_values(change, one.answer, lease.now) for one in done for change in one.changes
    ]
    write_items(conn, changes)
    for one in done:
        if one.children:
            insert_children(conn, one.changes[0].item, lease.account, one.children, ranks)
        if one.listing is not None:
            write_listing(conn, jobs[one.job_id], one.listing, lease.now)
    spared = [
        item
        for one in done
        if one.found
        for item in insert_found(conn, jobs[one.job_id], one.found, ranks[PROJECT])
    ]
    settled = [
        SettledItem.of(change.item, change.decision.outcome, change.decision.reason)
        for one in done
        for change in one.changes
        if isinstance(change.decision, Settle)
    ]
    follow = cascade.follow(conn, settled, jobs)
    calls = [e for one in done for e in entries.of_call(one, jobs[one.job_id], lease)]
    beside = [
        entries.of_settled(item, jobs[item.job_id], lease.owner) for item in [*spared, *follow]
    ]
    # Who writes to these chains holds the account's row: no entry is younger than the fence.
    append(conn, [*calls, *beside], heads=heads, at=lease.now)
    return [*spared, *settled, *follow]


def _may_go(
    item: Item, jobs: Mapping[str, Job], held: Collection[str], shut: Collection[str]
) -> bool:
    """Whether an item's call may leave: its job was not paused, nor stopped, meanwhile.

    If one of the items about to be deleted is held by now, none of its job is deleted before
    all of them were looked at again: a call may be about several.
    """
    job = jobs.get(item.job_id)
    if job is None or job.state not in ACTIVE:
        return False
    if item.progress.step in TOGETHER and job.bulk.refusal:
        return False
    if item.job_id in shut or (item.job_id in held and item.progress.step in DELETIONS):
        return False
    return not job.stopping or item.progress.step is Step.LOOK


def _may_list(job: Job | None) -> bool:
    if job is None:
        return False
    if job.bulk.reads_pages:
        return job.state in ACTIVE
    return job.state is JobState.PLANNING and not job.stopping


def _open(conn: Connection, lease: Lease, items: Sequence[int], listing: Sequence[str]) -> None:
    """Open the intents of the calls about to leave."""
    if items:
        opened = conn.execute(_OPEN, {"b_ids": items, "b_token": lease.token})
        if opened.rowcount != len(items):
            raise RuntimeError("an intent was to be opened for an item that is not open")
    if listing:
        conn.execute(update(JOBS).where(JOBS.c.id.in_(listing)).values(list_token=lease.token))
