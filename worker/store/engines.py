"""Engines: how a process is connected to SQLite or PostgreSQL for what it is about to do."""

import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from worker.domain.errors import Unreachable

_POOL = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 30}
_BUSY_MS = 10_000
_PG_CONNECT = {
    "connect_timeout": 5,
    "application_name": "bulkdel",
    "tcp_user_timeout": 20_000,  # a server that went away without a word
}
_PG_GUARDS = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'"
_PING_AFTER = 1.0
"""Seconds of rest after which a connection is tried before it is used: a ping is a round trip."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What transactions that write, snapshots and single looks go through."""

    writing: Engine
    reading: Engine
    glancing: Engine


def engines_at(url: URL) -> Engines:
    """Fresh engines, which connect when first used."""
    writing = writing_engine(url, guards=True)
    reading = _reading_engine(url, writing)
    return Engines(writing, reading, _glancing_engine(writing, reading))


def writing_engine(url: URL, *, foreign_keys: bool = True, guards: bool = False) -> Engine:
    """An engine for transactions that write. Migrations alone go without foreign keys.

    With `guards` no statement waits for a lock for long, and no transaction stays open idle.
    """
    if url.get_backend_name() == "postgresql":
        engine = create_engine(url, connect_args=dict(_PG_CONNECT), **_POOL)
        _set_up_postgresql(engine, guards=guards)
        return engine
    _make_folder(url)
    engine = create_engine(url, **_POOL)
    keys = "ON" if foreign_keys else "OFF"
    _set_up_sqlite(
        engine,
        begin="BEGIN IMMEDIATE",
        pragmas=("journal_mode=WAL", "synchronous=FULL", f"foreign_keys={keys}"),
    )
    return engine


def _reading_engine(url: URL, writing: Engine) -> Engine:
    if url.get_backend_name() == "postgresql":
        return writing.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    engine = create_engine(url, **_POOL)
    _set_up_sqlite(engine, begin="BEGIN", pragmas=("query_only=ON",))
    return engine


def _glancing_engine(writing: Engine, reading: Engine) -> Engine:
    if writing.dialect.name == "postgresql":
        return writing.execution_options(isolation_level="AUTOCOMMIT")
    return reading


def _make_folder(url: URL) -> None:
    folder = Path(url.database or "").expanduser().parent
    if folder.is_dir():
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unreachable(
            f"the database's folder cannot be made: {error}",
            fix="check BULKDEL_DATABASE_URL and the rights on the folder",
        ) from None


def _set_up_postgresql(engine: Engine, *, guards: bool) -> None:
    def on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        if guards:
            cursor.execute(_PG_GUARDS)
        cursor.close()
        connection.commit()

    def on_checkin(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["rests_since"] = time.monotonic()

    def on_checkout(
        connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        if time.monotonic() - entry.info.get("rests_since", float("inf")) < _PING_AFTER:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool makes a new one, and forgets the rest

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "checkin", on_checkin)
    event.listen(engine, "checkout", on_checkout)


def _set_up_sqlite(engine: Engine, *, begin: str, pragmas: tuple[str, ...]) -> None:
    def on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions of its own: ours begin as written here.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={_BUSY_MS}", *pragmas, "recursive_triggers=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
