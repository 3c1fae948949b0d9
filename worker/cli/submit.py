"""`submit`: hand in a job. Its plan is made and shown; nothing goes before it is confirmed."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from worker.cli.output import Output, talks
from worker.cli.params import Instant, WaitCommand, commas, plan_options

if TYPE_CHECKING:
    from worker.ports import IdRows


@click.command(cls=WaitCommand, short_help="Hand in a job.")
@click.option("--account", required=True, help="The account, as bulkdel.toml names it.")
@click.option("--ids", help="Ids of projects: 1,2,3.")
@click.option(
    "--ids-file", metavar="FILE|-", help="CSV with a header, one id a line, or JSON Lines."
)
@click.option("--id-column", metavar="NAME", help="The column of the ids in the file.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Projects by a filter instead of ids: status=inactive, created_before=365d. Repeatable.",
)
@click.option(
    "--cascade",
    multiple=True,
    callback=commas,
    metavar="KINDS",
    help="Children that go first: all, none, or comments,documents,tasks,users.",
)
@click.option(
    "--cascade-mode",
    type=click.Choice(["foreground", "background"]),
    default="foreground",
    show_default=True,
    help="A call for each child, or children that go with their project.",
)
@click.option(
    "--recheck-children/--no-recheck-children",
    "recheck",
    default=True,
    show_default=True,
    help="Read a project's children again just before it goes.",
)
@click.option(
    "--on-child-refused",
    type=click.Choice(["stop", "proceed"]),
    default="stop",
    show_default=True,
    help="What becomes of a project whose child could not be deleted.",
)
@click.option("--keep-projects", is_flag=True, help="Cleanup: only the children go.")
@click.option("--stop-timer", is_flag=True, help="Stop the caller's running timer first.")
@click.option(
    "--provider-option",
    "provider_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the provider for each deletion. Repeatable.",
)
@click.option("--reason", required=True, help="Why these go, for the audit log.")
@click.option("--idempotency-key", "key", help="The same key and request give the same job.")
@click.option("--dry-run", is_flag=True, help="Make the plan and end; nothing is deleted.")
@click.option("--max-items", type=click.IntRange(min=1), help="Raise the account's max_items.")
@click.option("--not-before", type=Instant(), help="Start no earlier (ISO 8601; UTC if no zone).")
@click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True)
@plan_options
@talks
def submit(
    out: Output,
    *,
    account: str,
    ids: str | None,
    ids_file: str | None,
    id_column: str | None,
    filters: tuple[str, ...],
    cascade: tuple[str, ...] | None,
    cascade_mode: str,
    recheck: bool,
    on_child_refused: str,
    keep_projects: bool,
    stop_timer: bool,
    provider_options: tuple[str, ...],
    reason: str,
    key: str | None,
    dry_run: bool,
    max_items: int | None,
    not_before: datetime | None,
    priority: int,
    yes: bool,
    no_wait_plan: bool,
    wait: timedelta | None,
) -> int:
    """Hand in a job to delete projects.

    The job is kept, its plan is made and shown: what would go, what it costs. Nothing is deleted
    before the plan is confirmed. Ctrl-C leaves the job alone.

    \b
    Examples:
      bulkdel submit --account acme --ids 101,102 --cascade all \\
                     --reason "test data" --yes --wait
      bulkdel submit --account acme --ids-file ids.csv --id-column project \\
                     --cascade none --reason "closed in 2024" --dry-run
      bulkdel submit --account acme --filter status=inactive \\
                     --filter last_modified_before=365d \\
                     --cascade all --reason "asleep for a year"
      psql -Atc "select id from old" | \\
      bulkdel submit --account acme --ids-file - --cascade all \\
                     --reason "closed" --idempotency-key run-7 --json
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.steps import How, see_through
    from worker.services.submit import DeleteProjects

    rows = _selection(ids, ids_file, id_column, filters)
    how = How.checked(yes=yes, no_plan=no_wait_plan, wait=wait)
    request = DeleteProjects(
        account=account,
        reason=reason,
        cascade=cascade,
        cascade_mode=cascade_mode,
        recheck_children=recheck,
        on_child_refused=on_child_refused,
        key=key,
        dry_run=dry_run,
        max_items=max_items,
        priority=priority,
        not_before=_in_utc(out, not_before),
        yes=yes,
        filters=filters or None,
        provider_options=provider_options,
        keep_projects=keep_projects,
        stop_timer=stop_timer,
    )
    desk = open_desk(changes=True)
    kept = desk.submit(request, rows)
    if not kept.is_new:
        out.say(f"the key {key} was used for this very request: it is job {kept.job.id}")
    return see_through(out, desk, kept.job, how)


def _selection(
    ids: str | None, ids_file: str | None, id_column: str | None, filters: tuple[str, ...]
) -> "IdRows":
    from worker.services.selection import from_file, from_list

    if [ids is not None, ids_file is not None, bool(filters)].count(True) != 1:
        raise click.UsageError(
            "say what to delete with exactly one of --ids, --ids-file and --filter"
        )
    if filters and id_column is None:
        return ()
    if ids_file is not None:
        return from_file(ids_file, id_column)
    if id_column is not None:
        raise click.UsageError("--id-column belongs to --ids-file")
    return from_list(ids or "")


def _in_utc(out: Output, at: datetime | None) -> datetime | None:
    if at is None or at.tzinfo is not None:
        return at
    out.say(f"--not-before has no zone: taken as UTC, {at:%Y-%m-%d %H:%M:%S}")
    return at.replace(tzinfo=UTC)
