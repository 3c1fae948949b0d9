"""What a person may do to a job: pure decisions, performed by the store under its locks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from worker.domain.errors import Refused
from worker.domain.plan import FindingLevel
from worker.domain.states import FINAL, PAUSABLE, JobState, Waiting
from worker.ports import Job, Move, Note, Remeasured, WaitingOn

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
    max_items_per_day: int | None = None
    approval_over: int | None = None  # items above which a second person has to agree


AS_PLANNED = Remeasured()


class DecideAnew(Protocol):
    """A decision that is also given the guards of the plan as they stand now."""

    def __call__(
        self, job: Job, at: datetime, anew: Remeasured = AS_PLANNED, /
    ) -> Move | Note | None: ...


def confirm(rules: ConfirmRules, *, actor: str, word: str | None, yes: bool) -> DecideAnew:
    """Let a plan run: with its word, or with a yes if it is small enough.

    A large one waits for a second person after that. Raises Refused for a plan that is
    incomplete, too old, over a guard or not asked for so.
    """

    def decide(job: Job, at: datetime, anew: Remeasured = AS_PLANNED) -> Move | None:
        if yes and job.options.auto_confirm and job.state not in _UNCONFIRMED:
            return None  # the worker did it already, and may be through with the job
        _check_confirmable(job, at)
        _check_guards(job, rules, anew)
        small = job.plan.items <= rules.auto_confirm_max
        asks = next((f for f in job.plan.findings if f.level is FindingLevel.ASK), None)
        if word is not None and word.strip() != job.plan.word:
            raise Refused(
                f"that is not the word of job {job.id}",
                fix=f"bulkdel plan {job.id} ends with the command that confirms it",
            )
        if word is None and (asks or not (yes and small)):
            raise Refused(
                f"{asks.text}: a person may confirm it, by its word"
                if asks
                else f"job {job.id} would delete {job.plan.items} items: that takes its word",
                fix=f'bulkdel confirm {job.id} --word "{job.plan.word}"',
            )
        why = "confirmed by its word" if word else "confirmed by yes"
        if rules.approval_over is not None and job.plan.items > rules.approval_over:
            return _asks_second(job, rules, actor, why)
        return _scheduled(job, at, rules, actor=actor, why=why)

    return decide


def _asks_second(job: Job, rules: ConfirmRules, actor: str, why: str) -> Move:
    sentence = (
        f"{job.plan.items} items are more than approval_over {rules.approval_over}: "
        f"a second person says bulkdel approve {job.id}, or bulkdel reject {job.id}"
    )
    waiting = WaitingOn(code=Waiting.APPROVAL, sentence=sentence)
    return Move(to=JobState.AWAITING_APPROVAL, actor=actor, why=why, waiting=waiting)


def _scheduled(job: Job, at: datetime, rules: ConfirmRules, *, actor: str, why: str) -> Move:
    start = _start(job, at, rules)
    grace = WaitingOn(
        code=Waiting.GRACE,
        sentence=f"starts at {start:%Y-%m-%d %H:%M:%S} UTC; bulkdel cancel {job.id} stops it",
        next_wake=start,
    )
    return Move(
        to=JobState.SCHEDULED, actor=actor, why=why, waiting=grace, columns={"start_at": start}
    )


def approve(rules: ConfirmRules, *, actor: str) -> DecideAnew:
    """Agree to a confirmed plan as the second person; the database sees to who that is.

    All that a confirmation checks is checked once more.
    """

    def decide(job: Job, at: datetime, anew: Remeasured = AS_PLANNED) -> Move:
        _check_waits_for_second(job, at)
        _check_guards(job, rules, anew)
        return _scheduled(job, at, rules, actor=actor, why="approved by a second person")

    return decide


def reject(*, actor: str, why: str) -> DecideAnew:
    """Say no to a confirmed plan as the second person: the job ends, and nothing is deleted."""

    def decide(job: Job, at: datetime, anew: Remeasured = AS_PLANNED) -> Note:  # noqa: ARG001  a decision is given the time and the guards
        _check_waits_for_second(job, at=None)
        said = f"rejected by {actor}" + (f": {why}" if why else "")
        columns = {"stopping": JobState.REJECTED.value, "stop_reason": said}
        waiting = WaitingOn(code=Waiting.WORKER, sentence="rejected: a worker ends it", since=at)
        return Note(actor=actor, why=said, columns=columns, waiting=waiting)

    return decide


def _check_waits_for_second(job: Job, at: datetime | None) -> None:
    if job.stopping:
        raise Refused(
            f"job {job.id} is being stopped: there is nothing to decide", fix=how_it_stands(job)
        )
    if job.state is not JobState.AWAITING_APPROVAL:
        raise Refused(
            f"job {job.id} is {job.state}: it waits for no second person", fix=how_it_stands(job)
        )
    if at is not None and (job.planned_at is None or at - job.planned_at > PLAN_LIVES):
        raise Refused(f"the plan of job {job.id} is older than 24 hours", fix="submit it again")


def _check_guards(job: Job, rules: ConfirmRules, anew: Remeasured) -> None:
    """Raise Refused if the plan may not be carried out any more as it was made."""
    if job.place != rules.place:
        raise Refused(elsewhere(job, rules.place), fix="submit it again, or undo that change")
    if anew.holds_unreadable:
        raise Refused(
            f"the holds cannot be read, so all of it counts as held: {anew.holds_unreadable}",
            fix="bulkdel doctor",
        )
    if anew.held:
        raise Refused(
            f"held since the plan of job {job.id} was made: {'; '.join(anew.held)}",
            fix="submit it again: a new plan leaves out what is held (bulkdel hold list)",
        )
    limit = rules.max_items_per_day
    if limit is not None and anew.used_today + job.plan.items > limit:
        raise Refused(
            f"{job.plan.items} items, and {anew.used_today} that went today (UTC) or are promised "
            f"to other jobs, are more than max_items_per_day {limit} of {job.account}",
            fix="wait for tomorrow, or raise max_items_per_day in bulkdel.toml",
        )


def how_it_stands(job: Job) -> str:
    """What to do where a job cannot be had as wanted: see why."""
    return f"bulkdel explain {job.id} says how it stands"


def elsewhere(job: Job, place: str) -> str:
    """What to say of a job whose account leads to another place than its plan was made for."""
    return f"account {job.account} leads to {place} now, the plan was made for {job.place}"


_UNCONFIRMED = frozenset({JobState.PLANNING, JobState.AWAITING_CONFIRMATION})


def _check_confirmable(job: Job, at: datetime) -> None:
    if job.stopping:
        raise Refused(
            f"job {job.id} is being stopped: there is nothing to confirm", fix=how_it_stands(job)
        )
    if job.state is JobState.PLANNING:
        raise Refused(
            f"the plan of job {job.id} is not complete yet",
            fix=f"bulkdel explain {job.id} says what it waits for",
        )
    if job.state is not JobState.AWAITING_CONFIRMATION:
        raise Refused(
            f"job {job.id} is {job.state}: there is nothing to confirm", fix=how_it_stands(job)
        )
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
            raise Refused(f"job {job.id} is {stands}: it cannot be paused", fix=how_it_stands(job))
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
            raise Refused(f"job {job.id} is {job.state}, not paused", fix=how_it_stands(job))
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
            raise Refused(f"job {job.id} is {job.state} already", fix=f"bulkdel report {job.id}")
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
