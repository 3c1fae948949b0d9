"""Holds in the database, and what they keep of a job. They are read anew each time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from worker.domain.audit import Entry, Event, account_chain
from worker.domain.errors import NotFound, Unreachable
from worker.domain.guards import RUNS
from worker.domain.holds import Hold, Holds
from worker.domain.states import HOLDING, ItemState, JobState
from worker.domain.steps import DELETIONS
from worker.ports import Item, Job, Lease, NewHold, Remeasured, Spared, Who
from worker.store import cascade, entries
from worker.store.accounts import ensure_account, fence
from worker.store.among import among
from worker.store.base import MOST_ID
from worker.store.cascade import SettledItem
from worker.store.chain import append, lock_heads
from worker.store.engine import Database
from worker.store.engine import now as db_now
from worker.store.models import AUDIT, HOLDS, ITEMS, JOBS
from worker.store.rows import PLAN, item_of

_OPEN = ITEMS.c.state != ItemState.SETTLED.value
_CHUNK = 500
_SHOWN = 5
_WENT = ("deleted", "deleted_with_parent", "unknown")
_PROMISED = tuple(state.value for state in HOLDING - {JobState.AWAITING_CONFIRMATION})


def _live(now: datetime | ColumnElement[Any]) -> ColumnElement[bool]:
    unended = or_(HOLDS.c.expires_at.is_(None), HOLDS.c.expires_at > now)
    return and_(HOLDS.c.removed_at.is_(None), unended)


def holds_any(account: ColumnElement[str], now: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether anything of an account is held at that time, as a column `is_held`."""
    return exists().where(HOLDS.c.account == account, _live(now)).label("is_held")


_HELD = select(HOLDS.c.external_id).where(
    HOLDS.c.account == bindparam("b_account"),
    among(HOLDS.c.external_id, "b_names"),
    _live(bindparam("b_now", type_=HOLDS.c.expires_at.type)),
)


