"""Who is there: the processes seen lately, and rights that one of them holds for a while.

All instants are the database's, so the processes' clocks do not matter.
"""

import contextlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ProgrammingError

from worker.store.engine import Database, now
from worker.store.models import Base

SWEEP = "sweep"
LOSS = "sweep after a loss"
VERIFIED = "audit.verified"
_DEPLOYMENT = "deployment"
_TOO_LONG = 10
_WORKERS: Table = Base.metadata.tables["workers"]
_LEASES: Table = Base.metadata.tables["leases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A process as last seen."""

    owner: str
    role: str  # worker or beat
    started_at: datetime
    seen_at: datetime
    version: str


def seen(database: Database, owner: str, role: str, version: str) -> None:
    """Write down that this process is alive."""
    with database.write() as connection:
        at = now(connection)
        fresh = _insert(connection, _WORKERS).values(
            owner=owner, role=role, version=version, started_at=at, seen_at=at
        )
        again = {"role": role, "version": version, "seen_at": at}
        connection.execute(fresh.on_conflict_do_update(index_elements=["owner"], set_=again))


def gone(database: Database, owner: str) -> None:
    """Forget a process that ends."""
    with database.write() as connection:
        connection.execute(delete(_WORKERS).where(_WORKERS.c.owner == owner))


def alive(database: Database, within: timedelta) -> list[Presence]:
    """The processes seen within this time, those seen last first."""
    with database.read() as connection:
        rows = connection.execute(
            select(_WORKERS)
            .where(_WORKERS.c.seen_at > now(connection) - within)
            .order_by(_WORKERS.c.seen_at.desc(), _WORKERS.c.owner)
        )
        return [Presence(**row) for row in rows.mappings()]


def forget(database: Database, older_than: timedelta) -> int:
    """Forget processes not seen for so long; returns how many."""
    with database.write() as connection:
        long_ago = now(connection) - older_than
        return connection.execute(delete(_WORKERS).where(_WORKERS.c.seen_at < long_ago)).rowcount


def take_named_lease(database: Database, name: str, owner: str, length: timedelta) -> bool:
    """Take or renew a named right; False if somebody else holds it.

    Nobody holds one that lasts too long: it was taken before the database's clock went back.
    """
    with database.write() as connection:
        at = now(connection)
        held = {"owner": owner, "until": at + length}
        until = _LEASES.c.until
        is_over = or_(until.is_(None), until <= at, until > at + _TOO_LONG * length)
        free = or_(is_over, _LEASES.c.owner == owner)
        taken = connection.execute(
            _insert(connection, _LEASES)
            .values(name=name, **held)
            .on_conflict_do_update(index_elements=["name"], set_=held, where=free)
            .returning(_LEASES.c.name)
        )
        return taken.first() is not None


def give_named_lease(database: Database, name: str, owner: str) -> None:
    """Give a named right back, if it is still ours."""
    with database.write() as connection:
        connection.execute(
            update(_LEASES)
            .where(_LEASES.c.name == name, _LEASES.c.owner == owner)
            .values(owner="", until=None)
        )


def deployment(database: Database) -> str:
    """The name of this database among those that share a Redis; made on first use."""
    with database.write() as connection:
        fresh = _insert(connection, _LEASES).values(name=_DEPLOYMENT, owner=secrets.token_hex(4))
        connection.execute(fresh.on_conflict_do_nothing())
        wanted = select(_LEASES.c.owner).where(_LEASES.c.name == _DEPLOYMENT)
        return str(connection.execute(wanted).scalar_one())


def note(database: Database, name: str, owner: str) -> None:
    """Write down that something was done now; who may only read writes nothing."""
    with contextlib.suppress(ProgrammingError), database.write() as connection:
        done = {"owner": owner, "until": now(connection)}
        fresh = _insert(connection, _LEASES).values(name=name, **done)
        connection.execute(fresh.on_conflict_do_update(index_elements=["name"], set_=done))


def until(connection: Connection, name: str) -> datetime | None:
    """Until when a named right is held, or when a thing was done; None for never."""
    found = connection.execute(select(_LEASES.c.until).where(_LEASES.c.name == name))
    at: datetime | None = found.scalar_one_or_none()
    return at


def _insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401  one of two classes that share no base with the method used
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    return insert(table)
