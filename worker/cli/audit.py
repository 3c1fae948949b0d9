"""`audit`: the audit log filtered, printed or exported, and verified."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.store.audit_log import Stored
    from worker.store.engine import Database
    from worker.store.verify import Verification

FORMATS = ("table", "jsonl", "csv")
TAMPERED = 5
MOST_JOBS = 10
"""Jobs that are named below what became of one id."""


@click.group(invoke_without_command=True)
@click.option("--job", help="Of this job.")
@click.option("--account", help="Of this account.")
@click.option("--kind", help="project, task, user, document, comment, timer.")
@click.option("--id", "external_id", help="The provider's id of what was deleted.")
@click.option(
    "--outcome", multiple=True, help="deleted, failed_refused, …; or succeeded, failed, unknown."
)
@click.option("--actor", help="Who said so, or which worker did it.")
@click.option("--event", help="call, item.settled, job.moved, hold.added, …")
@click.option("--item", "item_id", type=int, help="Of this item of a job.")
@click.option("--since", help="From then on: 2026-11-21, an ISO time, or an age such as 7d.")
@click.option("--until", help="Before then; dates are UTC and begin at midnight.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: table.")
@click.option("--limit", type=click.IntRange(1), help="At most so many entries.")
@click.option("--after", help="Go on after this cursor, with the same filters.")
@talks
def audit(
    out: Output,
    job: str | None,
    account: str | None,
    kind: str | None,
    external_id: str | None,
    outcome: tuple[str, ...],
    actor: str | None,
    event: str | None,
    item_id: int | None,
    since: str | None,
    until: str | None,
    form: str | None,
    limit: int | None,
    after: str | None,
) -> None:
    """Ask the audit log: every call and every decision, in the order written.

    \b
    Examples:
      bulkdel audit --job JOB --outcome failed,unknown
      bulkdel audit --id 460000000044019
      bulkdel audit --account acme --actor ada --event job.submitted --since 30d
      bulkdel audit --account acme --since 7d --format csv > acme.csv
      bulkdel audit verify
    """  # noqa: D301  \b is click's mark for "keep these lines"
    if click.get_current_context().invoked_subcommand is not None:
        return
    from worker.audit import cursor_of, filter_of
    from worker.cli.audit_formats import instant
    from worker.domain.errors import InvalidInput
    from worker.store import audit_log
    from worker.store.engine import now

    if out.json and form not in {None, "jsonl"}:
        raise InvalidInput(f"--json and --format {form} contradict each other", fix="give one")
    database = _database()
    with database.read() as connection:
        at = now(connection)
    wanted = filter_of(
        job=job,
        account=account,
        kind=kind,
        external_id=external_id,
        outcome=_outcomes(outcome),
        actor=actor,
        event=event,
        item_id=item_id,
        since=None if since is None else instant(since, at),
        until=None if until is None else instant(until, at),
    )
    found = _Last(audit_log.stored(database, wanted, limit=limit, after=after))
    shown = "jsonl" if out.json else form or "table"
    _print(out, shown, found)
    if limit is not None and found.last is not None and found.count == limit:
        out.say(f"there may be more: --after {cursor_of(found.last, wanted)}")
    if found.last is None:
        out.say("no entry matches")
    if external_id is not None and shown == "table":
        for one in list(found.jobs)[:MOST_JOBS]:
            out.say(f"who asked for it, and why: bulkdel show {one}")


@audit.command(short_help="Recompute the chains and compare them with the items.")
@click.argument("job", required=False)
@talks
def verify(out: Output, job: str | None) -> int:
    """Recompute the chains of hashes and compare entries with items: of one JOB, or of all.

    \b
    Examples:
      bulkdel audit verify
      bulkdel audit verify JOB
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.store.verify import verify as verify_chains

    database = _database()
    found = verify_chains(database, job)
    if found.is_sound and job is None:
        _note(database)
    if out.json:
        out.record({"ok": found.is_sound, **asdict(found)})
    else:
        for line in verdict_lines(found):
            out.data(line)
    return 0 if found.is_sound else TAMPERED


