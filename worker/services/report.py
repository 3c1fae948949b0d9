"""What came of a job, in a page: the sums, what did not go and why, and what to do about it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from worker.domain.outcomes import Bucket, Outcome, by_bucket
from worker.domain.states import FINAL, JobState, Waiting
from worker.domain.text import count_of
from worker.ports import Counts, Item, Job
from worker.services.views import job_view

IDS_NAMED = 10
GROUPS_KEPT = 50
GROUPS_READ = 5_000
"""Reasons told apart while reading, before the most important ones are kept."""
_IDS = re.compile(r"\b[0-9]{6,}\b")
LEFT_OVER = tuple(outcome for outcome in Outcome if outcome.bucket is not Bucket.SUCCEEDED)
"""Outcomes that a report names items of."""

_ORDER = {
    bucket: place
    for place, bucket in enumerate(
        (Bucket.UNKNOWN, Bucket.FAILED, Bucket.UNPROCESSED, Bucket.SKIPPED)
    )
}
_DO = {
    Outcome.FAILED_REFUSED: "settle what the provider refuses at the provider",
    Outcome.FAILED_INVALID: "check the ids and the account (bulkdel accounts check {account})",
    Outcome.FAILED_PRECHECK: "find out why their state cannot be read, nothing of them is deleted",
    Outcome.FAILED_EXHAUSTED: "wait until the provider is well again",
    Outcome.DEPENDENCY_FAILED: "see to what hangs on these projects first",
    Outcome.UNKNOWN: "look at the unknown ones at the provider: a retry looks again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Items that ended alike, for the same reason; `named` are the first few."""

    outcome: Outcome
    provider_code: str
    reason: str
    count: int
    named: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A job summed up. `elsewhere` counts items of rarer reasons than the groups have room for."""

    job: Job
    counts: Counts
    groups: tuple[Group, ...]
    elsewhere: int
    next: tuple[str, ...]


def _code(item: Item) -> str:
    """The provider's code, where it is what the outcome comes from."""
    return "" if item.provider_code == "0" else item.provider_code


def _alike(reason: str) -> str:
    """The reason without the ids in it: a hundred projects with one fault are one group."""
    return _IDS.sub("…", reason)


def report_of(job: Job, counts: Counts, items: Iterable[Item]) -> Report:
    """Sum up; `items` are the job's with an outcome of `LEFT_OVER`, and may be a stream."""
    groups: dict[tuple[Outcome, str, str], list[str]] = {}
    sizes: dict[tuple[Outcome, str, str], int] = {}
    elsewhere = 0
    for item in () if job.dry_run else items:
        if item.outcome is None or item.outcome.bucket is Bucket.SUCCEEDED:
            continue
        key = (item.outcome, _code(item), _alike(item.reason))
        if key not in groups and len(groups) == GROUPS_READ:
            elsewhere += 1
            continue
        named = groups.setdefault(key, [])
        sizes[key] = sizes.get(key, 0) + 1
        if len(named) < IDS_NAMED:
            named.append(_name(item))
    kept = [
        Group(
            outcome=key[0],
            provider_code=key[1],
            reason=key[2],
            count=sizes[key],
            named=tuple(named),
        )
        for key, named in groups.items()
    ]
    kept.sort(key=lambda group: (_ORDER[group.outcome.bucket], -group.count, group.outcome))
    elsewhere += sum(group.count for group in kept[GROUPS_KEPT:])
    return Report(
        job=job,
        counts=counts,
        groups=tuple(kept[:GROUPS_KEPT]),
        elsewhere=elsewhere,
        next=tuple(_next(job, counts)),
    )


def report_view(report: Report) -> dict[str, Any]:
    """The report as `--json` prints it: the job, and what was left over."""
    groups = [
        {
            "outcome": group.outcome.value,
            "bucket": group.outcome.bucket.value,
            "provider_code": group.provider_code or None,
            "reason": group.reason or None,
            "count": group.count,
            "ids": list(group.named),
        }
        for group in report.groups
    ]
    return {
        **job_view(report.job, report.counts),
        "groups": groups,
        "elsewhere": report.elsewhere,
        "next": list(report.next),
    }


