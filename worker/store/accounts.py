"""The account rows: who holds the lease, what is parked, and when an account is due."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from worker.domain.audit import Entry, Event, account_chain
from worker.domain.errors import LeaseLost
from worker.domain.states import ACTIVE, JobState
from worker.ports import AccountRow, Lease
from worker.store.chain import append
from worker.store.engine import Database
from worker.store.engine import now as db_now
from worker.store.models import ACCOUNTS, ITEMS, JOBS

_ACTIVE = [state.value for state in ACTIVE]
_LATER = ("deferred", "verifying")


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
    """Lock the account, check the token and renew the lease; LeaseLost if it went elsewhere."""
    row = conn.execute(
        select(ACCOUNTS.c.lease_token, ACCOUNTS.c.lease_owner)
        .where(ACCOUNTS.c.name == lease.account)
        .with_for_update()
    ).one()
    if (row.lease_token, row.lease_owner) != (lease.token, lease.owner):
        raise LeaseLost(f"the lease of {lease.account} went to another worker")
    now = db_now(conn)
    conn.execute(
        update(ACCOUNTS).where(ACCOUNTS.c.name == lease.account).values(lease_until=now + length)
    )
    return replace(lease, now=now, until=now + length)


def next_due(conn: Connection, account: str, now: datetime) -> datetime | None:
    """When the account's jobs next have something to do; None if never."""
    active = select(JOBS.c.id).where(JOBS.c.account == account, JOBS.c.state.in_(_ACTIVE))
    ready = select(ITEMS.c.id).where(ITEMS.c.job_id.in_(active), ITEMS.c.state == "pending")
    due = select(func.min(ITEMS.c.due_at)).where(
        ITEMS.c.job_id.in_(active), ITEMS.c.state.in_(_LATER)
    )
    start = select(func.min(JOBS.c.start_at)).where(
        JOBS.c.account == account, JOBS.c.state == JobState.SCHEDULED.value
    )
    stopping = select(JOBS.c.id).where(JOBS.c.account == account, JOBS.c.stopping != "")
    if any(conn.execute(work.limit(1)).first() is not None for work in (ready, stopping)):
        return now
    listing = select(JOBS.c.list_due_at).where(
        JOBS.c.account == account, JOBS.c.state == JobState.PLANNING.value, ~JOBS.c.listed
    )
    pages = [at or now for (at,) in conn.execute(listing)]
    times = [conn.execute(due).scalar(), conn.execute(start).scalar(), *pages]
    return min((time for time in times if time is not None), default=None)


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
            rows = conn.execute(
                select(ACCOUNTS.c.name, ACCOUNTS.c.next_wake_at).where(
                    ACCOUNTS.c.next_wake_at <= now + within,
                    (ACCOUNTS.c.lease_until.is_(None)) | (ACCOUNTS.c.lease_until <= now),
                )
            ).all()
        return [(name, max(wake - now, timedelta(0))) for name, wake in rows]

    def heal(self) -> int:
        """Make accounts due that have live work and no time set; returns how many there were."""
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
            return healed.rowcount

    def is_alone(self, account: str) -> bool:
        """Whether no other account is due now."""
        return all(name == account for name, _ in self.due(timedelta(0)))


def _entry(account: str, event: Event, actor: str, text: str) -> Entry:
    return Entry(
        chain=account_chain(account), account=account, event=event, actor=actor, message=text
    )
