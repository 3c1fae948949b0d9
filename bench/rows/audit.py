"""What a page of a large audit log takes, beside the bare SQL; what an export takes; its size.

The 95th percentile is held against the clock. The ratio is of the best times: what else a machine
does makes both slow, and not by the same.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from bench.entries import BIG_JOB, FIRST_DAY, PER_SECOND, bytes_each, on_postgresql, on_sqlite
from bench.scale import Scale
from bench.servers import REPOSITORY
from bench.table import Line
from worker.domain.audit import Event
from worker.domain.outcomes import Bucket, Outcome
from worker.store.audit_log import Filter, Stored, cursor_of, query, stored
from worker.store.engine import Database

NAME = "audit"
PAGE = 100
FAR = 10_000
MOST_MS, MOST_TIMES = 50.0, 2.0
SQLITE_FACTOR = 4
ASKED, MOST_ASKED = 40, 1_000
"""How often each is asked: more often if the ratio is missed, as a busy machine disturbs most."""
LEAST_ROWS, EXPORTED_ROWS = 30_000, 1_000_000
MEGABYTE = 1 << 20
FLAT_BYTES = 8 * MEGABYTE
FAILED = tuple(outcome for outcome in Outcome if outcome.bucket is Bucket.FAILED)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as people ask it, and as somebody writes it who knows the right index."""

    wanted: Filter
    where: str = "1 = 1"
    index: str = ""  # its columns, before `at` and `id`
    either: tuple[Outcome, ...] = ()  # each a range of its own, merged

    def bare(self, place: str) -> str:
        """The statement for a page that begins behind a place."""
        columns = ", ".join([*([self.index] if self.index else ()), "at", "id"])
        which = [f" AND outcome = '{one}'" for one in self.either] or [""]
        pages = [
            f"SELECT * FROM audit_entries WHERE {self.where}{one}{place} "  # noqa: S608  our own words
            f"ORDER BY {columns} LIMIT {PAGE}"
            for one in which
        ]
        if len(pages) == 1:
            return pages[0]
        arms = (f"SELECT * FROM ({page}) AS arm" for page in pages)  # noqa: S608  the same
        return f"{' UNION ALL '.join(arms)} ORDER BY at, id LIMIT {PAGE}"


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """Each on a log of its own: PostgreSQL at full size, SQLite smaller and slower."""
    with on_postgresql(scale.audit_entries) as database:
        yield from _measured(database, scale.audit_entries, "PostgreSQL", 1)
    with on_sqlite(scale.audit_entries // 10, folder) as database:
        yield from _measured(database, scale.audit_entries // 10, "SQLite", SQLITE_FACTOR)


def queries(entries: int) -> Mapping[str, Asked]:
    """Those that the documentation shows, each filter alone, and some in free combination."""
    middle = datetime.fromisoformat(FIRST_DAY).replace(tzinfo=UTC)
    middle += timedelta(seconds=entries / PER_SECOND / 2)
    since, until = (f"at {sign} '{middle:%Y-%m-%d %H:%M:%S.%f}'" for sign in (">=", "<"))
    job, small = f"job_id = '{BIG_JOB}'", f"j-{entries // 10_000 - 1}"
    asks: dict[str, Asked] = {
        "nothing": Asked(Filter()),
        "--job (3 of 10)": Asked(Filter(job=BIG_JOB), job, "job_id"),
        "--job": Asked(Filter(job=small), f"job_id = '{small}'", "job_id"),
        "--account": Asked(Filter(account="account3"), "account = 'account3'", "account"),
        "--kind": Asked(Filter(kind="project"), "kind = 'project'", "kind"),
        "--id": Asked(Filter(external_id="460000000777"), "external_id = '460000000777'"),
        "--outcome deleted": Asked(
            Filter(outcome=(Outcome.DELETED,)), "outcome = 'deleted'", "outcome"
        ),
        "--outcome failed": Asked(Filter(outcome=FAILED), index="outcome", either=FAILED),
        "--actor": Asked(Filter(actor="ada"), "actor = 'ada'", "actor"),
        "--event": Asked(
            Filter(event=Event.JOB_SUBMITTED), "event = 'job.submitted' AND event <> 'call'"
        ),
        "--item": Asked(Filter(item_id=777), "item_id = 777", "item_id"),
        "--since": Asked(Filter(since=middle), since),
        "--kind --id": Asked(
            Filter(kind="task", external_id="460000000777"),
            "external_id = '460000000777' AND kind = 'task'",
        ),
        "--job --outcome failed": Asked(
            Filter(job=BIG_JOB, outcome=FAILED), job, "outcome", FAILED
        ),
        "--account --outcome failed --since": Asked(
            Filter(account="account3", outcome=FAILED, since=middle),
            f"account = 'account3' AND {since}",
            "outcome",
            FAILED,
        ),
        "--account --outcome deleted, none there": Asked(
            Filter(account="account7", outcome=(Outcome.DELETED,)),
            "account = 'account7' AND outcome = 'deleted'",
            "outcome",
        ),
        "--account --kind --until": Asked(
            Filter(account="account0", kind="project", until=middle),
            f"account = 'account0' AND kind = 'project' AND {until}",
            "account",
        ),
        "--account --actor": Asked(
            Filter(account="account3", actor="ada"), "account = 'account3' AND actor = 'ada'"
        ),
    }
    return asks


def _measured(database: Database, entries: int, where: str, factor: int) -> Iterator[Line]:
    table, indexes = bytes_each(database, entries)
    split = f"{table:.0f} B and {indexes:.0f} B of indexes" if indexes else f"{table:.0f} B in all"
    yield Line(bench=NAME, what=f"{where}, {entries:,} entries: an entry on disk", value=split)
    for name, asked in queries(entries).items():
        for page, last in _places(database, asked.wanted):
            yield _page_line(database, f"{where}: {name}, page {page:,}", asked, last, factor)
    for form in ("csv", "jsonl"):
        yield _export_line(database, form, min(entries, EXPORTED_ROWS), where)


def _places(database: Database, wanted: Filter) -> Iterator[tuple[int, Stored | None]]:
    """Page 1 and the 10,000th, or the last there is, each with the entry before it."""
    yield 1, None
    last, before, read = None, 0, 0
    for batch in stored(database, wanted, limit=(FAR - 1) * PAGE + 1):
        begins = (read + len(batch) - 1) // PAGE * PAGE  # the last page has an entry at least
        if begins > read:
            last, before = batch[begins - read - 1], begins
        read += len(batch)
    if last is not None:
        yield before // PAGE + 1, last


def _page_line(
    database: Database, what: str, asked: Asked, last: Stored | None, factor: int
) -> Line:
    after, place = None, ""
    if last is not None:
        after = cursor_of(last, asked.wanted)
        zone = "+00" if database.dialect == "postgresql" else ""
        place = f" AND (at, id) > ('{last.at:%Y-%m-%d %H:%M:%S.%f}{zone}', {last.id})"
    statement = asked.bare(place)

    def bare() -> None:
        with database.read() as connection:
            connection.exec_driver_sql(statement).all()

    def ask() -> None:
        list(query(database, asked.wanted, limit=PAGE, after=after))

    ours, theirs = _took(ask, bare)
    while min(ours) > MOST_TIMES * factor * min(theirs) and len(ours) < MOST_ASKED:
        for times, more in zip((ours, theirs), _took(ask, bare), strict=True):
            times.extend(more)
    p95, best, beside = quantiles(ours, n=20)[-1], min(ours), min(theirs)
    return Line(
        bench=NAME,
        what=f"{what}: p95 {p95:.1f} ms",
        value=f"best {best:.1f} ms, {best / beside:.2f} x bare SQL",
        target=f"<= {MOST_MS * factor:g} ms, <= {MOST_TIMES * factor:g} x",
        met=p95 <= MOST_MS * factor and best <= MOST_TIMES * factor * beside,
        facts={"p95_ms": p95, "best_ms": best, "bare_best_ms": beside},
    )


def _took(*calls: Callable[[], object]) -> list[list[float]]:
    """How long calls take each time, in milliseconds; they take turns."""
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(ASKED):
        for one, call in zip(took, calls, strict=True):
            began = perf_counter()
            call()
            one.append((perf_counter() - began) * 1000)
    return took


def _export_line(database: Database, form: str, rows: int, where: str) -> Line:
    """The command itself, its start included; and its memory beside that of a tenth of it."""
    _, _, few = _exported(database, form, rows // 10)
    seconds, cpu, many = _exported(database, form, rows)
    speed, each, grown = rows / seconds, cpu / rows * 1e6, many - few
    return Line(
        bench=NAME,
        what=f"{where}: {form}, {rows:,} rows, {each:.0f} us CPU each, {many / MEGABYTE:.0f} MB",
        value=f"{speed:,.0f} rows/s, {grown / MEGABYTE:+.1f} MB",
        target=f">= {LEAST_ROWS:,} rows/s, flat",
        met=speed >= LEAST_ROWS and grown <= FLAT_BYTES,
        facts={"rows_per_second": speed, "cpu_us": each, "peak_bytes": many, "grown_bytes": grown},
    )


def _exported(database: Database, form: str, rows: int) -> tuple[float, float, int]:
    """Seconds, CPU seconds and the peak of memory in bytes of one export to nowhere."""
    command = [sys.executable, "-m", "worker", "audit", "--format", form, "--limit", str(rows)]
    env = {**os.environ, "BULKDEL_DATABASE_URL": database.url}
    began = perf_counter()
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return perf_counter() - began, used.ru_utime + used.ru_stime, peak
