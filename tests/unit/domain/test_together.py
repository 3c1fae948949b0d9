"""An item that went or stayed with others: what was said of it, and what proves it."""

from datetime import timedelta

import pytest

from tests.builders import a_case, a_progress, a_seen, an_answer, shows
from worker.domain.decide import decide
from worker.domain.onward import CHANGED
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState
from worker.domain.steps import TAKEN, Case, Decision, GoOn, Progress, Settle, Step
from worker.domain.together import STAYED, halved, listed

POLICY = RetryPolicy()
CASE = a_case()
CANARY = a_case(canary=True)
STOPPING = a_case(stopping=True)
THERE = shows(a_seen())
RENAMED = shows(a_seen(name="Tunnel"))
ABSENT = an_answer(Verdict.ABSENT, message="does not exist")


def after(
    step: Step,
    verdict: Verdict,
    case: Case = CASE,
    by_target: tuple[Verdict, ...] = (),
    **fields: int,
) -> Decision:
    answer = an_answer(verdict, by_target=by_target, message="said")
    return decide(case, a_progress(step, **fields), answer, POLICY, 0.5)


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.DELETED])
def test_what_went_in_a_chunk_waits_for_the_proof(verdict: Verdict) -> None:
    decision = after(Step.CHUNK, verdict)

    proven = Progress(step=Step.PROVE, source=TAKEN, attempts=1, lost=1)
    assert decision == GoOn(progress=proven, state=ItemState.BLOCKED)


@pytest.mark.parametrize("verdict", [Verdict.AMBIGUOUS, Verdict.SEEN])
def test_a_chunk_without_a_clear_answer_waits_for_the_proof_too(verdict: Verdict) -> None:
    decision = after(Step.CHUNK, verdict, source=13)

    proven = Progress(step=Step.PROVE, source=0, attempts=1, lost=1)
    assert decision == GoOn(progress=proven, state=ItemState.BLOCKED)


@pytest.mark.parametrize(
    ("verdict", "source"), [(Verdict.ACCEPTED, TAKEN), (Verdict.AMBIGUOUS, 0)]
)
def test_the_canary_is_looked_at_by_itself(verdict: Verdict, source: int) -> None:
    decision = after(Step.CANARY, verdict, CANARY)

    assert decision == GoOn(progress=Progress(step=Step.LOOK, source=source, attempts=1, lost=1))


def test_an_id_that_the_answer_names_is_refused() -> None:
    named = (Verdict.ACCEPTED, Verdict.REFUSED)

    decision = after(Step.CHUNK, Verdict.REFUSED, by_target=named)

    assert decision == Settle(outcome=Outcome.FAILED_REFUSED, reason="said")


def test_a_chunk_that_was_not_sent_is_no_attempt() -> None:
    decision = after(Step.CHUNK, Verdict.NOT_SENT)

    assert isinstance(decision, GoOn)
    assert decision.progress == Progress(step=Step.CHUNK, tries=1)
    assert decision.after > timedelta(0)


@pytest.mark.parametrize("step", [Step.CHUNK, Step.CANARY])
def test_not_now_is_an_attempt_and_comes_again_as_a_chunk(step: Step) -> None:
    decision = after(step, Verdict.UNAVAILABLE, CANARY)

    assert isinstance(decision, GoOn)
    assert (decision.progress.step, decision.progress.attempts) == (step, 1)


def test_attempts_in_chunks_come_to_an_end() -> None:
    decision = after(Step.CHUNK, Verdict.UNAVAILABLE, attempts=POLICY.attempts - 1)

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.FAILED_EXHAUSTED


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict.INVALID,
        Verdict.THROTTLED,
        Verdict.QUOTA_EXHAUSTED,
        Verdict.UNAUTHORISED,
        Verdict.TOKENLESS,
    ],
)
def test_what_is_not_about_the_item_leaves_it_as_it_is(verdict: Verdict) -> None:
    assert after(Step.CHUNK, verdict) == GoOn(progress=Progress(step=Step.CHUNK))


@pytest.mark.parametrize(
    ("together", "next_time"), [(25, 13), (13, 7), (7, 4), (4, 2), (3, 2), (2, 1)]
)
def test_a_refused_chunk_is_halved_down_to_one(together: int, next_time: int) -> None:
    assert halved(a_progress(Step.CHUNK), together).source == next_time


def test_a_refused_canary_goes_one_by_one() -> None:
    assert halved(a_progress(Step.CANARY), 2) == a_progress(Step.DELETE)


