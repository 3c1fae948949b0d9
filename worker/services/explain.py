"""Why a job or an item stands where it stands, since when, and who or what can move it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from worker.domain.outcomes import Bucket
from worker.domain.plan import FindingLevel
from worker.domain.states import FINAL, ItemState, JobState, Waiting
from worker.domain.steps import Step
from worker.ports import AccountRow, Counts, Item, Job
from worker.services.report import duration, headline, sum_lines

_MOVES_IT = {
    Waiting.RATE_LIMIT: "The limit of the provider moves it; nothing is to be done.",
    Waiting.QUOTA_RESET: "It goes on by itself when the day's quota is given anew.",
    Waiting.WINDOW: "It goes on by itself when its time comes.",
    Waiting.DEPENDENCY: "It goes on by itself; lost answers are looked up five times in an hour.",
    Waiting.PROVIDER_OUTAGE: "It goes on by itself when the provider answers again.",
    Waiting.CREDENTIALS: "Mend the credentials, then: bulkdel accounts check {account}",
    Waiting.GATE: "It goes on by itself when Redis, which keeps the limits, is back.",
    Waiting.WORKER: "The next worker takes it.",
    Waiting.CONFIRMATION: "A person moves it: bulkdel plan {job}",
    Waiting.APPROVAL: "A second person moves it: bulkdel approve {job}",
    Waiting.GRACE: "It starts by itself; bulkdel cancel {job} stops it before.",
}
_STEPS = {
    Step.READ: "to be read for the plan",
    Step.READY: "planned",
    Step.RECHECK: "to be read again just before its deletion",
    Step.DELETE: "to be deleted",
    Step.CHUNK: "to be deleted with others in one call",
    Step.CANARY: "to be deleted in the first bulk delete",
    Step.WITNESS: "to be read before and after the first bulk delete, which does not name it",
    Step.PROVE: "gone by a bulk delete if the listing does not show it any more",
    Step.LOOK: "to be looked for, as the answer to a deletion was lost",
}


class Told(Protocol):
    """What an explanation reads of an audit entry."""

    @property
    def at(self) -> datetime: ...

    @property
    def event(self) -> str: ...

    @property
    def verdict(self) -> str: ...

    @property
    def outcome(self) -> str | None: ...

    @property
    def http_status(self) -> int | None: ...

    @property
    def provider_code(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def detail(self) -> Mapping[str, Any]: ...

    @property
    def actor(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What an explanation knows beside the job: its account, the workers, the time."""

    account: AccountRow
    workers: int
    now: datetime


def explain_job(job: Job, counts: Counts, around: Around, last: Iterable[Told]) -> list[str]:
    """Sentences about a job; `last` are its latest audit entries, oldest first."""
    lines = [headline(job), *sum_lines(job, counts)]
    if job.state not in FINAL:
        lines += _why_not_final(job, around)
    elif job.state is JobState.PLAN_FAILED:
        why = f": {job.stop_reason}. Nothing" if job.stop_reason else " within 24 hours; nothing"
        lines.append(f"Its plan could not be made{why} was deleted.")
    elif job.state is JobState.EXPIRED:
        lines.append("Nobody confirmed its plan in time; nothing was deleted. Submit it again.")
    return lines + _history(last)


def _why_not_final(job: Job, around: Around) -> list[str]:
    lines = []
    waits = job.waiting_on
    if waits is not None:
        since = f" (since {_at(waits.since)})" if waits.since else ""
        is_left = waits.code is Waiting.WORKER and not _is_worked(around)
        why = "work is there, and no worker has it" if is_left else waits.sentence
        lines.append(f"It waits on {waits.code}: {why}{since}.")
        if waits.next_wake and waits.next_wake > around.now:
            left = duration(waits.next_wake - around.now)
            lines.append(f"It is tried next at {_at(waits.next_wake)}, in {left}.")
        lines += _asks(job)
        if is_left or waits.code is not Waiting.WORKER:
            lines.append(_moves(waits.code, job))
    account = around.account
    if account.parked_code:
        since = f" since {_at(account.parked_at)}" if account.parked_at else ""
        lines.append(f"The account {job.account} is parked{since}: {account.parked_text}.")
        lines.append(f"Mend its credentials, then: bulkdel accounts check {job.account}")
    elif _is_worked(around):
        lines.append(f"The account is being worked on by {account.lease_owner}.")
    if not around.workers:
        lines.append("No worker is alive: start one with bulkdel up, or bulkdel worker.")
    return lines


def _asks(job: Job) -> list[str]:
    """Why a plan does not confirm itself, or cannot be confirmed at all."""
    if job.state is not JobState.AWAITING_CONFIRMATION:
        return []
    said = {
        FindingLevel.ASK: "A person is asked, because {}.",
        FindingLevel.REFUSAL: "It cannot be confirmed as it is: {}.",
    }
    found = job.plan.findings
    return [said[one.level].format(one.text) for one in found if one.level in said]


def _is_worked(around: Around) -> bool:
    until = around.account.lease_until
    return until is not None and until > around.now


def _moves(code: Waiting, job: Job) -> str:
    if job.state is JobState.PAUSED:
        return f"A person moves it: bulkdel resume {job.id}, or bulkdel cancel {job.id}"
    return _MOVES_IT[code].format(account=job.account, job=job.id)


def explain_item(item: Item, job: Job, around: Around, last: Sequence[Told]) -> list[str]:
    """Sentences about an item; `last` are all its audit entries, oldest first."""
    target = item.seen.target
    named = f" {item.seen.name!r}" if item.seen.name else ""
    below = f" of project {target.parent_external_id}" if target.parent_external_id else ""
    lines = [f"Item {item.id}: {target.kind} {target.external_id}{named}{below}, job {job.id}."]
    why = f": {item.reason}" if item.reason else ""
    if item.outcome is not None:
        is_told = item.provider_code and item.outcome.bucket is Bucket.FAILED
        code = f" (provider's code {item.provider_code})" if is_told else ""
        lines.append(f"It ended {item.outcome}{why}{code}.")
    else:
        lines.append(f"It is {item.state}, {_STEPS[item.progress.step]}{why}.")
        if item.state == ItemState.BLOCKED:
            lines.append("Something must be gone first: children go before their project.")
        if item.due_at and item.due_at > around.now:
            left = duration(item.due_at - around.now)
            lines.append(f"It is due at {_at(item.due_at)}, in {left}.")
        lines += [f"Its job is {job.state}.", *_why_not_final(job, around)]
    if item.progress.attempts:
        lines.append(f"Deletions tried: {item.progress.attempts}.")
    return lines + _history(last, "Its history, by the audit log:")


def _history(last: Iterable[Told], title: str = "Last entries of its audit log:") -> list[str]:
    lines = [f"  {_at(entry.at)}  {_told(entry)}" for entry in last]
    return ["", title, *lines] if lines else []


def _told(entry: Told) -> str:
    status = f"HTTP {entry.http_status}" if entry.http_status else ""
    code = f"code {entry.provider_code}" if entry.provider_code else ""
    ends = [str(entry.detail[end]) for end in ("from", "to") if end in entry.detail]
    facts = [entry.event, " to ".join(ends), entry.verdict, status, code, entry.outcome or ""]
    said = " ".join(fact for fact in facts if fact)
    why = f": {entry.message}" if entry.message and entry.message not in ends else ""
    return f"{said}{why}  by {entry.actor}"


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
