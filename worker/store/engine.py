"""The database's connections: one transaction that writes, one snapshot that reads.

SQLite writes under `BEGIN IMMEDIATE` (a deferred transaction that turns to writing fails at once
when somebody else writes) and reads on a second engine; PostgreSQL shares one pool. Engines are
made on first use and belong to one process, so a fork never shares a connection.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, func, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from worker.domain.audit import Entry
from worker.domain.errors import InvalidInput, Unreachable
from worker.store.engines import Engines, engines_at

SCHEMA = "0006"
"""The migration this release needs; later ones are fine, as they let it work on."""
Tell = Callable[[Sequence[Entry]], None]
WRITTEN = "worker.written"
"""Where a connection keeps the audit entries of its transaction until they are committed."""

_PG_DRIVERS = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
# SQLite files everything under OperationalError, "no such table" and bad SQL too.
_SQLITE_OUR_FAULT = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISUSE}
)


def database_url(text: str) -> URL:
    """The URL with its driver; InvalidInput if it is none we can work with."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "the database URL cannot be read",
            fix="use sqlite:///FILE or postgresql://USER@HOST/NAME",
        ) from None
    if url.drivername in _PG_DRIVERS:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise InvalidInput(
            f"{url.drivername} databases are not supported",
            fix="use sqlite:///FILE or postgresql://USER@HOST/NAME",
        )
    if not url.database or url.database == ":memory:":
        raise InvalidInput(
            "a database in memory cannot be shared by workers", fix="name a file: sqlite:///FILE"
        )
    return url


class Database:
    """A database by its URL. Opening it costs nothing; the first transaction connects.

    `tell` hears of the audit entries of a transaction once it is committed.
    """

    def __init__(self, url: str, tell: Tell | None = None) -> None:
        self._url = database_url(url)
        self._tell = tell
        self._engines: dict[int, Engines] = {}  # by process: a fork takes its parent's along

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._url.get_backend_name()

    @property
    def url(self) -> str:
        """The URL with its driver and its password, for migrations; never to be shown."""
        return self._url.render_as_string(hide_password=False)

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)!r})"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any error.

        Raises Unreachable if the database cannot be reached, or is lost or locked meanwhile; a
        commit whose answer was lost may have happened.
        """
        written: list[Entry] = []
        with self._translated(), self._here().writing.begin() as connection:
            connection.info[WRITTEN] = written
            yield connection
        if self._tell is not None:
            self._tell(written)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot, read-only. Raises Unreachable as `write` does."""
        with self._translated(), self._here().reading.begin() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Read without a snapshot, each statement by itself: two round trips less on PostgreSQL.

        For a lease holder, whose items nobody else moves. Raises Unreachable as `write` does.
        """
        with self._translated(), self._here().glancing.connect() as connection:
            yield connection

    def check_schema(self) -> None:
        """Raise Unreachable, and let go, unless the database has the tables this release needs."""
        with self.read() as connection:
            revision = schema_revision(connection)
        if revision is not None and revision >= SCHEMA:
            return
        self.dispose()
        found = "is behind: it is at " + revision if revision else "has no tables"
        needed = f", needed is {SCHEMA}" if revision else ""
        raise Unreachable(f"the database {found}{needed}", fix="run: bulkdel db upgrade")

    def dispose(self) -> None:
        """Close this process' connections; the next transaction opens new ones."""
        engines = self._engines.pop(os.getpid(), None)
        if engines is not None:
            engines.reading.dispose()
            engines.writing.dispose()

    def _here(self) -> Engines:
        # Of threads that make engines at the same time all get the first pair, at one stroke; the
        # others have not connected, and cost nothing. So no lock, which a fork could leave taken.
        here = os.getpid()
        engines = self._engines.get(here)
        if engines is None:
            self._forget_parents(here)
            engines = self._engines.setdefault(here, engines_at(self._url))
        return engines

    def _forget_parents(self, here: int) -> None:
        """Let go of the connections that a fork took along, and do not close them."""
        for parent in set(self._engines) - {here}:
            if engines := self._engines.pop(parent, None):
                engines.reading.dispose(close=False)
                engines.writing.dispose(close=False)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout:
            raise Unreachable(
                "no database connection came free", fix="fewer threads a worker process"
            ) from None
        except DBAPIError as error:
            if _is_our_fault(error):
                raise
            raise Unreachable(
                f"the database cannot be used: {_first_line(error)}", fix=self._fix()
            ) from error

    def _fix(self) -> str:
        shown = self._url.render_as_string(hide_password=True)
        if self.dialect == "sqlite":
            return f"check {shown}: disk, rights, and who else writes to it"
        return f"check that PostgreSQL runs and {shown} is right (BULKDEL_DATABASE_URL)"


def _is_our_fault(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) in _SQLITE_OUR_FAULT
    gone = error.connection_invalidated or isinstance(error, OperationalError)
    return not (gone or isinstance(error, InterfaceError))


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]


def schema_revision(connection: Connection) -> str | None:
    """The migration the database stands at; None if it has no tables of ours."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def now(connection: Connection) -> datetime:
    """The time by the database's clock."""
    if connection.dialect.name == "postgresql":
        at: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return at.astimezone(UTC)
    text = connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')").scalar_one()
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock(connection: Connection) -> ColumnElement[Any] | datetime:
    """The same for use in a statement, where it costs no round trip."""
    return func.clock_timestamp() if connection.dialect.name == "postgresql" else now(connection)
