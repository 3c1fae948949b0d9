"""What to do next with an item, given how its last call ended.

The whole policy is here and pure: the slice performs what `decide` returns, in one transaction
with the audit entry of the call.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from worker.domain.calls import Answer
from worker.domain.onward import (
    BY_LOST,
    CHANGED,
    MODIFIED,
    again,
    another_attempt,
    is_there,
    later,
    lost_attempt,
    same,
    was_modified,
)
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState
from worker.domain.steps import TAKEN, Case, Decision, GoOn, Progress, Settle, Step
from worker.domain.together import after_chunk, after_witness

FREE_RETRY = 4
"""A check that never left is tried again as after so many failures, and counts as none."""


def decide(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    """The next step of an item, or its outcome. `jitter` in [0, 1) spreads the waits."""
    if answer.verdict in _TRY_LATER:
        return GoOn(progress=now_at)
    rule = _RULES.get(now_at.step)
    return rule(case, now_at, answer, policy, jitter) if rule else GoOn(progress=now_at)


_TRY_LATER = frozenset(
    {Verdict.THROTTLED, Verdict.QUOTA_EXHAUSTED, Verdict.UNAUTHORISED, Verdict.TOKENLESS}
)
"""The gate is closed, the account parked or without a token: that is not about the item."""


TOO_SLOW = frozenset({"timeout"})
"""How a call ended whose provider may be at it still."""
MAY_STILL_COME = timedelta(seconds=5)
"""A look right after the deadline would see what is about to go."""

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
            return Settle(outcome=Outcome.DELETED, reason=BY_LOST)
        case Verdict.ABSENT:
            return Settle(outcome=Outcome.ALREADY_ABSENT, reason=said)
        case Verdict.REFUSED:
            return Settle(outcome=Outcome.FAILED_REFUSED, reason=said)
        case Verdict.NOT_SENT:
            return again(now_at, policy, jitter)
        case Verdict.UNAVAILABLE:
            once_more = replace(now_at, attempts=now_at.attempts + 1)
            return another_attempt(case, once_more, policy, jitter)
        case Verdict.AMBIGUOUS | Verdict.SEEN:
            return _after_lost(case, now_at, answer, policy, jitter)
        case _:
            return Settle(outcome=Outcome.FAILED_INVALID, reason=said)


def _after_lost(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    """An answer is lost. Where no read shows the item, only another attempt can tell."""
    if case.can_look and answer.error_class in TOO_SLOW:
        lost = lost_attempt(now_at)
        return GoOn(progress=lost, after=MAY_STILL_COME, state=ItemState.VERIFYING)
    if case.can_look:
        return GoOn(progress=lost_attempt(now_at))
    lost = lost_attempt(now_at, can_look=False)
    if case.stopping or lost.attempts >= policy.attempts:
        reason = f"{lost.attempts} attempts, and no answer could tell"
        return Settle(outcome=Outcome.UNKNOWN, reason=reason)
    return later(lost, policy.after(lost.attempts, jitter))


def _after_look(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    if case.apart and answer.verdict is Verdict.ABSENT and not now_at.source:
        # Is it the project that does not exist, or this list of it alone? Its own read tells.
        return GoOn(progress=replace(now_at, source=1))
    if case.apart and answer.verdict is Verdict.SEEN and now_at.source:
        return _untold(replace(now_at, source=0), policy, jitter)
    if answer.verdict is Verdict.ABSENT or (
        answer.verdict is Verdict.SEEN and not is_there(case.seen, answer)
    ):
        return Settle(outcome=Outcome.DELETED, reason=BY_LOST)
    if answer.verdict is Verdict.SEEN:
        if not same(case.seen, answer):
            return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)
        if case.stopping:
            return Settle(outcome=Outcome.UNPROCESSED, reason="still there when the job stopped")
        if case.canary and now_at.source == TAKEN:
            alone = replace(now_at, step=Step.DELETE, tries=0, looks=0)
            return GoOn(progress=alone, state=ItemState.BLOCKED)
        return another_attempt(case, replace(now_at, tries=0, looks=0), policy, jitter)
    return _untold(now_at, policy, jitter)


def _untold(now_at: Progress, policy: RetryPolicy, jitter: float) -> Decision:
    """A look that could not tell: once more, later and later, and then nobody knows."""
    if now_at.tries + 1 < policy.tries:
        return again(now_at, policy, jitter)
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
            return _not_there(now_at, answer)
        case Verdict.REFUSED | Verdict.INVALID:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason=answer.message)
        case _:
            return again(now_at, policy, jitter)


def _after_recheck(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    match answer.verdict:
        case Verdict.SEEN:
            changed = _what_changed(case, now_at, answer)
            if changed:
                return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=changed)
            return _next_source(case, now_at, then=Step.DELETE)
        case Verdict.ABSENT:
            return _not_there(now_at, answer)
        case Verdict.REFUSED | Verdict.INVALID:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason=answer.message)
        case Verdict.NOT_SENT:
            return later(now_at, policy.after(FREE_RETRY, jitter))
        case _ if now_at.tries + 1 >= policy.reads:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason="its state could not be read")
        case _:
            return again(now_at, policy, jitter)


def _next_source(case: Case, now_at: Progress, *, then: Step) -> GoOn:
    source = now_at.source + 1
    if source < case.sources:
        return GoOn(progress=replace(now_at, source=source, tries=0))
    return GoOn(progress=replace(now_at, step=then, source=0, tries=0, looks=0))


def _not_there(now_at: Progress, answer: Answer) -> Decision:
    """The project, or a list below it, does not exist; its own read tells which.

    If that shows it once more, it is the list: then nobody knows what hangs on the project.
    """
    if now_at.source and now_at.looks:
        return Settle(outcome=Outcome.FAILED_PRECHECK, reason=answer.message)
    if now_at.source:
        return GoOn(progress=replace(now_at, source=0, tries=0, looks=1))
    if now_at.lost:
        return Settle(outcome=Outcome.DELETED, reason=BY_LOST)
    return Settle(outcome=Outcome.ALREADY_ABSENT, reason=answer.message)


def _what_changed(case: Case, now_at: Progress, answer: Answer) -> str:
    if not same(case.seen, answer):
        return CHANGED
    if not (case.touched or now_at.attempts) and was_modified(case.seen, answer):
        return MODIFIED
    strangers = [
        f"{child.target.kind} {child.target.external_id}"
        for child in answer.reading.children
        if child.target.kind in case.kinds
        and not child.goes_with_parent
        and (child.target.kind, child.target.external_id) not in case.known
    ]
    return f"not in the plan: {', '.join(strangers[:3])}" if strangers else ""


_RULES: dict[Step, Callable[[Case, Progress, Answer, RetryPolicy, float], Decision]] = {
    Step.DELETE: _after_delete,
    Step.LOOK: _after_look,
    Step.READ: _after_read,
    Step.RECHECK: _after_recheck,
    Step.CHUNK: after_chunk,
    Step.CANARY: after_chunk,
    Step.WITNESS: after_witness,
}
"""By step; the others make no call of their own."""
