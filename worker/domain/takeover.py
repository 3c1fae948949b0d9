"""What becomes of an item whose holder died with its intent open.

A deletion may have been sent, so it is looked at before anything else. A call that ends its
worker again and again is not made for ever: after three dead holders a read is given up, and
after as many again a look, as until then there was a deletion that may have had its effect.
"""

from dataclasses import replace

from worker.domain.onward import lost_attempt
from worker.domain.outcomes import Outcome
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState
from worker.domain.steps import READS, Decision, GoOn, Progress, Settle, Step


def after_takeover(now_at: Progress, policy: RetryPolicy, *, can_look: bool) -> Decision:
    """The next step of an item after one more dead holder, or its outcome."""
    taken = replace(now_at, takeovers=now_at.takeovers + 1)
    died = f"{taken.takeovers} workers died"
    is_over = taken.takeovers >= policy.takeovers
    match now_at.step:
        case Step.CHUNK:
            sent = replace(lost_attempt(taken), step=Step.PROVE, source=0)
            return GoOn(progress=sent, state=ItemState.BLOCKED)
        case Step.DELETE | Step.CANARY if can_look:
            return GoOn(progress=lost_attempt(taken))
        case Step.DELETE if is_over:
            reason = f"{died} over it, and nothing shows whether it is there"
            return Settle(outcome=Outcome.UNKNOWN, reason=reason)
        case Step.DELETE:
            return GoOn(progress=lost_attempt(taken, can_look=False))
        case Step.LOOK if taken.takeovers >= 2 * policy.takeovers:
            reason = f"{died}, the last ones while they looked whether it is there"
            return Settle(outcome=Outcome.UNKNOWN, reason=reason)
        case step if step in READS and is_over:
            return _unread(now_at, died)
        case _:
            return GoOn(progress=taken)


def _unread(now_at: Progress, died: str) -> Settle:
    if not now_at.lost:
        return Settle(outcome=Outcome.FAILED_PRECHECK, reason=f"{died} while they read it")
    reason = f"still there after {now_at.attempts} attempts; {died}"
    return Settle(outcome=Outcome.FAILED_EXHAUSTED, reason=reason)
