"""A call without a living access token leaves its item exactly where it was."""

import pytest

from worker.domain.calls import PROJECT, Answer, Seen, Target
from worker.domain.decide import decide
from worker.domain.outcomes import Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.steps import Case, GoOn, Progress, Step
from worker.services.flights import was_sent

CASE = Case(seen=Seen(target=Target(kind=PROJECT, external_id="1")))


@pytest.mark.parametrize("step", Step)
def test_it_is_no_attempt_and_no_try_of_any_step(step: Step) -> None:
    progress = Progress(step=step, attempts=1, lost=1, tries=4, looks=2)
    answer = Answer(verdict=Verdict.TOKENLESS, http_status=401)

    assert decide(CASE, progress, answer, RetryPolicy(), 0.5) == GoOn(progress=progress)
    assert not answer.verdict.is_attempt


def test_its_permit_is_used_if_the_provider_saw_it() -> None:
    assert was_sent(Answer(verdict=Verdict.TOKENLESS, http_status=401))
    assert not was_sent(Answer(verdict=Verdict.TOKENLESS, error_class="credentials"))
