"""`watch`: follow a job to its end."""

import click

from worker.cli.output import Output, talks
from worker.cli.params import FOR_EVER


@click.command(short_help="Follow a job to its end.")
@click.argument("job")
@talks
def watch(out: Output, job: str) -> int:
    """Follow a job to its end; its end is the exit code. Ctrl-C leaves the job alone.

    On a terminal with bars, elsewhere with a line for every tenth or every half minute. It ends,
    too, where a job cannot go on by itself: paused (7), or without credentials (4).

    \b
    Examples:
      bulkdel watch j-7f3k2m9a
      bulkdel watch j-7f3k2m9a --json 2>/dev/null | jq .counts
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.steps import see_end

    desk = open_desk()
    desk.jobs.get(job)
    return see_end(out, desk, job, FOR_EVER)