def test_what_the_provider_called_done_and_still_lists_goes_by_itself() -> None:
    taken = a_progress(Step.PROVE, source=TAKEN, attempts=1, lost=1)

    decision = listed(CASE, taken, THERE, POLICY)

    assert decision == GoOn(progress=a_progress(Step.DELETE, attempts=1, lost=1))


def test_what_a_lost_answer_left_goes_with_others_again() -> None:
    lost = a_progress(Step.PROVE, attempts=1, lost=1)

    decision = listed(CASE, lost, THERE, POLICY)

    assert decision == GoOn(progress=a_progress(Step.CHUNK, attempts=1, lost=1))


def test_what_is_listed_under_another_name_is_spared() -> None:
    taken = a_progress(Step.PROVE, source=TAKEN, attempts=1, lost=1)

    assert listed(CASE, taken, RENAMED, POLICY) == Settle(
        outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED
    )


def test_what_is_listed_when_the_job_stops_is_left_out() -> None:
    taken = a_progress(Step.PROVE, source=TAKEN, attempts=1, lost=1)

    decision = listed(STOPPING, taken, THERE, POLICY)

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.UNPROCESSED


def test_what_is_listed_after_all_attempts_is_given_up() -> None:
    often = a_progress(Step.PROVE, source=TAKEN, attempts=POLICY.attempts, lost=1)

    decision = listed(CASE, often, THERE, POLICY)

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.FAILED_EXHAUSTED


def test_a_neighbour_waits_once_it_was_seen_before_the_canary() -> None:
    decision = decide(CASE, a_progress(Step.WITNESS), THERE, POLICY, 0.5)

    waits = a_progress(Step.WITNESS, source=1)
    assert decision == GoOn(progress=waits, state=ItemState.BLOCKED)


def test_a_neighbour_that_is_there_after_the_canary_goes_by_chunks() -> None:
    decision = decide(CASE, a_progress(Step.WITNESS, source=1), THERE, POLICY, 0.5)

    assert decision == GoOn(progress=a_progress(Step.CHUNK))


@pytest.mark.parametrize("source", [0, 1])
def test_a_neighbour_of_another_name_is_spared(source: int) -> None:
    decision = decide(CASE, a_progress(Step.WITNESS, source=source), RENAMED, POLICY, 0.5)

    assert decision == Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)


def test_a_neighbour_absent_before_the_canary_was_absent_already() -> None:
    decision = decide(CASE, a_progress(Step.WITNESS), ABSENT, POLICY, 0.5)

    assert decision == Settle(outcome=Outcome.ALREADY_ABSENT, reason="does not exist")


def test_a_neighbour_absent_after_the_canary_went_with_it() -> None:
    decision = decide(CASE, a_progress(Step.WITNESS, source=1), ABSENT, POLICY, 0.5)

    assert decision == Settle(outcome=Outcome.DELETED, reason=STAYED)


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.INVALID])
def test_a_neighbour_nobody_may_read_fails_its_check(verdict: Verdict) -> None:
    decision = after(Step.WITNESS, verdict)

    assert decision == Settle(outcome=Outcome.FAILED_PRECHECK, reason="said")


def test_a_neighbour_that_cannot_be_read_is_read_again_and_then_fails() -> None:
    again = after(Step.WITNESS, Verdict.UNAVAILABLE, tries=1)
    at_last = after(Step.WITNESS, Verdict.UNAVAILABLE, tries=POLICY.reads - 1)

    assert isinstance(again, GoOn)
    assert again.progress == a_progress(Step.WITNESS, tries=2)
    assert at_last == Settle(outcome=Outcome.FAILED_PRECHECK, reason="its state could not be read")


def test_a_canary_that_stayed_is_held_until_its_fellow_is_judged() -> None:
    looked = a_progress(Step.LOOK, source=TAKEN, attempts=1, lost=1)

    decision = decide(CANARY, looked, THERE, POLICY, 0.5)

    alone = a_progress(Step.DELETE, source=TAKEN, attempts=1, lost=1)
    assert decision == GoOn(progress=alone, state=ItemState.BLOCKED)


def test_a_canary_whose_answer_was_lost_goes_by_itself() -> None:
    looked = a_progress(Step.LOOK, source=0, attempts=1, lost=1)

    decision = decide(CANARY, looked, THERE, POLICY, 0.0)

    assert decision == GoOn(progress=a_progress(Step.DELETE, attempts=1, lost=1))
