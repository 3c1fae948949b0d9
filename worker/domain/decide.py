"""What to do next with an item, given how its last call ended.

The whole policy is here and pure: the slice performs what `decide` returns, in one transaction
with the audit entry of the call.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from worker.domain.calls import Answer, Seen
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState


class Step(StrEnum):
    """The next call an item needs."""

    READ = "read"  # planning: read it back and find its children
    READY = "ready"  # planning is done with it; nothing to call before the plan is confirmed
    RECHECK = "recheck"  # look at its children once more, just before it goes
    DELETE = "delete"
    LOOK = "look"  # a deletion's answer was lost: is it still there?


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an item is. `source` is the index of the read that comes next."""

    step: Step
    source: int = 0
    attempts: int = 0  # deletions sent
    lost: int = 0  # of these, answers lost
    tries: int = 0  # calls in a row that did not answer
    looks: int = 0  # looks that could not tell
    takeovers: int = 0  # holders that died with the item's intent open


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The item ends here."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOn:
    """The item needs another call, `after` from now."""

    progress: Progress
    after: timedelta = timedelta(0)
    state: ItemState = ItemState.PENDING


Decision = Settle | GoOn

FREE_RETRY = 4
"""A check that never left is tried again as after so many failures, and counts as none."""

CHANGED = "its name or creation time is not the plan's any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a decision may know of an item besides its progress."""

    seen: Seen  # as the plan shows it
    known: frozenset[tuple[str, str]] = frozenset()  # (kind, id) of its planned children
    kinds: frozenset[str] = frozenset()  # child kinds that the plan covers
    sources: int = 1  # how many reads a READ or RECHECK takes
    recheck: bool = False  # it is read again just before its own delete
    stopping: bool = False  # its job is being cancelled
    can_look: bool = True  # False: no read shows it, as with the timer


def decide(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    """The next step of an item, or its outcome. `jitter` in [0, 1) spreads the waits."""
    if answer.verdict in _TRY_LATER:
        return GoOn(progress=now_at)
    match now_at.step:
        case Step.DELETE:
            return _after_delete(case, now_at, answer, policy, jitter)
        case Step.LOOK:
            return _after_look(case, now_at, answer, policy, jitter)
        case Step.READ:
            return _after_read(case, now_at, answer, policy, jitter)
        case Step.RECHECK:
            return _after_recheck(case, now_at, answer, policy, jitter)
        case Step.READY:
            return GoOn(progress=now_at)
        case _:
            assert_never(now_at.step)


_TRY_LATER = frozenset(
    {Verdict.THROTTLED, Verdict.QUOTA_EXHAUSTED, Verdict.UNAUTHORISED, Verdict.TOKENLESS}
)
"""The gate is closed, the account parked or without a token: that is not about the item."""


CHECK_LASTS = timedelta(minutes=1)
"""A project is deleted by a check no older than this, however long it had to wait in between."""


def checked_again(now_at: Progress, read_at: datetime | None, now: datetime) -> Progress:
    """The progress of a project that is read again before its delete, if that is too long ago."""
    if now_at.step is not Step.DELETE or (read_at and now - read_at <= CHECK_LASTS):
        return now_at
    return replace(now_at, step=Step.RECHECK, source=0, tries=0)


def _after_delete(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    said = answer.message
    match answer.verdict:
        case Verdict.DELETED:
            return Settle(outcome=Outcome.DELETED)
        case Verdict.ABSENT if now_at.lost:
            return Settle(
                outcome=Outcome.DELETED, reason="gone by an attempt whose answer was lost"
            )
        case Verdict.ABSENT:
            return Settle(outcome=Outcome.ALREADY_ABSENT, reason=said)
        case Verdict.REFUSED:
            return Settle(outcome=Outcome.FAILED_REFUSED, reason=said)
        case Verdict.NOT_SENT:
            return _again(now_at, policy, jitter)
        case Verdict.UNAVAILABLE:
            once_more = replace(now_at, attempts=now_at.attempts + 1)
            return _another_attempt(case, once_more, policy, jitter)
        case Verdict.AMBIGUOUS | Verdict.SEEN:
            return _after_lost(case, now_at, policy, jitter)
        case _:
            return Settle(outcome=Outcome.FAILED_INVALID, reason=said)


def _after_lost(case: Case, now_at: Progress, policy: RetryPolicy, jitter: float) -> Decision:
    """An answer is lost. Where no read shows the item, only another attempt can tell."""
    if case.can_look:
        return GoOn(progress=lost_attempt(now_at))
    lost = lost_attempt(now_at, can_look=False)
    if case.stopping or lost.attempts >= policy.attempts:
        reason = f"{lost.attempts} attempts, and no answer could tell"
        return Settle(outcome=Outcome.UNKNOWN, reason=reason)
    return _later(lost, policy.after(lost.attempts, jitter))


def lost_attempt(now_at: Progress, *, can_look: bool = True) -> Progress:
    """A deletion was sent and its answer is lost: look, if one can, before trying again."""
    return replace(
        now_at,
        step=Step.LOOK if can_look else now_at.step,
        attempts=now_at.attempts + 1,
        lost=now_at.lost + 1,
        tries=0,
        looks=0,
    )


def _after_look(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    if answer.verdict is Verdict.ABSENT or (
        answer.verdict is Verdict.SEEN and not is_there(case.seen, answer)
    ):
        return Settle(outcome=Outcome.DELETED, reason="gone by an attempt whose answer was lost")
    if answer.verdict is Verdict.SEEN:
        if not same(case.seen, answer):
            return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)
        if case.stopping:
            return Settle(outcome=Outcome.UNPROCESSED, reason="still there when the job stopped")
        return _another_attempt(case, replace(now_at, tries=0, looks=0), policy, jitter)
    if now_at.tries + 1 < policy.tries:
        return _again(now_at, policy, jitter)
    looks = now_at.looks + 1
    if looks >= len(policy.looks):
        return Settle(outcome=Outcome.UNKNOWN, reason=f"{looks} looks could not tell")
    return GoOn(
        progress=replace(now_at, tries=0, looks=looks),
        after=policy.looks[looks],
        state=ItemState.VERIFYING,
    )


def _after_read(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    match answer.verdict:
        case Verdict.SEEN:
            return _next_source(case, now_at, then=Step.READY)
        case Verdict.ABSENT:
            return Settle(outcome=Outcome.ALREADY_ABSENT, reason=answer.message)
        case Verdict.REFUSED | Verdict.INVALID:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason=answer.message)
        case _:
            return _again(now_at, policy, jitter)


def _after_recheck(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    match answer.verdict:
        case Verdict.SEEN:
            changed = _what_changed(case, answer)
            if changed:
                return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=changed)
            return _next_source(case, now_at, then=Step.DELETE)
        case Verdict.ABSENT if now_at.lost:
            return Settle(
                outcome=Outcome.DELETED, reason="gone by an attempt whose answer was lost"
            )
        case Verdict.ABSENT:
            return Settle(outcome=Outcome.ALREADY_ABSENT, reason=answer.message)
        case Verdict.REFUSED | Verdict.INVALID:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason=answer.message)
        case Verdict.NOT_SENT:
            return _later(now_at, policy.after(FREE_RETRY, jitter))
        case _ if now_at.tries + 1 >= policy.reads:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason="its state could not be read")
        case _:
            return _again(now_at, policy, jitter)


