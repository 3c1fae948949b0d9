"""What comes next where a call did not end an item: another try, a look, another attempt."""

from dataclasses import replace
from datetime import timedelta

from worker.domain.calls import Answer, Seen
from worker.domain.outcomes import Outcome
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState
from worker.domain.steps import Case, Decision, GoOn, Progress, Settle, Step

CHANGED = "its name or creation time is not the plan's any more"
MODIFIED = "it was modified since the plan was made"
BY_LOST = "gone by an attempt whose answer was lost"


def again(now_at: Progress, policy: RetryPolicy, jitter: float) -> GoOn:
    """The same call once more: it did not answer."""
    tries = now_at.tries + 1
    return later(replace(now_at, tries=tries), policy.after(tries, jitter))


def later(progress: Progress, after: timedelta) -> GoOn:
    """The item goes on after a while."""
    state = ItemState.DEFERRED if after else ItemState.PENDING
    return GoOn(progress=progress, after=after, state=state)


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


def another_attempt(
    case: Case, now_at: Progress, policy: RetryPolicy, jitter: float, *, step: Step | None = None
) -> Decision:
    """The deletion once more, as long as attempts are left; `step` if it is no single one."""
    if now_at.attempts >= policy.attempts or now_at.takeovers >= policy.takeovers:
        tried = f"{now_at.attempts} attempts, {now_at.takeovers} takeovers"
        return Settle(outcome=Outcome.FAILED_EXHAUSTED, reason=f"still there after {tried}")
    step = step or (Step.RECHECK if case.recheck else Step.DELETE)
    source = now_at.source if case.canary else 0
    once_more = replace(now_at, step=step, source=source, tries=0)
    return later(once_more, policy.after(now_at.attempts, jitter))


def is_there(seen: Seen, answer: Answer) -> bool:
    """Whether a read that was answered shows this object."""
    shown = (*answer.reading.projects, *answer.reading.children)
    wanted = (seen.target.kind, seen.target.external_id)
    return any((other.target.kind, other.target.external_id) == wanted for other in shown)


def same(seen: Seen, answer: Answer) -> bool:
    """Whether a project shown is the one of the plan: name and creation time are its print.

    What the plan could not read cannot be compared; children have no print.
    """
    shown = (other for other in answer.reading.projects if other.target == seen.target)
    return not any(seen.has_become(other) for other in shown)


def was_modified(seen: Seen, answer: Answer) -> bool:
    """Whether a project shown was modified since; asked while no call of ours touched it."""
    shown = (other for other in answer.reading.projects if other.target == seen.target)
    return any(seen.was_modified(other) for other in shown)
