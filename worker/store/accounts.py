"""The account rows: who holds the lease, what is parked, and when an account is due."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Interval,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from worker.domain.audit import Entry, Event, account_chain
from worker.domain.bulk import Stage
from worker.domain.errors import LeaseLost
from worker.domain.states import ACTIVE, ItemState, JobState
from worker.domain.steps import Step
from worker.ports import AccountRow, Knobs, Lease
from worker.store.cascade import AT_REST, after_timer
from worker.store.chain import append
from worker.store.engine import Database, clock
from worker.store.engine import now as db_now
from worker.store.models import ACCOUNTS, ITEMS, JOBS
from worker.store.rows import BULK, KNOBS, OPTIONS, job_of
from worker.store.turns import awaits_proof, not_before_canary

_ACTIVE = [state.value for state in ACTIVE]
_LATER = (ItemState.DEFERRED.value, ItemState.VERIFYING.value)
LONGEST_LEASE = timedelta(minutes=15)
"""A lease that ends later than this from now was taken before the database's clock went back."""
LEFT_OUT = and_(AT_REST, ~ITEMS.c.goes_with_parent)
"""Items that a stopping job leaves out: none that is under way, and none that follows another."""

_FENCE = (
    update(ACCOUNTS)
    .where(
        ACCOUNTS.c.name == bindparam("b_name"),
        ACCOUNTS.c.lease_token == bindparam("b_token"),
        ACCOUNTS.c.lease_owner == bindparam("b_owner"),
    )
    .values(lease_until=bindparam("b_until"))
    .returning(ACCOUNTS.c.lease_until, ACCOUNTS.c.bell)
)
_LENGTH = bindparam("b_length", type_=Interval())
_PG_FENCE = _FENCE.values(lease_until=func.clock_timestamp() + _LENGTH)


def account_of(row: Row[Any]) -> AccountRow:
    """An account as read from its row."""
    return AccountRow(
        name=row.name,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        next_wake_at=row.next_wake_at,
        parked_code=row.parked_code,
        parked_text=row.parked_text,
        parked_at=row.parked_at,
        parked_secret=row.parked_secret,
    )


def ensure_account(conn: Connection, name: str) -> None:
    """Give the account a row; nothing happens if it has one."""
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(insert(ACCOUNTS).values(name=name).on_conflict_do_nothing())


def fence(conn: Connection, lease: Lease, length: timedelta) -> Lease:
    """Lock the account, check the token and renew the lease; LeaseLost if it went elsewhere.

    The lease that is returned has heard every ring so far.
    """
    mine = {"b_name": lease.account, "b_token": lease.token, "b_owner": lease.owner}
    # One round trip where it counts; on SQLite asking for the time costs none.
    if conn.dialect.name == "postgresql":
        row = conn.execute(_PG_FENCE, {**mine, "b_length": length}).one_or_none()
    else:
        row = conn.execute(_FENCE, {**mine, "b_until": db_now(conn) + length}).one_or_none()
    if row is None:
        raise LeaseLost(f"the lease of {lease.account} went to another worker")
    until = row.lease_until
    return replace(lease, now=until - length, until=until, bell=row.bell)


def lock_account(conn: Connection, name: str) -> Row[Any] | None:
    """The account's row, locked against all who change the account or its jobs; None if none.

    Not against submissions: their jobs refer to the row, and may take long to come in.
    """
    locked = select(ACCOUNTS).where(ACCOUNTS.c.name == name).with_for_update(key_share=True)
    return conn.execute(locked).one_or_none()


def next_due(conn: Connection, account: str, now: datetime) -> datetime | None:
    """When the account's jobs next have something to do; None if never."""
    waits = JOBS.c.state.in_([*_ACTIVE, JobState.SCHEDULED.value]) | (JOBS.c.stopping != "")
    times = []
    for job in conn.execute(select(JOBS).where(JOBS.c.account == account, waits)):
        at = _job_due(conn, job, now)
        if at is not None and at <= now:
            return now
        times += [] if at is None else [at]
    return min(times, default=None)


def _job_due(conn: Connection, job: Row[Any], now: datetime) -> datetime | None:
    """When a job next has a call to make or can be moved on; None if it waits for another."""
    at: datetime | None = job.start_at
    if not job.stopping and job.state == JobState.SCHEDULED.value:
        return at
    at = job.list_due_at
    if not job.stopping and job.state == JobState.PLANNING.value and not job.listed:
        return at or now
    bulk = BULK.validate_json(job.bulk)
    compares = bulk.stage is Stage.REFRESH and not job.stopping
    if compares or bulk.stage in {Stage.PROOF, Stage.PROVEN}:
        return at or now
    opens = job_of(job).opens_at(now)
    if opens > now:
        return opens
    scope = and_(ITEMS.c.job_id == job.id, _in_turn(job))
    ready = ITEMS.c.state == ItemState.PENDING.value
    if job.stopping:
        ready = (ready & (ITEMS.c.step == Step.LOOK.value)) | LEFT_OUT
    if conn.execute(select(ITEMS.c.id).where(scope, ready).limit(1)).first() is not None:
        return now
    later = select(func.min(ITEMS.c.due_at)).where(scope, ITEMS.c.state.in_(_LATER))
    at = conn.execute(later).scalar()
    still_open = select(ITEMS.c.id).where(scope, ITEMS.c.state != ItemState.SETTLED.value)
    if at is None and conn.execute(still_open.limit(1)).first() is None:
        return now
    # What stands still is moved on: the canary is judged, what went by chunks is proven.
    stands = at is None and (bulk.stage is Stage.CANARY or bool(bulk.refusal))
    stopping = bool(job.stopping)
    return now if stands or awaits_proof(conn, job.id, bulk, stopping=stopping) else at


