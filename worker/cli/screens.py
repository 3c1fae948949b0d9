"""The pages people read: a plan, a job, the list of jobs. Pure: records in, lines out."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from worker.domain.text import count_of

if TYPE_CHECKING:
    from worker.ports import Counts, Item, Job, PlanFacts

_LABEL = 11
_PERCENT = 0.01
_OPEN = "unprocessed"
"""How a plan's items end that is not run: no part of what it leaves out."""


def plan_lines(
    job: "Job", counts: "Counts", *, organization: str = "", small: int = 0
) -> list[str]:
    """The plan: what goes, what stays, what it costs, and the command that lets it run.

    `small` is the account's auto_confirm_max; the read of a plan needs no configuration.
    """
    from worker.domain.states import JobState

    plan = job.plan
    org = f" (organisation {organization})" if organization else ""
    lines = [f"Plan of job {job.id}: {job.provider}, account {job.account}{org}"]
    lines += _row("why", job.reason)
    if not plan.hash:
        waits = job.waiting_on.sentence if job.waiting_on else "nothing yet"
        lines += _row("state", f"{job.state}: {waits}")
        seen = count_of(counts.total, "item")
        return [*lines, *_row("seen", f"{seen} so far; nothing has been deleted")]
    lines += _row("deletes", f"{count_of(plan.items, 'item')}: {kinds(plan.by_kind)}")
    lines += _row("filters", _pairs(job.options.filters))
    lines += _row("cascade", _cascade(job))
    lines += _row("options", _pairs(dict(job.options.provider_options)))
    lines += _row("left out", _left_out(job, counts))
    lines += _costs(plan)
    for text in plan.stops:
        lines += _row("stops", text)
    lines += _findings(plan)
    if job.state is JobState.AWAITING_CONFIRMATION:
        return lines + _how_to_confirm(job, small)
    if job.dry_run:
        return [*lines, "A dry run: nothing has been deleted, and nothing will be."]
    return [*lines, f"The job is {job.state}: bulkdel show {job.id}"]


def _row(label: str, text: str) -> list[str]:
    from worker.services.report import wrapped

    if not text:
        return []
    first, *rest = wrapped(text, indent=_LABEL + 2)
    return [f"  {label:<{_LABEL}}{first.strip()}", *rest]


def _cascade(job: "Job") -> str:
    options = job.options
    if not options.cascade:
        return "none: each project goes with whatever hangs on it, unseen"
    kinds = ", ".join(f"{kind}s" for kind in options.cascade)
    if options.background:
        return f"{kinds}: listed, and go with their project in one call"
    if options.keep_projects:
        return f"{kinds}: one call each; their projects stay"
    after = "read again before its end" if options.recheck else "not read again"
    return f"{kinds}: one call each, then their project, {after}"


def _pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in pairs.items())


def _left_out(job: "Job", counts: "Counts") -> str:
    parts = []
    if not job.started_at:
        parts = [f"{count:,} {end}" for end, count in counts.by_outcome.items() if end != _OPEN]
    if job.plan.duplicates:
        parts.append(f"{job.plan.duplicates:,} given twice")
    return ", ".join(parts)


def _about(seconds: float) -> str:
    from worker.services.report import duration

    return f"about {duration(timedelta(seconds=seconds))}" if seconds >= 1 else "under 1 s"


def _costs(plan: "PlanFacts") -> list[str]:
    endpoints = ", ".join(f"{name} {calls:,}" for name, calls in plan.calls_by_endpoint.items())
    split = f": {endpoints}" if endpoints else ""
    lines = _row(
        "calls", f"{plan.calls:,} to make{split} ({plan.calls_spent:,} made for the plan)"
    )
    for other in plan.alternatives:
        took = _about(other.estimated_seconds)
        calls = count_of(other.calls, "call")
        lines += _row("instead", f"{other.way}: {calls}, {took}")
    if plan.quota_share is not None:
        share = f"{plan.quota_share:.0%}" if plan.quota_share >= _PERCENT else "less than 1%"
        lines += _row("quota", f"{share} of one day's calls")
    if plan.estimated_seconds is not None:
        end = f", done {moment(plan.finish_at)} if it starts at once" if plan.finish_at else ""
        lines += _row("time", f"{_about(plan.estimated_seconds)}{end}")
    return lines