class SqlHolds:
    """The HoldBook port: people set, read and remove holds."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, new: NewHold) -> Sequence[Hold]:
        with self._db.write() as conn:
            ensure_account(conn, new.account)
            lock_heads(conn, [account_chain(new.account)])
            at = db_now(conn)
            kept = [_insert(conn, new, external_id, at) for external_id in new.external_ids]
            append(conn, [_entry(Event.HOLD_ADDED, hold, new.who) for hold in kept])
        return kept

    def remove(self, hold_id: int, *, who: Who, why: str) -> Hold:
        with self._db.write() as conn:
            wanted = select(HOLDS).where(HOLDS.c.id == hold_id)
            row = conn.execute(wanted).one_or_none() if hold_id <= MOST_ID else None
            if row is None or not hold_of(row).is_live(db_now(conn)):
                raise NotFound(f"no live hold {hold_id}", fix="bulkdel hold list shows them")
            lock_heads(conn, [account_chain(row.account)])
            values = {"removed_at": db_now(conn), "removed_by": who.name}
            left = update(HOLDS).where(HOLDS.c.id == hold_id, HOLDS.c.removed_at.is_(None))
            if conn.execute(left.values(values)).rowcount != 1:
                raise NotFound(f"hold {hold_id} was removed meanwhile")
            append(conn, [_entry(Event.HOLD_REMOVED, hold_of(row), who, why)])
            return hold_of(conn.execute(select(HOLDS).where(HOLDS.c.id == hold_id)).one())

    def all(self, account: str | None, *, ended: bool) -> Sequence[Hold]:
        wanted = select(HOLDS).order_by(HOLDS.c.id)
        with self._db.read() as conn:
            if account is not None:
                wanted = wanted.where(HOLDS.c.account == account)
            if not ended:
                wanted = wanted.where(_live(db_now(conn)))
            return [hold_of(row) for row in conn.execute(wanted)]


class SqlGuards:
    """The GuardStore port: what a lease holder asks."""

    def __init__(self, db: Database, length: timedelta) -> None:
        self._db = db
        self._length = length

    def live(self, account: str) -> Holds:
        try:
            with self._db.glance() as conn:
                return _read(conn, account)
        except Unreachable:
            raise  # nothing can be done at all, and so nothing is
        except (SQLAlchemyError, ValueError) as error:
            return Holds(unreadable=_first_line(error))

    def over(self, account: str, items: Sequence[Item]) -> Spared:
        holds = self.live(account)
        if holds.unreadable:
            why = holds.why("")
            return Spared(why={item.id: why for item in items}, outcome=holds.outcome)
        if not holds.by_id:
            return Spared()
        found = {item.id: said for item in items if (said := _own(item, holds))}
        with self._db.read() as conn:
            below = _children(conn, [item.id for item in items], holds)
        return Spared(why=below | found)

    def skip_held(self, lease: Lease, job: Job, holds: Holds) -> int:
        if not holds.by_id:
            return 0
        with self._db.write() as conn:
            lease = fence(conn, lease, self._length)
            lock_heads(conn, [f"job:{job.id}"])
            settled = [
                SettledItem.of(item_of(row), holds.outcome, why)
                for row, why in _held_projects(conn, job.id, holds)
            ]
            cascade.settle(conn, settled)
            settled += cascade.follow(conn, settled, {job.id: job})
            append(conn, [entries.of_settled(item, job, lease.owner) for item in settled])
            return len(settled)

    def used_today(self, account: str, *, but: str) -> int:
        with self._db.read() as conn:
            return _used_today(conn, account, db_now(conn), but=but)

    def last_runs(self, policy: str, *, but: str) -> Sequence[int]:
        """Items of a policy's last runs that deleted, the newest first, without that job's."""
        ended = (JobState.SUCCEEDED.value, JobState.PARTIALLY_SUCCEEDED.value)
        wanted = (
            select(JOBS.c.plan)
            .where(JOBS.c.policy == policy, JOBS.c.id != but, JOBS.c.state.in_(ended))
            .where(JOBS.c.dry_run.is_(False), JOBS.c.started_at.is_not(None))
            .order_by(JOBS.c.created_at.desc())
            .limit(RUNS)
        )
        with self._db.read() as conn:
            return [PLAN.validate_json(plan).items for plan in conn.execute(wanted).scalars()]


def remeasure(conn: Connection, job: Job, at: datetime) -> Remeasured:
    """What became of a plan's guards, as this transaction sees it; call it under its locks."""
    used = _used_today(conn, job.account, at, but=job.id)
    try:
        with conn.begin_nested():  # a failed statement must not break the transaction
            holds = _read(conn, job.account)
            held = [] if not holds.by_id else _said(conn, job.id, holds)
    except (SQLAlchemyError, ValueError) as error:
        return Remeasured(holds_unreadable=_first_line(error), used_today=used)
    return Remeasured(held=held, used_today=used)


def held_jobs(conn: Connection, account: str, items: Sequence[Item], now: datetime) -> set[str]:
    """The jobs among whose items, about to be deleted, one is held by now."""
    about = [item for item in items if item.progress.step in DELETIONS]
    ids = {_ids(item) for item in about}
    names = [name for pair in ids for name in pair if name]
    if not names:
        return set()
    asked = {"b_account": account, "b_names": names, "b_now": now}
    held = set(conn.execute(_HELD, asked).scalars())
    return {item.job_id for item in about if held & set(_ids(item))}


def hold_of(row: Row[Any]) -> Hold:
    """A hold as read from its row."""
    return Hold(**row._asdict())


def _read(conn: Connection, account: str) -> Holds:
    given: dict[str, Any] = {"b_account": account}
    is_server = conn.dialect.name == "postgresql"
    if not is_server:
        given["b_now"] = db_now(conn)
    rows = conn.execute(_all_live(by_server=is_server), given)
    return Holds(by_id={row.external_id: hold_of(row) for row in rows})


@cache
def _all_live(*, by_server: bool) -> Select[Any]:
    """An account's holds, the newest first; by the server's clock where that is free."""
    at = func.clock_timestamp() if by_server else bindparam("b_now", type_=HOLDS.c.expires_at.type)
    mine = HOLDS.c.account == bindparam("b_account")
    return select(HOLDS).where(mine, _live(at)).order_by(HOLDS.c.id.desc())


