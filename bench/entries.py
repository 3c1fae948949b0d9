"""An audit log of any size to ask: filled in a minute or two, on either database.

The chains are not real, as reading does not ask. One job has three tenths of all entries and
fails only at its end; one account does nothing but fail; the rest is what a good week looks like.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from bench.servers import POSTGRES, a_database
from worker.store.engine import Database
from worker.store.migrate import upgrade

FIRST_DAY = "2026-01-01"
PER_SECOND = 200
"""Entries of one second of the log's time."""
BIG_JOB = "j-big"
BIG_SHARE = 10 / 3
FILL = """
INSERT INTO audit_entries (id, chain, seq, job_id, item_id, account, provider, kind, external_id,
  event, attempt, verdict, outcome, http_status, request_id, duration_ms, actor, at,
  detail, prev_hash, hash)
SELECT n, 'job:' || job, n + 1, job, n / 2, account, 'zoho_books', kind, {id},
  'call', n % 2, CASE n % 2 WHEN 0 THEN 'seen' ELSE 'deleted' END,
  CASE WHEN n % 2 = 0 THEN NULL
    WHEN account = 'account7' OR n % 1000 = 1 AND n > {big} - 50000 THEN 'failed_refused'
    WHEN n % 5000 = 3 AND n > {big} THEN 'unknown' ELSE 'deleted' END,
  200, 'r-' || n, 100 + n % 100,
  CASE WHEN n % 1000 = 0 THEN 'ada' ELSE 'worker@host:' || (n / 100000) END, {at},
  CASE n % 2 WHEN 0 THEN '{{"action":"read","source":0}}' ELSE '{{"action":"delete"}}' END,
  {digest}, {digest}
FROM (
  SELECT n, CASE WHEN n < {big} THEN 'j-big' ELSE 'j-' || (n / 10000) END AS job,
    'account' || (CASE WHEN n < {big} THEN 0 ELSE n / 10000 % 20 END) AS account,
    CASE n % 10 WHEN 1 THEN 'project' WHEN 3 THEN 'user' ELSE 'task' END AS kind
  FROM {numbers}
) AS given
"""
POSTGRESQL = {
    "id": "(460000000000 + n / 2 % 1000000)::text",
    "at": "timestamptz '2026-01-01Z' + n / 20 * interval '100 milliseconds'",
    "digest": "md5(n::text) || md5((-n)::text)",
    "numbers": "generate_series(0, {last}) AS n",
}
SQLITE = {
    "id": "cast(460000000000 + n / 2 % 1000000 AS text)",
    "at": "strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', (n / 20 / 10.0) || ' seconds') || '000'",
    "digest": "printf('%064x', n * 2654435761)",
    "numbers": "(WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c "
    "WHERE n < {last}) SELECT n FROM c)",
}
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'audit_entries' AND indexname LIKE 'ix_%'
"""


@contextmanager
def on_postgresql(entries: int) -> Iterator[Database]:
    """A database of its own with so many entries, dropped afterwards."""
    with a_database() as name:
        database = Database(f"{POSTGRES}/{name}")
        try:
            with database.write() as connection:
                _fill_postgresql(connection, entries)
            _vacuum(database.url)
            yield database
        finally:
            database.dispose()


@contextmanager
def on_sqlite(entries: int, folder: Path) -> Iterator[Database]:
    """A file of its own with so many entries."""
    database = Database(f"sqlite:///{folder}/audit-{entries}.db")
    upgrade(database.url)
    try:
        with database.write() as connection:
            _fill_sqlite(connection, entries)
        yield database
    finally:
        database.dispose()


def bytes_each(database: Database, entries: int) -> tuple[float, float]:
    """Bytes on disk that an entry takes, and its indexes; SQLite tells only the two together."""
    with database.read() as connection:
        if database.dialect == "sqlite":
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            size = connection.execute(text("PRAGMA page_size")).scalar_one()
            return pages * size / entries, 0.0
        asked = "SELECT pg_table_size('audit_entries'), pg_indexes_size('audit_entries')"
        table, indexes = connection.execute(text(asked)).one()
    return table / entries, indexes / entries


def _statement(entries: int, words: Mapping[str, str]) -> str:
    numbers = words["numbers"].format(last=entries - 1)
    return FILL.format(big=int(entries / BIG_SHARE), **{**words, "numbers": numbers})


def _fill_postgresql(connection: Connection, entries: int) -> None:
    """Indexes are made when all is there, which is much faster."""
    for setting in (
        "session_replication_role = replica",
        "synchronous_commit = off",
        "maintenance_work_mem = '512MB'",
    ):
        connection.execute(text(f"SET LOCAL {setting}"))
    indexes = connection.execute(text(INDEXES)).all()
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    connection.exec_driver_sql(_statement(entries, POSTGRESQL).replace("%", "%%"))
    for _, definition in indexes:
        connection.exec_driver_sql(definition)


def _fill_sqlite(connection: Connection, entries: int) -> None:
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    for name in connection.execute(text(triggers)).scalars().all():
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    connection.exec_driver_sql(_statement(entries, SQLITE))
    connection.exec_driver_sql("ANALYZE audit_entries")


def _vacuum(url: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE audit_entries"))
    engine.dispose()
