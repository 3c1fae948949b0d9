"""`jobs` and `show`: what was submitted, and where it stands."""

import click

from worker.cli.output import Output, table, talks

SHOWN = 20
_ALL = 2**31 - 1


@click.command(short_help="List jobs, the newest first.")
@click.option("--account", help="Those of one account alone.")
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True)
@click.option("--all", "every", is_flag=True, help="All of them, whatever the limit.")
@talks
def jobs(out: Output, *, account: str | None, limit: int, every: bool) -> None:
    """List jobs, the newest first.

    \b
    Examples:
      bulkdel jobs
      bulkdel jobs --account acme --limit 5
      bulkdel jobs --all --json | jq -r 'select(.state == "paused") | .id'
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.screens import JOB_HEAD, job_cells
    from worker.services.views import job_view

    desk = open_desk()
    found = desk.jobs.recent(account=account, limit=_ALL if every else limit)
    if out.json:
        for job in found:
            out.record(job_view(job, desk.jobs.counts(job.id)))
        return
    if not found:
        out.say("no jobs yet: bulkdel submit makes one")
        return
    rows = [job_cells(job, desk.jobs.counts(job.id)) for job in found]
    for line in table(rows, head=JOB_HEAD):
        out.data(line)


@click.command(short_help="Show one job.")
@click.argument("job", required=False)
@click.option("--key", help="The idempotency key it was submitted with.")
@talks
def show(out: Output, job: str | None, *, key: str | None) -> None:
    """Show one job, by its id or by its idempotency key.

    \b
    Examples:
      bulkdel show j-7f3k2m9a
      bulkdel show --key run-7 --json
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.steps import print_job

    if (job is None) == (key is None):
        raise click.UsageError("say which job: its id, or --key")
    desk = open_desk()
    print_job(out, desk, desk.jobs.by_key(key) if key else desk.jobs.get(job or ""))