def _next_source(case: Case, now_at: Progress, *, then: Step) -> GoOn:
    source = now_at.source + 1
    if source < case.sources:
        return GoOn(progress=replace(now_at, source=source, tries=0))
    return GoOn(progress=replace(now_at, step=then, source=0, tries=0))


def _another_attempt(case: Case, now_at: Progress, policy: RetryPolicy, jitter: float) -> Decision:
    if now_at.attempts >= policy.attempts or now_at.takeovers >= policy.takeovers:
        tried = f"{now_at.attempts} attempts, {now_at.takeovers} takeovers"
        return Settle(outcome=Outcome.FAILED_EXHAUSTED, reason=f"still there after {tried}")
    step = Step.RECHECK if case.recheck else Step.DELETE
    once_more = replace(now_at, step=step, source=0, tries=0)
    return _later(once_more, policy.after(now_at.attempts, jitter))


def _again(now_at: Progress, policy: RetryPolicy, jitter: float) -> GoOn:
    tries = now_at.tries + 1
    return _later(replace(now_at, tries=tries), policy.after(tries, jitter))


def _later(progress: Progress, after: timedelta) -> GoOn:
    state = ItemState.DEFERRED if after else ItemState.PENDING
    return GoOn(progress=progress, after=after, state=state)


def is_there(seen: Seen, answer: Answer) -> bool:
    """Whether a read that was answered shows this object."""
    shown = (*answer.reading.projects, *answer.reading.children)
    wanted = (seen.target.kind, seen.target.external_id)
    return any((other.target.kind, other.target.external_id) == wanted for other in shown)


def same(seen: Seen, answer: Answer) -> bool:
    """Whether a project shown is the one of the plan: name and creation time are its print.

    What the plan could not read cannot be compared; children have no print.
    """
    for other in answer.reading.projects:
        if other.target.external_id == seen.target.external_id and seen.created:
            return other.fingerprint == seen.fingerprint
    return True


def _what_changed(case: Case, answer: Answer) -> str:
    if not same(case.seen, answer):
        return CHANGED
    strangers = [
        f"{child.target.kind} {child.target.external_id}"
        for child in answer.reading.children
        if child.target.kind in case.kinds
        and not child.goes_with_parent
        and (child.target.kind, child.target.external_id) not in case.known
    ]
    return f"not in the plan: {', '.join(strangers[:3])}" if strangers else ""
