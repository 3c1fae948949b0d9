"""The way of a job at the command line: kept, planned, shown, confirmed, followed to its end."""

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

import click

from worker.cli.errors import detachable
from worker.cli.exits import (
    CREDENTIALS,
    NOT_REACHABLE,
    RAN_OUT,
    REFUSED,
    exit_code_of,
    is_refused,
    waits_on_credentials,
)
from worker.cli.follow import Followed, Why, follow, is_over, is_planned
from worker.cli.output import Output
from worker.cli.params import FOR_EVER
from worker.cli.screens import plan_lines
from worker.domain.errors import BulkdelError, Refused
from worker.domain.text import count_of

if TYPE_CHECKING:
    from worker.bootstrap import Desk
    from worker.ports import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How far a command goes with the job it made. `wait` None: no further than its plan."""

    yes: bool = False
    plan: bool = True
    wait: timedelta | None = None

    @classmethod
    def checked(cls, *, yes: bool, no_plan: bool, wait: timedelta | None) -> "How":
        """What the options say; click.UsageError if they contradict each other."""
        if no_plan and wait is not None:
            raise click.UsageError("--no-wait-plan leaves at once: not with --wait")
        return cls(yes=yes, plan=not no_plan, wait=wait)


def see_through(out: Output, desk: "Desk", job: "Job", how: How) -> int:
    """Wait for the plan of a new job, show it, confirm it and follow it, as far as asked."""
    if not how.plan:
        print_job(out, desk, job)
        return 0
    within = how.wait or FOR_EVER
    began = monotonic()
    followed = follow(out, desk, job.id, is_planned, within=within, needs_worker=True)
    job = followed.job
    if followed.why is not Why.DONE:
        print_job(out, desk, job)
        return _not_planned(out, followed)
    if not out.json:
        print_plan(out, desk, job)
    code = _stands(out, job)
    if code is None:
        code = _confirmed(out, desk, job, how)
    if code is None and how.wait is not None:
        left = within - timedelta(seconds=monotonic() - began)
        return see_end(out, desk, job.id, left, confirmed=_is_confirmed(desk, job.id))
    if out.json:
        print_job(out, desk, desk.jobs.get(job.id))
    return exit_code_of(job, followed.counts) if code is None else code


def see_end(
    out: Output, desk: "Desk", job_id: str, within: timedelta, *, confirmed: bool = False
) -> int:
    """Follow a job to its end, print it and return its exit code.

    One that was `confirmed` and asks for its word again goes on no further by itself.
    """

    def ends(job: "Job") -> bool:
        return is_over(job) or (confirmed and job.state is job.state.AWAITING_CONFIRMATION)

    followed = follow(out, desk, job_id, ends, within=within)
    if out.json:
        print_job(out, desk, followed.job)
    else:
        print_report(out, desk, followed.job)
    if followed.why is Why.RAN_OUT:
        out.say(f"the time is over; the job goes on: bulkdel watch {job_id}")
        return RAN_OUT
    if confirmed and followed.job.state is followed.job.state.AWAITING_CONFIRMATION:
        out.say(f"its plan was made anew and waits for its word: bulkdel plan {job_id}")
        return REFUSED
    _stands(out, followed.job)
    return exit_code_of(followed.job, followed.counts)


def _is_confirmed(desk: "Desk", job_id: str) -> bool:
    job = desk.jobs.get(job_id)
    return job.state is not job.state.AWAITING_CONFIRMATION


def print_job(out: Output, desk: "Desk", job: "Job") -> None:
    """The job: its JSON, or its page."""
    from worker.cli.screens import show_lines
    from worker.services.views import job_view

    counts = desk.jobs.counts(job.id)
    if out.json:
        out.record(job_view(job, counts))
    else:
        out.data("\n".join(show_lines(job, counts)))


def print_plan(out: Output, desk: "Desk", job: "Job") -> None:
    """The page of a plan; what the configuration adds to it is left out if it cannot be read."""
    organization, small = "", 0
    try:
        account = desk.config.account(job.account)
    except BulkdelError:
        pass
    else:
        organization, small = account.selector_value, account.auto_confirm_max
    counts = desk.jobs.counts(job.id)
    out.data("\n".join(plan_lines(job, counts, organization=organization, small=small)))


def print_report(out: Output, desk: "Desk", job: "Job") -> None:
    """The report, as a page or as JSON."""
    from worker.services.report import LEFT_OVER, report_lines, report_of, report_view

    items = desk.jobs.items(job.id, outcomes=LEFT_OVER)
    report = report_of(job, desk.jobs.counts(job.id), items)
    if out.json:
        out.record(report_view(report))
    else:
        out.data("\n".join(report_lines(report)))


def ask_and_confirm(out: Output, desk: "Desk", job: "Job") -> "Job | None":
    """Ask a person for the word, or a yes if the plan is small; None if they leave it."""
    account = desk.config.account(job.account)
    with detachable(job.id, asks=True):
        if job.plan.items <= account.auto_confirm_max:
            items = count_of(job.plan.items, "item")
            said = out.ask(f"Delete {items} of {job.account}? [y/N]")
            if said.lower() not in {"y", "yes"}:
                return None
            return desk.confirm(job.id, word=None, yes=True)
        said = out.ask(f"Type  {job.plan.word}  to go on (Enter leaves it):")
    return desk.confirm(job.id, word=said) if said else None


def _not_planned(out: Output, followed: Followed) -> int:
    job_id = followed.job.id
    if followed.why is Why.NOBODY:
        out.say(f"no worker is alive; job {job_id} is kept until there is one:")
        out.say("    fix: bulkdel up (all on this machine), or bulkdel worker")
        out.say(f"    then bulkdel watch {job_id} follows it")
        return NOT_REACHABLE
    out.say(f"the time is over; its plan goes on being made: bulkdel watch {job_id}")
    return RAN_OUT


def _stands(out: Output, job: "Job") -> int | None:
    """The exit code of a job that stands and needs somebody; None if it does not."""
    if waits_on_credentials(job):
        sentence = job.waiting_on.sentence if job.waiting_on else ""
        out.say(f"credentials: {sentence}")
        out.say(f"    fix: mend them, then bulkdel accounts check {job.account}")
        return CREDENTIALS
    if is_refused(job):
        out.say(f"job {job.id} cannot be confirmed: a guard refuses its plan")
        return REFUSED
    return None


def _confirmed(out: Output, desk: "Desk", job: "Job", how: How) -> int | None:
    """Confirm a plan that waits for it, if we may; an exit code if the way ends here."""
    if job.state is not job.state.AWAITING_CONFIRMATION:
        return None
    if how.yes:
        return _confirmed_by_yes(out, desk, job)
    if out.can_ask:
        confirmed = ask_and_confirm(out, desk, job)
        out.say(confirmed_line(confirmed) if confirmed else f"left as it is: {job.id}")
        return None if confirmed else 0
    if how.wait is not None and out.no_input:
        out.say(f'not confirmed, so not waited for: bulkdel confirm {job.id} --word "…"')
        return REFUSED
    return None


def _confirmed_by_yes(out: Output, desk: "Desk", job: "Job") -> int | None:
    try:
        job = desk.confirm(job.id, word=None, yes=True)
    except Refused as refused:
        out.say(f"not confirmed: {refused.what}")
        out.say(f"    fix: {refused.fix}")
        return REFUSED
    out.say(confirmed_line(job))
    return None


def confirmed_line(job: "Job") -> str:
    """What a confirmed job does next."""
    waits = job.waiting_on.sentence if job.waiting_on else "a worker takes it"
    return f"job {job.id} is confirmed: {waits}"
