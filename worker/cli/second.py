"""`approve` and `reject`: what a second person says to a large plan."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.bootstrap import Desk
    from worker.ports import Job

reason_option = click.option("--reason", default="", help="Why, for the audit log.")


@click.command(short_help="Agree to a large plan, as the second person.")
@click.argument("job")
@reason_option
@talks
def approve(out: Output, job: str, *, reason: str) -> None:
    """Agree to a confirmed plan that is larger than the account's approval_over.

    Neither who submitted the job nor who gave its word can: the database refuses them by name.

    \b
    Examples:
      bulkdel plan j-7f3k2m9a
      bulkdel approve j-7f3k2m9a --reason "seen with the customer"
    """  # noqa: D301  \b is click's mark for "keep these lines"
    _decide(out, lambda desk: desk.approve(job, why=reason))


@click.command(short_help="Say no to a large plan, as the second person.")
@click.argument("job")
@reason_option
@talks
def reject(out: Output, job: str, *, reason: str) -> None:
    """Say no to a confirmed plan: the job ends as rejected, and nothing is deleted.

    \b
    Examples:
      bulkdel reject j-7f3k2m9a --reason "wrong quarter"
    """  # noqa: D301  \b is click's mark for "keep these lines"
    _decide(out, lambda desk: desk.reject(job, why=reason))


def _decide(out: Output, change: Callable[["Desk"], "Job"]) -> None:
    from worker.cli.desk import open_desk
    from worker.cli.steps import confirmed_line, print_job
    from worker.domain.states import JobState
    from worker.services.report import headline

    desk = open_desk(changes=True)
    job = change(desk)
    if out.json:
        print_job(out, desk, job)
    else:
        out.data(confirmed_line(job) if job.state is JobState.SCHEDULED else headline(job))