def report_lines(report: Report) -> list[str]:
    """The report for people, at 80 columns where the provider's own words allow it."""
    lines = [headline(report.job), *sum_lines(report.job, report.counts)]
    if report.groups:
        lines += ["", "Left over, by reason:"]
    for group in report.groups:
        code = f" (code {group.provider_code})" if group.provider_code else ""
        lines.append(f"  {group.count:,} {group.outcome}{code}")
        if group.reason:
            lines.append(f"      {group.reason}")
        rest = group.count - len(group.named)
        more = f" and {rest:,} more" if rest else ""
        lines += wrapped(f"{', '.join(group.named)}{more}", indent=6)
    if report.elsewhere:
        lines.append(f"  {report.elsewhere:,} more, for other reasons")
    if report.next:
        lines += ["", "Next:", *(f"  {step}" for step in report.next)]
    return lines


def headline(job: Job) -> str:
    """How the job stands, in a line."""
    if job.dry_run and job.state is JobState.SUCCEEDED:
        return f"Job {job.id} was a dry run: nothing was deleted."
    if job.state not in FINAL:
        stopping = f", being brought to {job.stopping}" if job.stopping else ""
        return f"Job {job.id} is {job.state}{stopping}."
    took = ""
    if job.started_at and job.finished_at:
        took = f" after {duration(job.finished_at - job.started_at)}"
    return f"Job {job.id} {job.state}{took}."


def sum_lines(job: Job, counts: Counts) -> list[str]:
    """The counts, adding up to the total; then how the items ended, by outcome."""
    sums = by_bucket(counts.by_outcome)
    if job.dry_run:
        return [f"  {count_of(counts.total, 'item')} seen"]
    parts = [f"{bucket} {sums[bucket]:,}" for bucket in Bucket if sums[bucket]]
    if counts.open:
        parts.append(f"open {counts.open:,}")
    lines = wrapped(f"{' + '.join(parts) or 'nothing'} = {counts.total:,}", indent=2)
    ended = [f"{outcome} {count:,}" for outcome, count in counts.by_outcome.items()]
    return lines + (wrapped(f"of these: {', '.join(ended)}", indent=2) if ended else [])


def duration(length: timedelta) -> str:
    """A length of time as people say it: under 1 s, 45 s, 13 min, 2 h 5 min, 3 d 4 h."""
    if timedelta(0) < length < timedelta(seconds=1):
        return "under 1 s"
    seconds = max(int(length.total_seconds()), 0)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def wrapped(text: str, *, indent: int, width: int = 80) -> list[str]:
    """The text in lines of at most `width`, broken at blanks."""
    lines: list[str] = []
    line = " " * indent
    for word in text.split(" "):
        room = line.strip() and len(line) + 1 + len(word) > width
        if room:
            lines.append(line)
            line = " " * indent
        line += f" {word}" if line.strip() else word
    return [*lines, line] if line.strip() else lines


def _name(item: Item) -> str:
    target = item.seen.target
    return f"{target.kind} {target.external_id}"


def _next(job: Job, counts: Counts) -> Sequence[str]:
    """What to do now: commands, and what has to be seen to first."""
    if job.dry_run:
        return ["submit it without --dry-run to make the plan that can be confirmed"]
    if job.state not in FINAL:
        return _next_of_live(job)
    sums = by_bucket(counts.by_outcome)
    again = [
        bucket for bucket in (Bucket.FAILED, Bucket.UNPROCESSED, Bucket.UNKNOWN) if sums[bucket]
    ]
    if not again:
        return [f"bulkdel audit certificate {job.id}"]
    steps = [
        text.format(account=job.account)
        for outcome, text in _DO.items()
        if outcome in counts.by_outcome
    ]
    words = ",".join(again)
    return [*steps, f"bulkdel retry {job.id} --outcome {words}"]


def _next_of_live(job: Job) -> Sequence[str]:
    if job.state is JobState.AWAITING_CONFIRMATION:
        return [f"bulkdel plan {job.id}"]
    if job.state is JobState.PAUSED:
        return [f"bulkdel resume {job.id}"]
    waits = job.waiting_on
    if waits is not None and waits.code is Waiting.CREDENTIALS:
        return [f"bulkdel accounts check {job.account}"]
    return [f"bulkdel watch {job.id}"]
