"""What a person may do to a job: pure decisions, performed by the store under its locks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.errors import Refused
from worker.domain.plan import FindingLevel
from worker.domain.states import FINAL, PAUSABLE, JobState, Waiting
from worker.ports import Job, Move, Note, WaitingOn

PLAN_LIVES = timedelta(hours=24)
"""An unconfirmed plan expires after this: what it shows is too old to be agreed to."""

Decide = Callable[[Job, datetime], Move | Note | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmRules:
    """What an account asks of a confirmation."""

    auto_confirm_max: int
    grace_above: int
    grace: timedelta
    place: str = ""  # where the account leads now


def confirm(rules: ConfirmRules, *, actor: str, word: str | None, yes: bool) -> Decide:
    """Let a plan run: with its word, or with a yes if it is small enough.

    Raises Refused for a plan that is incomplete, too old, over a guard or not asked for so.
    """

    def decide(job: Job, at: datetime) -> Move | None:
        if yes and job.options.auto_confirm and job.state not in _UNCONFIRMED:
            return None  # the worker did it already, and may be through with the job
        _check_confirmable(job, at)
        if job.place != rules.place:
            raise Refused(elsewhere(job, rules.place), fix="submit it again, or undo that change")
        small = job.plan.items <= rules.auto_confirm_max
        if word is not None and word.strip() != job.plan.word:
            raise Refused(
                f"that is not the word of job {job.id}",
                fix=f"read the plan (bulkdel plan {job.id}) and type its last line",
            )
        if word is None and not (yes and small):
            raise Refused(
                f"job {job.id} would delete {job.plan.items} items: that takes its word",
                fix=f'bulkdel confirm {job.id} --word "{job.plan.word}"',
            )
        start = _start(job, at, rules)
        grace = WaitingOn(
            code=Waiting.GRACE,
            sentence=f"starts at {start:%Y-%m-%d %H:%M:%S} UTC; bulkdel cancel {job.id} stops it",
            next_wake=start,
        )
        return Move(
            to=JobState.SCHEDULED,
            actor=actor,
            why="confirmed by its word" if word else "confirmed by yes",
            waiting=grace,
            columns={"start_at": start},
        )

    return decide


def elsewhere(job: Job, place: str) -> str:
    """What to say of a job whose account leads to another place than its plan was made for."""
    return f"account {job.account} leads to {place} now, the plan was made for {job.place}"


_UNCONFIRMED = frozenset({JobState.PLANNING, JobState.AWAITING_CONFIRMATION})


def _check_confirmable(job: Job, at: datetime) -> None:
    if job.stopping:
        raise Refused(f"job {job.id} is being stopped: there is nothing to confirm")
    if job.state is JobState.PLANNING:
        raise Refused(
            f"the plan of job {job.id} is not complete yet",
            fix=f"bulkdel explain {job.id} says what it waits for",
        )
    if job.state is not JobState.AWAITING_CONFIRMATION:
        raise Refused(f"job {job.id} is {job.state}: there is nothing to confirm")
    if not job.plan.complete:
        raise Refused(f"the plan of job {job.id} is not complete", fix=f"bulkdel explain {job.id}")
    if job.planned_at is None or at - job.planned_at > PLAN_LIVES:
        raise Refused(f"the plan of job {job.id} is older than 24 hours", fix="submit it again")
    for finding in job.plan.findings:
        if finding.level is FindingLevel.REFUSAL:
            raise Refused(finding.text, fix=f"bulkdel plan {job.id}")


def _start(job: Job, at: datetime, rules: ConfirmRules) -> datetime:
    grace = rules.grace if job.plan.items > rules.grace_above else timedelta(0)
    return max(at + grace, job.start_at or at)


def pause(*, actor: str, why: str = "") -> Decide:
    """Stop between calls; `resume` goes on from here."""

    def decide(job: Job, at: datetime) -> Move | None:  # noqa: ARG001  a decision is given the time
        if job.state is JobState.PAUSED:
            return None
        if job.state not in PAUSABLE or job.stopping:
            stands = f"being stopped ({job.stopping})" if job.stopping else job.state
            raise Refused(f"job {job.id} is {stands}: it cannot be paused")
        waiting = WaitingOn(
            code=Waiting.CONFIRMATION,
            sentence=f"{why or f'paused by {actor}'}; bulkdel resume {job.id} goes on",
        )
        return Move(
            to=JobState.PAUSED,
            actor=actor,
            why=why or "paused",
            waiting=waiting,
            columns={"paused_from": job.state.value},
        )

    return decide


def resume(*, actor: str) -> Decide:
    """Go on where a pause stopped the job."""

    def decide(job: Job, at: datetime) -> Move:  # noqa: ARG001  a decision is given the time
        if job.state is not JobState.PAUSED:
            raise Refused(f"job {job.id} is {job.state}, not paused")
        waiting = WaitingOn(code=Waiting.WORKER, sentence="resumed; the next worker takes it")
        return Move(
            to=job.paused_from or JobState.RUNNING,
            actor=actor,
            why="resumed",
            waiting=waiting,
            columns={"paused_from": ""},
        )

    return decide


def cancel(*, actor: str) -> Decide:
    """Stop for good: no new call leaves, the ones in flight are recorded, the rest is left out."""

    def decide(job: Job, at: datetime) -> Move | Note | None:
        if job.state in FINAL:
            raise Refused(f"job {job.id} is {job.state} already")
        if job.stopping:
            return None
        columns = {"stopping": JobState.CANCELLED.value}
        sentence = "being cancelled: a worker ends it, after it has looked up lost answers"
        waiting = WaitingOn(code=Waiting.WORKER, sentence=sentence, since=at)
        if job.state is JobState.PAUSED:
            # A lease holder ends the job, and it works none that is paused.
            back = job.paused_from or JobState.RUNNING
            return Move(to=back, actor=actor, why="cancelled", waiting=waiting, columns=columns)
        return Note(actor=actor, why="cancelled", columns=columns, waiting=waiting)

    return decide


def overdue(job: Job, at: datetime) -> Note | None:
    """Bring a plan to its end that nobody confirmed, or could complete, in time."""
    if job.stopping:
        return None
    unplanned = job.state is JobState.PLANNING and job.planned_at is None
    if unplanned and at - job.created_at > PLAN_LIVES:
        columns = {"stopping": JobState.PLAN_FAILED.value}
        return Note(actor="worker", why="planning took longer than 24 hours", columns=columns)
    waits = job.state in {JobState.AWAITING_CONFIRMATION, JobState.AWAITING_APPROVAL}
    if waits and job.planned_at is not None and at - job.planned_at > PLAN_LIVES:
        columns = {"stopping": JobState.EXPIRED.value}
        return Note(actor="worker", why="not confirmed within 24 hours", columns=columns)
    return None