def _findings(plan: "PlanFacts") -> list[str]:
    lines: list[str] = []
    for finding in plan.findings:
        lines += _row(finding.level, finding.text)
    if not plan.complete:
        lines += _row("incomplete", "the listing was not read to its end: it cannot be confirmed")
    return lines


def _how_to_confirm(job: "Job", small: int) -> list[str]:
    from worker.cli.exits import is_refused
    from worker.services.control import PLAN_LIVES

    lives = f" The plan expires {moment(job.planned_at + PLAN_LIVES)}." if job.planned_at else ""
    lines = [f"Nothing has been deleted.{lives}"]
    if is_refused(job):
        lines += ["It cannot be confirmed as it is: see the refusals above.", ""]
        return [*lines, f"  bulkdel plan {job.id} --items", f"  bulkdel cancel {job.id}"]
    how = "--yes" if job.plan.items <= small else f'--word "{job.plan.word}"'
    return [
        *lines,
        "",
        f"  bulkdel plan {job.id} --items",
        f"  bulkdel confirm {job.id} {how}",
    ]


def show_lines(job: "Job", counts: "Counts") -> list[str]:
    """One job: who wants what, where it stands, what it waits for."""
    from worker.services.report import headline, sum_lines

    lines = [headline(job), *sum_lines(job, counts)]
    lines += _row("account", f"{job.account} ({job.provider})")
    lines += _row("why", job.reason)
    lines += _row("by", f"{job.who.name} (user {job.who.os_user} on {job.who.host})")
    lines += _row("key", job.key or "")
    lines += _row("retries", job.parent_job_id or "")
    lines += _row("hours", job.knobs.hours)
    lines += _row("shares", shares(job))
    waits = job.waiting_on
    if waits is not None and not job.finished_at:
        lines += _row("waits on", f"{waits.code}: {waits.sentence}")
        lines += _row("next look", moment(waits.next_wake))
    for label, at in (
        ("submitted", job.created_at),
        ("planned", job.planned_at),
        ("starts", None if job.started_at else job.start_at),
        ("started", job.started_at),
        ("finished", job.finished_at),
    ):
        lines += _row(label, moment(at))
    return lines


def shares(job: "Job") -> str:
    """The shares of the limits that were set for a job; empty if none were."""
    knobs = job.knobs
    parts = (("of each window", knobs.rate_share), ("of the day", knobs.day_share))
    return ", ".join(f"{share:.0%} {of}" for of, share in parts if share is not None)


def job_cells(job: "Job", counts: "Counts") -> tuple[str, ...]:
    """A job as a row of the list; under `JOB_HEAD`."""
    state = f"{job.state} (dry run)" if job.dry_run else str(job.state)
    reason = job.reason if len(job.reason) <= 24 else f"{job.reason[:23]}…"  # noqa: PLR2004  fits 80 columns
    done = f"{counts.total - counts.open:,}/{counts.total:,}"
    return job.id, job.account, state, done, f"{job.created_at:%Y-%m-%d %H:%M}", reason


JOB_HEAD = ("job", "account", "state", "settled", "submitted", "why")


def item_line(item: "Item") -> str:
    """An item of a plan."""
    from worker.domain.outcomes import Bucket

    target = item.seen.target
    end = item.outcome or ("goes with its project" if item.seen.goes_with_parent else item.state)
    below = f" of project {target.parent_external_id}" if target.parent_external_id else ""
    named = f"  {item.seen.name}" if item.seen.name else ""
    is_spared = item.outcome is not None and item.outcome.bucket is Bucket.SKIPPED
    why = f": {item.reason}" if is_spared and item.reason else ""
    return f"{item.id:>8}  {target.kind} {target.external_id}{below}{named}  [{end}{why}]"


def kinds(by_kind: Mapping[str, int]) -> str:
    """Counts by kind in words: 2 tasks, 1 project."""
    parts: Iterable[str] = (count_of(count, kind) for kind, count in by_kind.items())
    return ", ".join(parts) or "none"


def moment(at: datetime | None) -> str:
    """An instant for people; empty for none."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
