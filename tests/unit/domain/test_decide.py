"""The whole policy of an item: complete, bounded, and never guessing what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import cycle, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import EPOCH, a_case, a_child, a_progress, a_seen, a_target, an_answer, shows
from worker.domain.calls import Answer
from worker.domain.decide import CHECK_LASTS, checked_again, decide
from worker.domain.onward import BY_LOST, CHANGED, MODIFIED, is_there, lost_attempt
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ITEM_MOVES, ItemState
from worker.domain.steps import Case, Decision, GoOn, Progress, Settle, Step

POLICY = RetryPolicy()
CASE = a_case(known=frozenset({("task", "7")}), kinds=frozenset({"task"}), sources=2)
CHECKED = replace(CASE, recheck=True)
TRY_LATER = (
    Verdict.THROTTLED,
    Verdict.QUOTA_EXHAUSTED,
    Verdict.UNAUTHORISED,
    Verdict.TOKENLESS,
)
SENT = [Step.DELETE, Step.LOOK, Step.READ, Step.RECHECK]
THERE = shows(a_seen(), children=(a_child("7"),))
GONE = shows()
CHANGED_NAME = shows(a_seen(name="Tunnel"))
STRANGER = shows(a_seen(), children=(a_child("8"),))
ANSWERS = [
    *(an_answer(verdict) for verdict in Verdict if verdict is not Verdict.SEEN),
    THERE,
    GONE,
    CHANGED_NAME,
    STRANGER,
]
NAMES = [
    *(verdict for verdict in Verdict if verdict is not Verdict.SEEN),
    "seen",
    "gone",
    "changed",
    "stranger",
]
BOUND = POLICY.attempts * (CASE.sources * POLICY.reads + 1 + POLICY.tries * len(POLICY.looks))
"""Calls that can be made for one item once it is planned, however they are answered."""


def after(
    step: Step, answer: Answer, case: Case = CASE, jitter: float = 0.5, **progress: int
) -> Decision:
    return decide(case, a_progress(step, **progress), answer, POLICY, jitter)


@dataclass(frozen=True)
class Stage:
    before: Progress
    answer: Answer
    decision: Decision


def walked(start: Step, answers: Sequence[Answer], calls: int, case: Case = CASE) -> list[Stage]:
    """The way of an item whose calls are answered like this, over and over."""
    way: list[Stage] = []
    now_at = a_progress(start)
    for answer in islice(cycle(answers), calls):
        decision = decide(case, now_at, answer, POLICY, 0.5)
        way.append(Stage(before=now_at, answer=answer, decision=decision))
        if isinstance(decision, Settle):
            return way
        now_at = decision.progress
    return way


def sent(stage: Stage) -> bool:
    return stage.before.step is Step.DELETE and stage.answer.verdict.is_attempt


# --- complete ----------------------------------------------------------------


@pytest.mark.parametrize("stopping", [False, True])
@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("answer", ANSWERS, ids=NAMES)
def test_every_answer_at_every_step_is_decided(
    answer: Answer, step: Step, *, stopping: bool
) -> None:
    decision = after(step, answer, replace(CASE, stopping=stopping))

    match decision:
        case Settle():
            assert ItemState.SETTLED in ITEM_MOVES[ItemState.SENT]
        case GoOn():
            assert decision.state in ITEM_MOVES[ItemState.SENT]
            assert timedelta(0) <= decision.after <= max(POLICY.looks)
            at_once = {ItemState.PENDING, ItemState.BLOCKED}
            assert (decision.state in at_once) == (not decision.after)


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("verdict", TRY_LATER)
def test_a_throttled_or_parked_call_leaves_the_item_as_it_was(
    verdict: Verdict, step: Step
) -> None:
    at = a_progress(step, source=1, attempts=7, lost=2, tries=5, looks=4, takeovers=2)

    decision = decide(CASE, at, an_answer(verdict), POLICY, 0.9)

    assert decision == GoOn(progress=at)


def test_what_is_ready_stays_ready() -> None:
    assert after(Step.READY, an_answer(Verdict.ABSENT)) == GoOn(progress=a_progress(Step.READY))


# --- bounded -----------------------------------------------------------------

COUNTING = [a for a in ANSWERS if a.verdict not in {*TRY_LATER, Verdict.NOT_SENT}]
WALKS = st.lists(st.sampled_from(COUNTING), min_size=1, max_size=9)
ANY_WALKS = st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=12)
STARTS = st.sampled_from([Step.RECHECK, Step.DELETE])
CASES = st.sampled_from([CASE, CHECKED])


@given(case=CASES, start=STARTS, answers=WALKS)
def test_every_item_comes_to_an_end(case: Case, start: Step, answers: list[Answer]) -> None:
    way = walked(start, answers, BOUND, case)

    assert isinstance(way[-1].decision, Settle)


@given(case=CASES, start=STARTS, answers=ANY_WALKS)
def test_no_item_is_sent_more_often_than_allowed(
    case: Case, start: Step, answers: list[Answer]
) -> None:
    way = walked(start, answers, BOUND, case)

    assert sum(map(sent, way)) <= POLICY.attempts


def test_a_delete_that_never_left_is_tried_for_ever() -> None:
    way = walked(Step.DELETE, [an_answer(Verdict.NOT_SENT)], BOUND)

    last = way[-1].decision
    assert isinstance(last, GoOn)
    assert (last.progress.attempts, last.progress.lost) == (0, 0)
    assert last.after <= POLICY.cap


def test_planning_outlives_any_outage() -> None:
    way = walked(Step.READ, [an_answer(Verdict.UNAVAILABLE), an_answer(Verdict.NOT_SENT)], BOUND)

    last = way[-1].decision
    assert isinstance(last, GoOn)
    assert last.progress.step is Step.READ
    assert last.after <= POLICY.cap


def test_an_item_is_given_up_after_its_attempts() -> None:
    way = walked(Step.DELETE, [an_answer(Verdict.UNAVAILABLE)], BOUND)

    assert len(way) == POLICY.attempts
    assert way[-1].decision == Settle(
        outcome=Outcome.FAILED_EXHAUSTED, reason="still there after 8 attempts, 0 takeovers"
    )


def test_three_takeovers_are_enough() -> None:
    assert after(Step.LOOK, THERE, takeovers=2, attempts=1, lost=1) != Settle(
        outcome=Outcome.FAILED_EXHAUSTED
    )
    given_up = after(Step.LOOK, THERE, takeovers=3, attempts=3, lost=3)

    assert isinstance(given_up, Settle)
    assert given_up.outcome is Outcome.FAILED_EXHAUSTED


# --- never guessed -----------------------------------------------------------


@given(case=CASES, start=STARTS, answers=ANY_WALKS)
def test_deleted_is_said_only_of_what_was_sent(
    case: Case, start: Step, answers: list[Answer]
) -> None:
    way = walked(start, answers, BOUND, case)

    end = way[-1].decision
    was_lost = any(
        sent(stage) and stage.answer.verdict is not Verdict.UNAVAILABLE for stage in way
    )
    if isinstance(end, Settle) and end.outcome is Outcome.DELETED:
        assert way[-1].answer.verdict is Verdict.DELETED or (was_lost and way[-1].before.lost)
    if isinstance(end, Settle) and end.outcome is Outcome.ALREADY_ABSENT:
        assert not way[-1].before.lost
        assert way[-1].answer.verdict is Verdict.ABSENT


@given(case=CASES, start=STARTS, answers=ANY_WALKS)
def test_a_lost_delete_is_looked_at_before_it_is_sent_again(
    case: Case, start: Step, answers: list[Answer]
) -> None:
    way = walked(start, answers, BOUND, case)

    for stage, following in pairwise(way):
        if sent(stage) and stage.answer.verdict in {Verdict.AMBIGUOUS, Verdict.SEEN}:
            assert following.before.step is Step.LOOK
        if stage.before.step is Step.LOOK and following.before.step is not Step.LOOK:
            assert is_there(CASE.seen, stage.answer)


@given(case=CASES, start=STARTS, answers=ANY_WALKS)
def test_unknown_takes_five_looks_that_could_not_tell(
    case: Case, start: Step, answers: list[Answer]
) -> None:
    way = walked(start, answers, BOUND, case)

    end = way[-1].decision
    if isinstance(end, Settle) and end.outcome is Outcome.UNKNOWN:
        looks = [stage for stage in way if stage.before.step is Step.LOOK]
        assert looks[-1].before.looks == 4
        silent = [stage.answer.verdict for stage in looks[-5 * POLICY.tries :]]
        assert not {Verdict.SEEN, Verdict.ABSENT} & set(silent)


def test_the_looks_are_spread_over_an_hour() -> None:
    way = walked(Step.DELETE, [an_answer(Verdict.AMBIGUOUS)], BOUND)

    waits = [
        stage.decision.after.total_seconds()
        for stage in way
        if isinstance(stage.decision, GoOn) and stage.decision.state is ItemState.VERIFYING
    ]
    assert waits == [10, 60, 600, 3600]
    assert way[-1].decision == Settle(outcome=Outcome.UNKNOWN, reason="5 looks could not tell")


# --- a delete ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.DELETED, Outcome.DELETED),
        (Verdict.ABSENT, Outcome.ALREADY_ABSENT),
        (Verdict.REFUSED, Outcome.FAILED_REFUSED),
        (Verdict.INVALID, Outcome.FAILED_INVALID),
    ],
)
def test_a_clear_answer_settles_a_delete(verdict: Verdict, outcome: Outcome) -> None:
    decision = after(Step.DELETE, an_answer(verdict))

    assert isinstance(decision, Settle)
    assert decision.outcome is outcome


def test_what_is_absent_after_a_lost_attempt_was_deleted_by_it() -> None:
    decision = after(Step.DELETE, an_answer(Verdict.ABSENT), attempts=1, lost=1)

    assert isinstance(decision, Settle)
    assert (decision.outcome, "lost" in decision.reason) == (Outcome.DELETED, True)


def test_what_ran_into_its_deadline_is_looked_at_only_after_a_while() -> None:
    late = replace(an_answer(Verdict.AMBIGUOUS), error_class="timeout")

    decision = after(Step.DELETE, late)

    assert isinstance(decision, GoOn)
    assert (decision.progress.step, decision.state) == (Step.LOOK, ItemState.VERIFYING)
    assert decision.after == timedelta(seconds=5)


@pytest.mark.parametrize("verdict", [Verdict.AMBIGUOUS, Verdict.SEEN])
def test_an_unclear_answer_to_a_delete_is_a_lost_attempt(verdict: Verdict) -> None:
    decision = after(Step.DELETE, an_answer(verdict), tries=3)

    expected = a_progress(Step.LOOK, attempts=1, lost=1)
    assert decision == GoOn(progress=expected)
    assert expected == lost_attempt(a_progress(Step.DELETE, tries=3))


def test_what_was_said_is_kept() -> None:
    said = an_answer(Verdict.REFUSED, message="has invoices")

    assert after(Step.DELETE, said) == Settle(
        outcome=Outcome.FAILED_REFUSED, reason="has invoices"
    )


# --- a look ------------------------------------------------------------------


@pytest.mark.parametrize("answer", [GONE, an_answer(Verdict.ABSENT)])
def test_what_a_look_does_not_find_was_deleted(answer: Answer) -> None:
    decision = after(Step.LOOK, answer, attempts=1, lost=1)

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.DELETED


def test_what_a_look_finds_is_tried_again() -> None:
    decision = after(Step.LOOK, THERE, attempts=1, lost=1, tries=2, looks=3)

    assert decision == GoOn(
        progress=a_progress(Step.DELETE, attempts=1, lost=1),
        after=timedelta(milliseconds=125),
        state=ItemState.DEFERRED,
    )


def test_what_a_look_finds_changed_is_spared() -> None:
    decision = after(Step.LOOK, CHANGED_NAME, attempts=1, lost=1)

    assert decision == Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)


def test_what_a_look_finds_is_left_alone_once_the_job_stops() -> None:
    decision = after(Step.LOOK, THERE, replace(CASE, stopping=True), attempts=1, lost=1)

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.UNPROCESSED


def test_a_child_is_looked_for_among_the_children() -> None:
    case = a_case(seen=a_child("7"))

    assert isinstance(after(Step.LOOK, THERE, case, lost=1), GoOn)
    assert isinstance(after(Step.LOOK, shows(a_seen()), case, lost=1), Settle)


def test_an_id_of_another_kind_is_another_thing() -> None:
    same_number = shows(a_seen(), children=(a_child("42"),))

    assert not is_there(a_seen("7"), shows(a_seen("42"), children=(a_child("7"),)))
    assert is_there(a_child("42"), same_number)


@pytest.mark.parametrize("answer", [THERE, STRANGER], ids=["there", "stranger"])
def test_what_a_look_finds_is_checked_again_before_it_is_tried_again(answer: Answer) -> None:
    decision = after(Step.LOOK, answer, CHECKED, attempts=1, lost=1, tries=2, looks=3)

    assert decision == GoOn(
        progress=a_progress(Step.RECHECK, attempts=1, lost=1),
        after=timedelta(milliseconds=125),
        state=ItemState.DEFERRED,
    )


# --- reading and checking again ----------------------------------------------


@pytest.mark.parametrize(("step", "then"), [(Step.READ, Step.READY), (Step.RECHECK, Step.DELETE)])
def test_every_source_is_read_in_turn(step: Step, then: Step) -> None:
    first = after(step, THERE, tries=4)
    second = after(step, THERE, source=1)

    assert first == GoOn(progress=a_progress(step, source=1))
    assert second == GoOn(progress=a_progress(then))


@pytest.mark.parametrize("step", [Step.READ, Step.RECHECK])
def test_what_is_not_there_to_be_read_was_absent_already(step: Step) -> None:
    decision = after(step, an_answer(Verdict.ABSENT))

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.ALREADY_ABSENT


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("step", [Step.READ, Step.RECHECK])
def test_a_list_below_a_project_that_does_not_exist_says_nothing_of_the_project(
    step: Step, lost: int
) -> None:
    none = an_answer(Verdict.ABSENT, message="Resource does not exist.")

    way = [after(step, none, source=1, lost=lost)]
    way += [after(step, THERE, source=0, looks=1, lost=lost)]
    way += [after(step, none, source=1, looks=1, lost=lost)]

    assert way == [
        GoOn(progress=a_progress(step, looks=1, lost=lost)),
        GoOn(progress=a_progress(step, source=1, looks=1, lost=lost)),
        Settle(outcome=Outcome.FAILED_PRECHECK, reason="Resource does not exist."),
    ]


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.INVALID])
@pytest.mark.parametrize("step", [Step.READ, Step.RECHECK])
def test_what_may_not_be_read_is_not_deleted(step: Step, verdict: Verdict) -> None:
    decision = after(step, an_answer(verdict, message="no"))

    assert decision == Settle(outcome=Outcome.FAILED_PRECHECK, reason="no")


def test_a_recheck_that_cannot_be_made_counts_as_no() -> None:
    way = walked(Step.RECHECK, [an_answer(Verdict.UNAVAILABLE)], BOUND)

    assert len(way) == POLICY.reads
    assert way[-1].decision == Settle(
        outcome=Outcome.FAILED_PRECHECK, reason="its state could not be read"
    )


def test_a_recheck_after_a_lost_attempt_that_finds_nothing_finds_it_deleted() -> None:
    decision = after(Step.RECHECK, an_answer(Verdict.ABSENT), attempts=1, lost=1)

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.DELETED


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (CHANGED_NAME, CHANGED),
        (shows(a_seen(created="2026-02-02T00:00:00Z")), CHANGED),
        (STRANGER, "not in the plan: task 8"),
    ],
)
def test_a_project_that_is_not_what_the_plan_showed_is_spared(answer: Answer, why: str) -> None:
    assert after(Step.RECHECK, answer) == Settle(outcome=Outcome.SKIPPED_CHANGED, reason=why)


APART = replace(CASE, seen=a_child("7", "comment"), apart=True)


def test_a_list_that_does_not_exist_any_more_does_not_show_that_a_comment_is_gone() -> None:
    none, there = an_answer(Verdict.ABSENT), shows(a_seen())
    at = {"attempts": 1, "lost": 1}

    first = after(Step.LOOK, none, APART, **at)
    gone = after(Step.LOOK, none, APART, source=1, **at)
    lives = after(Step.LOOK, there, APART, source=1, **at)
    last = after(Step.LOOK, there, APART, source=1, tries=POLICY.tries, looks=4, **at)

    assert first == GoOn(progress=a_progress(Step.LOOK, source=1, **at))
    assert gone == Settle(outcome=Outcome.DELETED, reason=BY_LOST)
    assert isinstance(lives, GoOn)
    assert lives.progress == a_progress(Step.LOOK, tries=1, **at)
    assert isinstance(last, Settle)
    assert last.outcome is Outcome.UNKNOWN


BEFORE, SINCE = "2026-01-05T10:00:00+0530", "2026-02-05T10:00:00+0530"


@pytest.mark.parametrize(
    ("now", "ended"),
    [
        (SINCE, True),
        (BEFORE, False),
        ("2026-01-05T04:30:00Z", False),
        ("2026-01-05T04:30:00.999Z", False),
        ("2026-01-05T04:30:01Z", True),
        ("", False),
    ],
)
def test_a_project_modified_since_the_plan_is_spared(now: str, *, ended: bool) -> None:
    case = replace(CASE, seen=a_seen(modified=BEFORE))

    decision = after(Step.RECHECK, shows(a_seen(modified=now)), case)

    spared = Settle(outcome=Outcome.SKIPPED_CHANGED, reason=MODIFIED)
    assert decision == spared if ended else isinstance(decision, GoOn)


@pytest.mark.parametrize(("touched", "attempts"), [(True, 0), (False, 1)])
def test_a_project_that_our_own_calls_may_have_modified_goes(
    attempts: int, *, touched: bool
) -> None:
    case = replace(CASE, seen=a_seen(modified=BEFORE), touched=touched)

    decision = after(Step.RECHECK, shows(a_seen(modified=SINCE)), case, attempts=attempts)

    assert isinstance(decision, GoOn)


def test_at_most_three_strangers_are_named() -> None:
    many = shows(a_seen(), children=tuple(a_child(str(number)) for number in range(10, 19)))

    decision = after(Step.RECHECK, many)

    assert decision == Settle(
        outcome=Outcome.SKIPPED_CHANGED, reason="not in the plan: task 10, task 11, task 12"
    )


@pytest.mark.parametrize("child", [a_child("8", kind="user"), a_child("8", goes_with_parent=True)])
def test_what_the_plan_does_not_cover_is_no_stranger(child: object) -> None:
    answer = shows(a_seen(), children=(child,))  # type: ignore[arg-type]  # parametrised values have no type

    assert isinstance(after(Step.RECHECK, answer), GoOn)


def test_what_the_plan_could_not_read_cannot_have_changed() -> None:
    case = replace(CASE, seen=a_seen(name="", created=""))

    assert isinstance(after(Step.RECHECK, THERE, case), GoOn)


def test_a_project_without_creation_time_is_told_by_its_name() -> None:
    case = replace(CASE, seen=replace(CASE.seen, created=""))

    assert isinstance(after(Step.RECHECK, THERE, case), GoOn)
    changed = after(Step.RECHECK, CHANGED_NAME, case)
    assert changed == Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)


def test_a_creation_time_that_is_not_shown_any_more_is_a_change() -> None:
    bare = shows(replace(CASE.seen, created=""))

    changed = after(Step.RECHECK, bare)

    assert changed == Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)


def test_another_projects_print_is_not_compared() -> None:
    other = shows(a_seen("43", name="Tunnel"))

    assert isinstance(after(Step.RECHECK, other), GoOn)


def test_a_target_is_its_kind_and_id() -> None:
    assert a_target("7", "task", "42") == a_child("7").target


def test_a_recheck_that_never_left_costs_nothing() -> None:
    way = walked(Step.RECHECK, [an_answer(Verdict.NOT_SENT)], BOUND)

    assert isinstance(way[-1].decision, GoOn)


@pytest.mark.parametrize("read_at", [None, EPOCH - timedelta(days=3)])
def test_a_project_read_too_long_ago_is_read_again_before_it_goes(
    read_at: datetime | None,
) -> None:
    progress = checked_again(a_progress(Step.DELETE, attempts=2, tries=3), read_at, EPOCH)

    assert progress == a_progress(Step.RECHECK, attempts=2)


def test_a_project_read_a_moment_ago_goes() -> None:
    progress = a_progress(Step.DELETE)

    assert checked_again(progress, EPOCH - CHECK_LASTS, EPOCH) == progress


@pytest.mark.parametrize("step", [Step.DELETE, Step.LOOK, Step.READ, Step.RECHECK])
@pytest.mark.parametrize("verdict", TRY_LATER)
def test_a_long_wait_before_another_step_leaves_the_item_as_it_was(
    verdict: Verdict, step: Step
) -> None:
    assert after(step, an_answer(verdict), CHECKED, source=1) == GoOn(
        progress=a_progress(step, source=1)
    )


def test_a_short_wait_leaves_what_was_read_fresh() -> None:
    decision = after(Step.DELETE, an_answer(Verdict.THROTTLED), CHECKED)

    assert decision == GoOn(progress=a_progress(Step.DELETE))


def test_a_delete_that_was_not_taken_is_checked_again_first() -> None:
    decision = after(Step.DELETE, an_answer(Verdict.UNAVAILABLE), CHECKED)

    assert isinstance(decision, GoOn)
    assert decision.progress == a_progress(Step.RECHECK, attempts=1)


# --- what no read shows ----------------------------------------------------------

BLIND = replace(CASE, can_look=False)


def test_a_lost_answer_about_what_no_read_shows_is_tried_again() -> None:
    decision = after(Step.DELETE, an_answer(Verdict.AMBIGUOUS), BLIND)

    assert isinstance(decision, GoOn)
    assert decision.progress == a_progress(Step.DELETE, attempts=1, lost=1)
    assert decision.state is ItemState.DEFERRED
    assert decide(BLIND, decision.progress, an_answer(Verdict.ABSENT), POLICY, 0) == Settle(
        outcome=Outcome.DELETED, reason="gone by an attempt whose answer was lost"
    )


def test_what_no_read_shows_is_unknown_once_its_attempts_are_used_up() -> None:
    way = walked(Step.DELETE, [an_answer(Verdict.AMBIGUOUS)], BOUND, BLIND)

    assert len(way) == POLICY.attempts
    assert isinstance(way[-1].decision, Settle)
    assert way[-1].decision.outcome is Outcome.UNKNOWN


def test_what_no_read_shows_is_not_tried_again_once_its_job_stops() -> None:
    decision = after(Step.DELETE, an_answer(Verdict.AMBIGUOUS), replace(BLIND, stopping=True))

    assert isinstance(decision, Settle)
    assert decision.outcome is Outcome.UNKNOWN
