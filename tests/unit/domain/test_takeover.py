"""What becomes of an item whose holder died with its intent open."""

import pytest

from worker.domain.onward import lost_attempt
from worker.domain.outcomes import Outcome
from worker.domain.retry import RetryPolicy
from worker.domain.steps import Decision, GoOn, Progress, Settle, Step
from worker.domain.takeover import after_takeover

POLICY = RetryPolicy(takeovers=3)


def after(now_at: Progress, *, can_look: bool = True) -> Decision:
    return after_takeover(now_at, POLICY, can_look=can_look)


def outcome_of(decision: Decision) -> Outcome | None:
    return decision.outcome if isinstance(decision, Settle) else None


@pytest.mark.parametrize("takeovers", range(10))
def test_a_deletion_that_may_have_been_sent_is_always_looked_at(takeovers: int) -> None:
    taken = Progress(step=Step.DELETE, takeovers=takeovers + 1)

    decision = after(Progress(step=Step.DELETE, takeovers=takeovers))

    assert decision == GoOn(progress=lost_attempt(taken))


@pytest.mark.parametrize("step", [Step.READ, Step.RECHECK])
def test_the_third_holder_that_died_reading_is_the_last(step: Step) -> None:
    assert after(Progress(step=step, takeovers=1)) == GoOn(
        progress=Progress(step=step, takeovers=2)
    )
    assert outcome_of(after(Progress(step=step, takeovers=2))) is Outcome.FAILED_PRECHECK


def test_what_was_attempted_and_seen_again_is_exhausted_and_no_failed_check() -> None:
    tried = Progress(step=Step.RECHECK, attempts=2, lost=2, takeovers=2)

    assert outcome_of(after(tried)) is Outcome.FAILED_EXHAUSTED


def test_a_look_is_given_up_later_and_is_never_a_guess() -> None:
    lost = Progress(step=Step.LOOK, attempts=1, lost=1, takeovers=4)

    assert outcome_of(after(lost)) is None
    assert outcome_of(after(Progress(step=Step.LOOK, lost=1, takeovers=5))) is Outcome.UNKNOWN


def test_a_timer_that_no_read_shows_is_unknown_after_three_dead_holders() -> None:
    again = after(Progress(step=Step.DELETE, takeovers=1), can_look=False)
    last = after(Progress(step=Step.DELETE, takeovers=2), can_look=False)

    assert isinstance(again, GoOn)
    assert (again.progress.step, again.progress.lost) == (Step.DELETE, 1)
    assert outcome_of(last) is Outcome.UNKNOWN
