"""`pause`, `resume`, `cancel`, `set`, `retry`: what a person may do to a job."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from worker.cli.output import Output, talks
from worker.cli.params import WaitCommand, commas, plan_options

if TYPE_CHECKING:
    from worker.bootstrap import Desk
    from worker.domain.outcomes import Outcome
    from worker.ports import Job

LEFT = ("failed", "unprocessed", "unknown")


@click.command(short_help="Stop a job between calls.")
@click.argument("job")
@talks
def pause(out: Output, job: str) -> None:
    """Stop a job between calls; the call in flight is finished and recorded.

    \b
    Examples:
      bulkdel pause j-7f3k2m9a
    """  # noqa: D301  \b is click's mark for "keep these lines"
    _change(out, lambda desk: desk.pause(job))


@click.command(short_help="Let a paused job go on.")
@click.argument("job")
@talks
def resume(out: Output, job: str) -> None:
    """Let a paused job go on where it stopped.

    \b
    Examples:
      bulkdel resume j-7f3k2m9a
    """  # noqa: D301  \b is click's mark for "keep these lines"
    _change(out, lambda desk: desk.resume(job))


@click.command(short_help="Stop a job for good.")
@click.argument("job")
@talks
def cancel(out: Output, job: str) -> None:
    """Stop a job for good: no new call leaves, those in flight are recorded.

    What is not deleted by then ends as `unprocessed`; bulkdel retry makes a new job of it.

    \b
    Examples:
      bulkdel cancel j-7f3k2m9a
    """  # noqa: D301  \b is click's mark for "keep these lines"
    _change(out, lambda desk: desk.cancel(job))


@click.command("set", short_help="Set a job's priority, hours or shares anew.")
@click.argument("job")
@click.option("--priority", type=click.IntRange(0, 9), help="9 goes first.")
@click.option(
    "--hours",
    metavar="HOURS",
    help='When it may delete: "22:00-06:00 Europe/Berlin", or always.',
)
@click.option("--rate-share", metavar="SHARE", help="Of each window: 0.5 is half; or default.")
@click.option("--day-share", metavar="SHARE", help="Of the day's calls: 0.5 is half; or default.")
@talks
def set_(out: Output, /, job: str, **wanted: Any) -> None:  # noqa: ANN401  any field of Wanted
    """Set a job's priority, hours or shares anew; a running job goes by them at once.

    Shares are of what the provider allows the account, and hold for it while the job is worked;
    of several jobs' shares the smallest. `default` is what bulkdel.toml says.

    \b
    Examples:
      bulkdel set j-7f3k2m9a --priority 9
      bulkdel set j-7f3k2m9a --hours "22:00-06:00 Europe/Berlin"
      bulkdel set j-7f3k2m9a --hours always
      bulkdel set j-7f3k2m9a --rate-share 0.3 --day-share 0.5
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.services.adjusting import Wanted

    _change(out, lambda desk: desk.adjust(job, Wanted(**wanted)))


@click.command(cls=WaitCommand, short_help="A new job from what an old one left behind.")
@click.argument("job")
@click.option(
    "--outcome",
    "words",
    multiple=True,
    callback=commas,
    metavar="WORDS",
    help="Which items, by bucket or outcome.  [default: failed,unprocessed,unknown]",
)
@plan_options
@talks
def retry(
    out: Output,
    job: str,
    *,
    words: tuple[str, ...] | None,
    yes: bool,
    no_wait_plan: bool,
    wait: timedelta | None,
) -> int:
    """Make a new job from the projects of a finished one whose items ended so.

    It has a plan of its own, and is confirmed like every other.

    \b
    Examples:
      bulkdel retry j-7f3k2m9a
      bulkdel retry j-7f3k2m9a --outcome unknown,failed_exhausted --yes --wait
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.steps import How, see_through

    how = How.checked(yes=yes, no_plan=no_wait_plan, wait=wait)
    wanted = outcomes_of(words or LEFT)
    desk = open_desk(changes=True)
    _check_retry(desk, job, wanted)
    kept = desk.retry(job, wanted)
    out.say(f"job {kept.job.id} takes up what {job} left")
    return see_through(out, desk, kept.job, how)


def outcomes_of(words: Sequence[str]) -> list["Outcome"]:
    """Outcomes by their own words or by their bucket's; InvalidInput names what there is."""
    from worker.domain.errors import InvalidInput
    from worker.domain.outcomes import Bucket, Outcome

    by_word = {bucket.value: [o for o in Outcome if o.bucket is bucket] for bucket in Bucket}
    by_word |= {outcome.value: [outcome] for outcome in Outcome if outcome.value not in by_word}
    chosen: dict[Outcome, None] = {}
    for word in words:
        found = by_word.get(word.strip().lower())
        if found is None:
            there = ", ".join(by_word)
            raise InvalidInput(f"there is no outcome {word!r}", fix=f"choose from {there}")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _check_retry(desk: "Desk", job_id: str, wanted: Sequence["Outcome"]) -> None:
    from worker.domain.errors import InvalidInput, Refused
    from worker.domain.states import FINAL

    old = desk.jobs.get(job_id)
    if old.state not in FINAL:
        raise Refused(
            f"job {job_id} is {old.state}: only a finished job is retried",
            fix=f"bulkdel watch {job_id}, or bulkdel cancel {job_id}",
        )
    there = desk.jobs.counts(job_id).by_outcome
    if not any(there.get(outcome) for outcome in wanted):
        ended = ", ".join(f"{outcome} {count:,}" for outcome, count in there.items())
        raise InvalidInput(
            f"no item of job {job_id} ended {', '.join(wanted)}", fix=f"its items ended: {ended}"
        )


def _change(out: Output, change: Callable[["Desk"], "Job"]) -> None:
    from worker.cli.desk import open_desk
    from worker.cli.steps import print_job
    from worker.services.report import headline

    desk = open_desk(changes=True)
    job = change(desk)
    if out.json:
        print_job(out, desk, job)
    else:
        out.data(headline(job))
