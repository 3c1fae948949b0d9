"""`plan` and `confirm`: read what a job would do, and let it."""

from datetime import timedelta

import click

from worker.cli.output import Output, talks
from worker.cli.params import WaitCommand, wait_option, yes_option


@click.command(short_help="Show what a job would delete, and what it costs.")
@click.argument("job")
@click.option("--items", is_flag=True, help="List the items instead, in the order they go.")
@talks
def plan(out: Output, job: str, *, items: bool) -> None:
    """Show the plan of a job: what goes, what stays, calls, quota, time, and how to confirm.

    \b
    Examples:
      bulkdel plan j-7f3k2m9a
      bulkdel plan j-7f3k2m9a --items | less
      bulkdel plan j-7f3k2m9a --items --json | jq -r .external_id
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.screens import item_line
    from worker.cli.steps import print_job, print_plan
    from worker.services.views import item_view

    desk = open_desk()
    found = desk.jobs.get(job)
    if not items:
        (print_job if out.json else print_plan)(out, desk, found)
        return
    for item in desk.jobs.items(job):
        if out.json:
            out.record(item_view(item))
        else:
            out.data(item_line(item))


@click.command(cls=WaitCommand, short_help="Let a plan run.")
@click.argument("job")
@click.option("--word", help='The word of the plan: "delete 1284 acme 9f3a".')
@yes_option
@wait_option
@talks
def confirm(
    out: Output, job: str, *, word: str | None, yes: bool, wait: timedelta | None
) -> int | None:
    """Let the plan of a job run; without --word or --yes a person is asked.

    \b
    Examples:
      bulkdel confirm j-7f3k2m9a
      bulkdel confirm j-7f3k2m9a --word "delete 1284 acme 9f3a"
      bulkdel confirm j-7f3k2m9a --yes --wait=30m
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.exits import REFUSED, is_refused
    from worker.cli.steps import (
        ask_and_confirm,
        confirmed_line,
        print_job,
        print_plan,
        see_end,
    )
    from worker.domain.states import JobState

    desk = open_desk(changes=True)
    found = desk.jobs.get(job)
    waits = found.state is JobState.AWAITING_CONFIRMATION and not is_refused(found)
    if word is None and not yes and waits and out.can_ask:
        print_plan(out, desk, found)
        confirmed = ask_and_confirm(out, desk, found)
        if confirmed is None:
            out.say(f"left as it is: {job}")
            return REFUSED
    else:
        confirmed = desk.confirm(job, word=word, yes=yes)
    out.say(confirmed_line(confirmed))
    if wait is not None:
        return see_end(out, desk, job, wait, confirmed=True)
    if out.json:
        print_job(out, desk, confirmed)
    return None