def _in_turn(job: Row[Any]) -> ColumnElement[bool]:
    """Which items of a job a worker looks at now; with none of them open it is moved on."""
    if job.stopping:
        return true()
    if job.state == JobState.PLANNING.value:
        return ITEMS.c.step == Step.READ.value
    early = true() if job.canary_position is None else ITEMS.c.position <= job.canary_position
    stops_timer = OPTIONS.validate_json(job.options).stop_timer
    chunks = not_before_canary(BULK.validate_json(job.bulk))
    return and_(early, after_timer(job.id) if stops_timer else true(), chunks)


class Accounts:
    """What is known of accounts beside their work."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, name: str) -> AccountRow:
        """One account; an empty row if no job was ever submitted for it."""
        with self._db.read() as conn:
            row = conn.execute(select(ACCOUNTS).where(ACCOUNTS.c.name == name)).one_or_none()
        return AccountRow(name=name) if row is None else account_of(row)

    def all(self) -> Sequence[AccountRow]:
        """Every account that ever had a job, by name."""
        with self._db.read() as conn:
            rows = conn.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.name)).all()
        return [account_of(row) for row in rows]

    def knobs(self) -> Mapping[str, Sequence[Knobs]]:
        """What was set of the jobs that are worked now, by account."""
        found: dict[str, list[Knobs]] = {}
        with self._db.read() as conn:
            for row in conn.execute(select(JOBS).where(JOBS.c.state.in_(_ACTIVE))):
                found.setdefault(row.account, []).append(KNOBS.validate_json(row.knobs))
        return found

    def park(self, lease: Lease, *, code: str, text: str, secret: str) -> None:
        """Stop the account until its credentials are mended; audited on its chain."""
        with self._db.write() as conn:
            lease = fence(conn, lease, lease.until - lease.now)
            at = append(conn, [_entry(lease.account, Event.ACCOUNT_PARKED, lease.owner, text)])
            conn.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.name == lease.account)
                .values(parked_code=code, parked_text=text, parked_at=at, parked_secret=secret)
            )

    def unpark(self, account: str, *, actor: str, why: str) -> bool:
        """Let a parked account go on, audited; False if it was not parked."""
        with self._db.write() as conn:
            freed = conn.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.name == account, ACCOUNTS.c.parked_code != "")
                .values(
                    parked_code="",
                    parked_text="",
                    parked_at=None,
                    parked_secret="",
                    bell=ACCOUNTS.c.bell + 1,
                    next_wake_at=db_now(conn),
                )
            )
            if not freed.rowcount:
                return False
            append(conn, [_entry(account, Event.ACCOUNT_RESUMED, actor, why)])
            return True

    def due(self, within: timedelta) -> Sequence[tuple[str, timedelta]]:
        """Accounts nobody works that are due before `within` from now, and in how long."""
        with self._db.read() as conn:
            now = db_now(conn)
            rows = conn.execute(_due(now, within)).all()
        return [(name, max(wake - now, timedelta(0))) for name, wake in rows]

    def open_intents(self, account: str) -> int:
        """How many calls of an account may be under way now."""
        items = select(func.count()).where(ITEMS.c.account == account, ITEMS.c.state == "sent")
        pages = select(func.count()).where(JOBS.c.account == account, JOBS.c.list_token != 0)
        with self._db.read() as conn:
            return conn.execute(items).scalar_one() + conn.execute(pages).scalar_one()

    def heal(self) -> int:
        """Make accounts due that have live work and no time set; returns how many there were.

        So are those whose holder died with a lease from before the database's clock went back.
        """
        work = exists().where(
            JOBS.c.account == ACCOUNTS.c.name,
            JOBS.c.state.in_([*_ACTIVE, JobState.SCHEDULED.value]) | (JOBS.c.stopping != ""),
        )
        with self._db.write() as conn:
            now = db_now(conn)
            lost = (ACCOUNTS.c.lease_until.is_(None)) | (ACCOUNTS.c.lease_until <= now)
            healed = conn.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.next_wake_at.is_(None), lost, work)
                .values(next_wake_at=now)
            )
            void = conn.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.lease_until > now + LONGEST_LEASE)
                .values(lease_until=now, next_wake_at=now)
            )
            return healed.rowcount + void.rowcount

    def is_alone(self, account: str) -> bool:
        """Whether no other account is due now."""
        with self._db.glance() as conn:
            others = _due(clock(conn)).where(ACCOUNTS.c.name != account)
            return conn.execute(others.limit(1)).first() is None


def _due(now: datetime | ColumnElement[Any], within: timedelta = timedelta(0)) -> Select[Any]:
    free = (ACCOUNTS.c.lease_until.is_(None)) | (ACCOUNTS.c.lease_until <= now)
    wanted = select(ACCOUNTS.c.name, ACCOUNTS.c.next_wake_at)
    return wanted.where(ACCOUNTS.c.next_wake_at <= now + within, free)


def _entry(account: str, event: Event, actor: str, text: str) -> Entry:
    return Entry(
        chain=account_chain(account), account=account, event=event, actor=actor, message=text
    )
