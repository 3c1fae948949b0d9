"""`explain` and `report`: why something stands where it stands, and what came of a job."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli.output import Output, table, talks

if TYPE_CHECKING:
    from worker.bootstrap import Desk
    from worker.ports import Job
    from worker.services.explain import Around
    from worker.store.audit_log import AuditEntry

_LAST = 5


@click.command(short_help="Say why a job or an item stands where it stands.")
@click.argument("which", metavar="JOB|ITEM")
@talks
def explain(out: Output, which: str) -> None:
    """Say why a job or an item stands where it stands, since when, and who can move it.

    \b
    Examples:
      bulkdel explain j-7f3k2m9a
      bulkdel explain 10342
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk

    desk = open_desk()
    lines, view = _item(desk, int(which)) if which.isdecimal() else _job(desk, which)
    if out.json:
        out.record({**view, "explanation": [line.strip() for line in lines if line]})
    else:
        out.data("\n".join(part for line in lines for part in _folded(line)))


def _folded(line: str) -> list[str]:
    """A line in parts that fit a page; what follows the first of an entry hangs below it."""
    from worker.services.report import wrapped

    text = line.lstrip(" ")
    indent = len(line) - len(text)
    first, *rest = wrapped(text, indent=indent) or [""]
    return [first, *(f"{' ' * 2 * indent}{part}" for part in rest)]


@click.command(short_help="Sum a job up: what ended how, and what to do.")
@click.argument("job")
@click.option(
    "--to",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write every item into this new folder, as CSV and JSON Lines, with a manifest.",
)
@talks
def report(out: Output, job: str, *, to: Path | None) -> None:
    """Sum a job up: the counts, what was left over and why, what to do about it.

    \b
    Examples:
      bulkdel report j-7f3k2m9a
      bulkdel report j-7f3k2m9a --to j-7f3k2m9a
      bulkdel report j-7f3k2m9a --json | jq '.groups[] | {outcome, reason, count}'
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.steps import print_report

    desk = open_desk()
    found = desk.jobs.get(job)
    if to is None:
        print_report(out, desk, found)
    else:
        _write_files(out, desk, found, to)


def _write_files(out: Output, desk: "Desk", job: "Job", folder: Path) -> None:
    from worker.cli.report_files import MANIFEST, write_report
    from worker.domain.text import count_of

    manifest = write_report(job, desk.jobs.items(job.id), folder)
    if out.json:
        out.record(manifest)
        return
    rows = [(f"{one['rows']:,}", one["name"], one["sha256"][:16]) for one in manifest["files"]]
    items = count_of(manifest["total"], "item")
    out.data(f"The report of job {job.id} is in {folder}: {items}.")
    for line in table(rows, head=("rows", "file", "sha256 begins")):
        out.data(f"  {line}")
    out.data(f"{MANIFEST} holds the whole hashes; check a file with: sha256sum FILE")


def _job(desk: "Desk", job_id: str) -> tuple[list[str], dict[str, object]]:
    from worker.domain.audit import Event
    from worker.services.explain import explain_job
    from worker.services.views import job_view
    from worker.store.audit_log import Filter, query

    job = desk.jobs.get(job_id)
    counts = desk.jobs.counts(job_id)
    moves = _last(query(desk.db, Filter(job=job_id, event=Event.JOB_MOVED)))
    return explain_job(job, counts, _around(desk, job.account), moves), job_view(job, counts)


def _item(desk: "Desk", item_id: int) -> tuple[list[str], dict[str, object]]:
    from worker.services.explain import explain_item
    from worker.services.views import item_view
    from worker.store.audit_log import Filter, query

    item = desk.jobs.item(item_id)
    job = desk.jobs.get(item.job_id)
    entries = list(query(desk.db, Filter(job=job.id, item_id=item_id)))
    return explain_item(item, job, _around(desk, job.account), entries), item_view(item)


def _around(desk: "Desk", account: str) -> "Around":
    from worker.cli.follow import workers_alive
    from worker.services.explain import Around
    from worker.store.engine import now

    with desk.db.read() as connection:
        at = now(connection)
    return Around(account=desk.accounts.get(account), workers=workers_alive(desk), now=at)


def _last(entries: Iterable["AuditEntry"]) -> list["AuditEntry"]:
    return list(deque(entries, maxlen=_LAST))
