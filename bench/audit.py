"""Fills an audit log and asks it what operators ask: `python -m bench.audit`.

    AUDIT_ENTRIES=10000000 BULKDEL_TEST_POSTGRES=postgresql://… python -m bench.audit

Each documented query is asked for a page of 100, at page 1 and at page 10,000 (or its last), and
held against the bare SQL on the index that fits. The chains are not real: reading does not ask.
The database is made for the run and dropped after it; AUDIT_DATABASE=sqlite uses a file instead.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import quantiles
from time import perf_counter

import psycopg
from sqlalchemy import text

from worker.cli.audit_formats import csv_rows
from worker.domain.outcomes import Outcome
from worker.store.audit_log import Filter, cursor_of, query
from worker.store.engine import Database
from worker.store.migrate import upgrade

NAME = "bulkdel_bench_audit"
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 100
FAR = 10_000
ASKED = 40
FILL = """
INSERT INTO audit_entries (id, chain, seq, job_id, item_id, account, provider, kind, external_id,
  parent_external_id, event, attempt, verdict, outcome, http_status, duration_ms, actor, at,
  detail, prev_hash, hash)
SELECT n, 'job:j' || (n / 10000), n % 10000 + 1, 'j' || (n / 10000), n / 2,
  'account' || (n / 10000 % 20),
  'zoho_books', CASE n % 10 WHEN 0 THEN 'project' WHEN 1 THEN 'user' ELSE 'task' END,
  {id}, '',
  CASE n % 2 WHEN 0 THEN 'call' ELSE 'item.settled' END, 1, 'deleted',
  CASE WHEN n % 2 = 0 THEN NULL WHEN n % 1000 = 1 THEN 'failed_refused'
    WHEN n % 5000 = 3 THEN 'unknown' ELSE 'deleted' END,
  200, 150, CASE WHEN n % 1000 = 0 THEN 'ada' ELSE 'worker@host:' || (n / 100000) END,
  {at}, '{{}}', {digest}, {digest}