def _ids(item: Item) -> tuple[str, str]:
    target = item.seen.target
    return target.external_id, target.parent_external_id


def _own(item: Item, holds: Holds) -> str:
    own, parent = _ids(item)
    below = holds.why(parent) if parent else ""
    return holds.why(own) or (below and f"its project {parent}: {below}")


def _children(conn: Connection, projects: Sequence[int], holds: Holds) -> dict[int, str]:
    """Why projects stay for the sake of a held child that is still there, by their item ids."""
    found: dict[int, str] = {}
    for ids in _chunks(projects):
        rows = conn.execute(
            select(ITEMS).where(ITEMS.c.parent_item_id.in_(ids), _OPEN, _among(holds))
        )
        for row in rows:
            found.setdefault(row.parent_item_id, _of_child(row, holds))
    return found


def _held_projects(conn: Connection, job_id: str, holds: Holds) -> list[tuple[Row[Any], str]]:
    """The open projects of a job that are held, or have a child that is, with the reason."""
    mine = and_(ITEMS.c.job_id == job_id, _OPEN)
    why: dict[int, str] = {}
    below = or_(*(ITEMS.c.parent_external_id.in_(ids) for ids in _chunks(list(holds.by_id))))
    for row in conn.execute(select(ITEMS).where(mine, _among(holds) | below)):
        if row.parent_item_id is None:
            why[row.id] = _own(item_of(row), holds)
        elif holds.why(row.external_id):
            why.setdefault(row.parent_item_id, _of_child(row, holds))
    found: list[tuple[Row[Any], str]] = []
    for ids in _chunks(list(why)):
        rows = conn.execute(select(ITEMS).where(ITEMS.c.id.in_(ids), _OPEN))
        found += [(row, why[row.id]) for row in rows]
    return found


def _said(conn: Connection, job_id: str, holds: Holds) -> list[str]:
    found = _held_projects(conn, job_id, holds)
    return [f"{row.kind} {row.external_id}: {why}" for row, why in found[:_SHOWN]]


def _of_child(row: Row[Any], holds: Holds) -> str:
    return f"its {row.kind} {row.external_id}: {holds.why(row.external_id)}"


def _among(holds: Holds) -> ColumnElement[bool]:
    return or_(*(ITEMS.c.external_id.in_(ids) for ids in _chunks(list(holds.by_id))))


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    stream = iter(values)
    while chunk := list(islice(stream, _CHUNK)):
        yield chunk


def _used_today(conn: Connection, account: str, at: datetime, *, but: str) -> int:
    """Items that went since midnight (UTC), and those still open that other jobs were promised."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    went = select(func.count()).where(
        AUDIT.c.account == account, AUDIT.c.at >= midnight, AUDIT.c.outcome.in_(_WENT)
    )
    promised = (
        select(func.count())
        .select_from(ITEMS.join(JOBS, ITEMS.c.job_id == JOBS.c.id))
        .where(JOBS.c.account == account, JOBS.c.id != but, _OPEN, JOBS.c.stopping == "")
        .where(JOBS.c.state.in_(_PROMISED), JOBS.c.paused_from != JobState.PLANNING.value)
    )
    return int(conn.execute(went).scalar_one() + conn.execute(promised).scalar_one())


def _insert(conn: Connection, new: NewHold, external_id: str, at: datetime) -> Hold:
    values: Mapping[str, Any] = {
        "account": new.account,
        "external_id": external_id,
        "owner": new.owner,
        "reason": new.reason,
        "actor": new.who.name,
        "created_at": at,
        "expires_at": new.expires_at,
    }
    return hold_of(conn.execute(insert(HOLDS).values(values).returning(HOLDS)).one())


def _entry(event: Event, hold: Hold, who: Who, why: str = "") -> Entry:
    until = hold.expires_at.isoformat() if hold.expires_at else ""
    detail = {"hold": hold.id, "owner": hold.owner, "reason": hold.reason, "until": until}
    return Entry(
        chain=account_chain(hold.account),
        account=hold.account,
        external_id=hold.external_id,
        event=event,
        actor=who.name,
        message=why or hold.reason,
        detail={**detail, "os_user": who.os_user, "host": who.host},
    )


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
