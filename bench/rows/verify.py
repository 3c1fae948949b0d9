"""How fast audit chains are recomputed and compared with the items, on each database."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from sqlalchemy import select, update

from bench.scale import Scale
from bench.servers import POSTGRES, a_database, ids
from bench.table import Line
from worker.bootstrap import Desk
from worker.cli.desk import SilentBell
from worker.domain.audit import Entry, Event, job_chain
from worker.ports import Job
from worker.producer import DeleteProjects
from worker.store.chain import append
from worker.store.engine import Database
from worker.store.migrate import upgrade
from worker.store.models import ITEMS
from worker.store.verify import verify

NAME = "verify"
TARGET = 50_000
JOBS = 10
AT_ONCE = 2_000
CONFIG = """
[accounts.acme]
provider = "zoho_books"
base_url = "http://127.0.0.1:1/books/v4"
organization_id = "1"
token = "env:BENCH_TOKEN"
"""


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """Jobs that have ended, each item with its entry; verified from the first to the last."""
    config = folder / "verify.toml"
    config.write_text(CONFIG, encoding="utf-8")
    with a_database() as name:
        yield _measured("PostgreSQL", f"{POSTGRES}/{name}", config, scale)
    sqlite = f"sqlite:///{folder}/verify.db"
    upgrade(sqlite)
    yield _measured("SQLite", sqlite, config, scale)


def _measured(what: str, url: str, config: Path, scale: Scale) -> Line:
    environ = {"BULKDEL_DATABASE_URL": url, "BULKDEL_CONFIG": str(config)}
    desk = Desk.open(environ, SilentBell())
    try:
        for number in range(JOBS):
            request = DeleteProjects(account="acme", reason="bench", cascade=("none",))
            each = scale.verified // JOBS
            targets = ids(each, first=number * each + 1)
            _end(desk.db, desk.submit(request, enumerate(targets, start=1)).job)
        began = perf_counter()
        found = verify(desk.db)
        took = perf_counter() - began
    finally:
        desk.db.dispose()
    if not found.is_sound:
        raise RuntimeError(found.problems[0])
    rate = found.entries / took
    return Line(
        bench=NAME,
        what=f"{found.entries:,} entries in {found.chains} chains, {what}",
        value=f"{rate:,.0f} entries/s",
        target=f">= {TARGET:,} entries/s",
        met=rate >= TARGET,
        facts={"rate": rate, "entries": found.entries},
    )


def _end(database: Database, job: Job) -> None:
    """Let every item be deleted, with an entry as a worker writes it."""
    asked = select(ITEMS.c.id, ITEMS.c.external_id).where(ITEMS.c.job_id == job.id)
    with database.read() as connection:
        items = [(int(id_), str(external_id)) for id_, external_id in connection.execute(asked)]
    for some in _batches(items):
        with database.write() as connection:
            append(connection, [_entry(job, *item) for item in some])
    with database.write() as connection:
        ended = {"state": "settled", "outcome": "deleted"}
        connection.execute(update(ITEMS).where(ITEMS.c.job_id == job.id).values(**ended))


def _batches(items: Sequence[tuple[int, str]]) -> Iterator[Sequence[tuple[int, str]]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def _entry(job: Job, item_id: int, external_id: str) -> Entry:
    return Entry(
        chain=job_chain(job.id),
        job_id=job.id,
        item_id=item_id,
        account=job.account,
        provider=job.provider,
        kind="project",
        external_id=external_id,
        event=Event.CALL,
        attempt=1,
        verdict="deleted",
        outcome="deleted",
        http_status=200,
        message="The project has been deleted.",
        request_id="5f1c0d2e9b7a",
        duration_ms=150,
        actor="worker@host:4711",
        detail={"action": "delete"},
    )