FROM {numbers}
"""
POSTGRES = {
    "id": "(460000000000 + n % 1000000)::text",
    "at": "timestamptz '2026-01-01Z' + n / 20 * interval '100 milliseconds'",
    "digest": "md5(n::text) || md5((-n)::text)",
}
SQLITE = {
    "id": "cast(460000000000 + n % 1000000 AS text)",
    "at": "strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', (n / 20 / 10.0) || ' seconds') || '000'",
    "digest": "printf('%064x', n)",
}
ORDER = "ORDER BY at, id LIMIT 100"


def queries(entries: int) -> Mapping[str, tuple[Filter, str]]:
    """The documented queries, and the condition that the bare SQL has for each."""
    middle = START + timedelta(seconds=entries / 400)
    since = f"at >= '{middle:%Y-%m-%d %H:%M:%S.%f}'"
    return {
        "all": (Filter(), "true"),
        "--job": (Filter(job="j7"), "job_id = 'j7'"),
        "--account": (Filter(account="account3"), "account = 'account3'"),
        "--kind": (Filter(kind="project"), "kind = 'project'"),
        "--id": (Filter(external_id="460000000777"), "external_id = '460000000777'"),
        "--outcome": (
            Filter(outcome=(Outcome.FAILED_REFUSED,)),
            "outcome = 'failed_refused' AND outcome IS NOT NULL",
        ),
        "--actor": (Filter(actor="ada"), "actor = 'ada'"),
        "--since": (Filter(since=middle), since),
        "--account --outcome --since": (
            Filter(account="account3", outcome=(Outcome.UNKNOWN,), since=middle),
            f"account = 'account3' AND outcome = 'unknown' AND {since}",
        ),
    }


@contextmanager
def filled(entries: int) -> Iterator[Database]:
    """A database of its own with that many entries."""
    if os.environ.get("AUDIT_DATABASE") == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            database = Database(f"sqlite:///{folder}/audit.db")
            yield _fill(database, entries, SQLITE)
            database.dispose()
        return
    server = os.environ.get("BULKDEL_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
    drop = f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(drop)
        admin.execute(f"CREATE DATABASE {NAME}")
        database = Database(f"{server}/{NAME}")
        try:
            yield _fill(database, entries, POSTGRES)
        finally:
            database.dispose()
            admin.execute(drop)


def _fill(database: Database, entries: int, words: Mapping[str, str]) -> Database:
    upgrade(database.url)
    numbers = (
        f"generate_series(0, {entries - 1}) n"
        if words is POSTGRES
        else "(WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c "  # noqa: S608  our own numbers
        f"WHERE n < {entries - 1}) SELECT n FROM c)"
    )
    with database.write() as connection:
        if words is POSTGRES:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("SET LOCAL synchronous_commit = off"))
        else:
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in connection.execute(text(triggers)).scalars().all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(
            FILL.format(numbers=numbers, **words).replace("%", "%%" if words is POSTGRES else "%")
        )
        connection.exec_driver_sql("ANALYZE audit_entries")
    return database


def p95(what: Callable[[], object], times: int = ASKED) -> float:
    """The 95th percentile of how long it takes, in milliseconds."""
    took = []
    for _ in range(times):
        began = perf_counter()
        what()
        took.append((perf_counter() - began) * 1000)
    return quantiles(took, n=20)[-1]


def main() -> None:
    """Fill, ask, print a table."""
    entries = int(os.environ.get("AUDIT_ENTRIES", "10000000"))
    began = perf_counter()
    with filled(entries) as database:
        print(f"{entries:,} entries in {perf_counter() - began:.0f} s; {_size(database, entries)}")
        print(f"{'query':<30}{'page':>8}{'p95 ms':>10}{'bare ms':>10}")
        for name, (wanted, where) in queries(entries).items():
            for page, after, place in _places(database, wanted):
                ours = p95(partial(_page, database, wanted, after))
                bare = p95(_bare(database, f"{where}{place}"))
                print(f"{name:<30}{page:>8,}{ours:>10.1f}{bare:>10.1f}")
        _export(database, min(entries, 1_000_000))


def _page(database: Database, wanted: Filter, after: str | None) -> object:
    return list(query(database, wanted, limit=PAGE, after=after))


def _places(database: Database, wanted: Filter) -> Iterator[tuple[int, str | None, str]]:
    yield 1, None, ""
    far = (FAR - 1) * PAGE
    last, count = None, 0
    for count, last in enumerate(islice(query(database, wanted), far), start=1):  # noqa: B007  the last one is
        pass
    if last is not None:
        at = f"{last.at:%Y-%m-%d %H:%M:%S.%f}"
        zone = "+00" if database.dialect == "postgresql" else ""
        yield (
            count // PAGE + 1,
            cursor_of(last, wanted),
            f" AND (at, id) > ('{at}{zone}', {last.id})",
        )


def _bare(database: Database, where: str) -> Callable[[], object]:
    asked = f"SELECT * FROM audit_entries WHERE {where} {ORDER}"  # noqa: S608  our own words
    statement = text(asked.replace(":", r"\:"))

    def ask() -> object:
        with database.read() as connection:
            return connection.execute(statement).all()

    return ask


def _size(database: Database, entries: int) -> str:
    if database.dialect == "sqlite":
        return (
            f"{Path(database.url.removeprefix('sqlite:///')).stat().st_size / entries:.0f} B each"
        )
    with database.read() as connection:
        wanted = "SELECT pg_table_size('audit_entries'), pg_indexes_size('audit_entries')"
        table, indexes = connection.execute(text(wanted)).one()
    return f"{table / entries:.0f} B each, and {indexes / entries:.0f} B of indexes"


def _export(database: Database, rows: int) -> None:
    before, began = _resident(), perf_counter()
    for _ in csv_rows(entry.exported() for entry in query(database, Filter(), limit=rows)):
        pass
    speed = rows / (perf_counter() - began)
    print(f"CSV: {speed:,.0f} rows/s; memory grew by {(_resident() - before) / 1024:.0f} MiB")


def _resident() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
