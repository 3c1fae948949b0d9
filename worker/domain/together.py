"""What to do with an item that went, or stayed, with others in a bulk delete.

That a provider says "done" of many at once proves nothing of any single one: what was taken so is
looked at by itself (the canary), or has to be missing from a listing (all others).
"""

from dataclasses import replace

from worker.domain.calls import Answer
from worker.domain.onward import CHANGED, again, another_attempt, lost_attempt, same
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState
from worker.domain.steps import TAKEN, Case, Decision, GoOn, Progress, Settle, Step

STAYED = "there before the first bulk delete, which did not name it, and gone after it"


def after_chunk(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    """The next step of an item that was one of several in a bulk delete.

    `answer.verdict` is what was said of this item, where the answer tells them apart.
    """
    match answer.verdict:
        case Verdict.ACCEPTED | Verdict.DELETED:
            return _taken(case, replace(now_at, source=TAKEN))
        case Verdict.AMBIGUOUS | Verdict.SEEN:
            return _taken(case, replace(now_at, source=0))
        case Verdict.REFUSED if answer.by_target:
            return Settle(outcome=Outcome.FAILED_REFUSED, reason=answer.message)
        case Verdict.NOT_SENT:
            return again(now_at, policy, jitter)
        case Verdict.UNAVAILABLE:
            once_more = replace(now_at, attempts=now_at.attempts + 1)
            return another_attempt(case, once_more, policy, jitter, step=now_at.step)
        case _:
            return GoOn(progress=now_at)


def _taken(case: Case, now_at: Progress) -> Decision:
    """It may be gone: the canary is looked at by itself, the others wait for the listing."""
    sent = lost_attempt(now_at)
    if case.canary:
        return GoOn(progress=sent)
    return GoOn(progress=replace(sent, step=Step.PROVE), state=ItemState.BLOCKED)


def halved(now_at: Progress, together: int) -> Progress:
    """An item of a chunk that was refused for its content: half as many go together next."""
    if now_at.step is Step.CANARY:
        return replace(now_at, step=Step.DELETE, source=0, tries=0)
    return replace(now_at, source=(together + 1) // 2, tries=0)


def listed(case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy) -> Decision:
    """An item that a listing still shows after its chunk.

    One that the provider said it had deleted goes by itself, so that it says why it stays; one
    whose chunk was never clearly answered goes with others again.
    """
    if not same(case.seen, answer):
        return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)
    if case.stopping:
        return Settle(outcome=Outcome.UNPROCESSED, reason="still there when the job stopped")
    step = Step.DELETE if now_at.source == TAKEN else Step.CHUNK
    return another_attempt(case, replace(now_at, source=0), policy, 0.0, step=step)


def after_witness(
    case: Case, now_at: Progress, answer: Answer, policy: RetryPolicy, jitter: float
) -> Decision:
    """What a read of a canary's neighbour shows: it has to be there before and after."""
    was_there = now_at.source == 1
    match answer.verdict:
        case Verdict.SEEN if not same(case.seen, answer):
            return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)
        case Verdict.SEEN if was_there:
            return GoOn(progress=replace(now_at, step=Step.CHUNK, source=0, tries=0))
        case Verdict.SEEN:
            seen_once = replace(now_at, source=1, tries=0)
            return GoOn(progress=seen_once, state=ItemState.BLOCKED)
        case Verdict.ABSENT if was_there:
            return Settle(outcome=Outcome.DELETED, reason=STAYED)
        case Verdict.ABSENT:
            return Settle(outcome=Outcome.ALREADY_ABSENT, reason=answer.message)
        case Verdict.REFUSED | Verdict.INVALID:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason=answer.message)
        case _ if now_at.tries + 1 >= policy.reads:
            return Settle(outcome=Outcome.FAILED_PRECHECK, reason="its state could not be read")
        case _:
            return again(now_at, policy, jitter)