@audit.command(short_help="Certify a finished job: scope, counts, head of its chain.")
@click.argument("job")
@talks
def certificate(out: Output, job: str) -> int:
    """Certify a finished job, after its chain and its items were checked.

    The hash is of the entry that ended the job; whoever keeps it can tell later whether
    anything before it was changed. Calls that came back after the end are counted beside it.

    \b
    Examples:
      bulkdel audit certificate JOB
      bulkdel audit certificate JOB --json > JOB.certificate.json
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.domain.errors import Tampered
    from worker.services.views import certificate_view
    from worker.store.certificate import chain_end
    from worker.store.jobs import Jobs
    from worker.store.verify import verify as verify_chains

    db = _database()
    jobs = Jobs(db)
    done = jobs.get(job)
    end = chain_end(db, done)
    found = verify_chains(db, job)
    if not found.is_sound:
        raise Tampered("\n".join(verdict_lines(found)), fix=f"bulkdel audit verify {job}")
    paper = certificate_view(
        done, jobs.counts(job), seq=end.seq, head=end.hash, at=end.at, late=end.late
    )
    if out.json:
        out.record(paper)
        return 0
    for name, value in paper.items():
        out.data(f"{name:<10} {value}")
    return 0


def verdict_lines(found: "Verification") -> list[str]:
    """What verifying came to, for people."""
    read = f"chains: {found.chains}, entries: {found.entries}"
    if found.is_sound:
        return [f"{read}: ok"]
    lines = [f"{read}: NOT as they were written"]
    if found.first_bad is not None:
        bad = found.first_bad
        lines.append(f"first bad entry: chain {bad.chain}, seq {bad.seq}: {bad.why}")
    return [*lines, *(f"  {problem}" for problem in found.problems)]


def _note(database: "Database") -> None:
    """Let `doctor` know; an auditor who may only read has verified as well."""
    import contextlib
    import getpass

    from worker.domain.errors import Unreachable
    from worker.store import presence

    with contextlib.suppress(Unreachable):
        presence.note(database, presence.VERIFIED, getpass.getuser())


class _Last:
    """Batches of entries as they pass; the last entry is remembered."""

    def __init__(self, batches: "Iterable[Sequence[Stored]]") -> None:
        self._batches = batches
        self.last: Stored | None = None
        self.count = 0
        self.jobs: dict[str, None] = {}  # the first ones that settled something

    def __iter__(self) -> "Iterator[Sequence[Stored]]":
        for batch in self._batches:
            self.last = batch[-1]
            self.count += len(batch)
            if len(self.jobs) < MOST_JOBS:
                self.jobs |= dict.fromkeys(row.job_id for row in batch if row.outcome)
            yield batch


def _print(out: Output, form: str, batches: "Iterable[Sequence[Stored]]") -> None:
    from worker.cli.audit_formats import csv_head, csv_lines, exported, heading, table_line

    match form:
        case "jsonl":
            for batch in batches:
                out.records(exported(row) for row in batch)
        case "csv":
            click.echo(csv_head(), nl=False)
            for batch in batches:
                click.echo(csv_lines(batch), nl=False)
        case _:
            for number, batch in enumerate(batches):
                if number == 0:
                    out.data(heading(), bold=True)
                for row in batch:
                    out.data(table_line(exported(row)))


def _outcomes(given: Iterable[str]) -> list[str]:
    """Outcomes by name, or buckets: `failed` is each outcome in it."""
    return [word.strip() for many in given for word in many.split(",") if word.strip()]


def _database() -> "Database":
    from worker.config.settings import Settings
    from worker.store.engine import Database

    database = Database(Settings.load(os.environ).database_url)
    click.get_current_context().call_on_close(database.dispose)
    database.check_schema()
    return database
