"""What a person may do to a job, in every state it can be in."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import EPOCH, a_job, a_plan, some_rules
from worker.domain.errors import Refused
from worker.domain.plan import Finding, FindingLevel
from worker.domain.states import FINAL, JOB_MOVES, PAUSABLE, JobState, Waiting
from worker.ports import Job, JobOptions, Move, Note
from worker.services.control import (
    PLAN_LIVES,
    ConfirmRules,
    cancel,
    confirm,
    overdue,
    pause,
    resume,
)

WORD = "delete 3 acme 9f3a"
RULES = some_rules()
UNCONFIRMABLE = sorted(set(JobState) - {JobState.AWAITING_CONFIRMATION})
SOON = EPOCH + timedelta(hours=1)
LATE = EPOCH + PLAN_LIVES + timedelta(seconds=1)


def waiting(**fields: object) -> Job:
    return replace(a_job(JobState.AWAITING_CONFIRMATION), **fields)  # type: ignore[arg-type]  # the test says what it sets


def by_word(job: Job, word: str | None = WORD, *, yes: bool = False) -> Move:
    what = confirm(RULES, actor="ada", word=word, yes=yes)(job, SOON)
    assert isinstance(what, Move)
    return what


# --- confirm -----------------------------------------------------------------


@pytest.mark.parametrize("word", [WORD, f" {WORD}\n"])
def test_the_word_lets_a_plan_run(word: str) -> None:
    move = by_word(waiting(), word)

    assert (move.to, move.actor, move.why) == ("scheduled", "ada", "confirmed by its word")
    assert move.columns == {"start_at": SOON}
    assert move.waiting is not None
    assert (move.waiting.code, move.waiting.next_wake) == (Waiting.GRACE, SOON)


@pytest.mark.parametrize("state", UNCONFIRMABLE)
def test_only_a_plan_that_waits_for_its_word_can_be_confirmed(state: JobState) -> None:
    with pytest.raises(Refused):
        confirm(RULES, actor="ada", word=WORD, yes=False)(a_job(state), SOON)


@pytest.mark.parametrize("yes", [False, True])
@pytest.mark.parametrize("word", ["", "yes", WORD.upper(), "delete 4 acme 9f3a", f"{WORD} x"])
def test_another_word_is_refused_even_with_a_yes(word: str, *, yes: bool) -> None:
    with pytest.raises(Refused, match="not the word") as refused:
        by_word(waiting(), word, yes=yes)

    assert WORD not in refused.value.fix


def test_a_yes_is_enough_for_a_small_plan() -> None:
    move = by_word(waiting(plan=a_plan(items=10)), None, yes=True)

    assert (move.to, move.why) == (JobState.SCHEDULED, "confirmed by yes")


@pytest.mark.parametrize(("items", "yes"), [(11, True), (1, False)])
def test_without_a_yes_or_above_the_limit_it_takes_the_word(items: int, *, yes: bool) -> None:
    with pytest.raises(Refused, match="takes its word"):
        by_word(waiting(plan=a_plan(items=items)), None, yes=yes)


@pytest.mark.parametrize("planned_at", [None, SOON - PLAN_LIVES - timedelta(seconds=1)])
def test_a_plan_too_old_to_be_agreed_to_is_refused(planned_at: object) -> None:
    with pytest.raises(Refused, match="24 hours"):
        by_word(waiting(planned_at=planned_at))


def test_a_plan_over_a_guard_is_refused_whatever_is_typed() -> None:
    guard = Finding(level=FindingLevel.REFUSAL, code="max_items", text="too many")

    with pytest.raises(Refused, match="too many"):
        by_word(waiting(plan=a_plan(findings=(guard,))))


@pytest.mark.parametrize("level", [FindingLevel.INFO, FindingLevel.WARNING])
def test_a_warning_stops_nobody(level: FindingLevel) -> None:
    finding = Finding(level=level, code="x", text="look")

    assert by_word(waiting(plan=a_plan(findings=(finding,)))).to is JobState.SCHEDULED


@pytest.mark.parametrize(("items", "minutes"), [(500, 0), (501, 15)])
def test_a_large_plan_has_a_grace_period(items: int, minutes: int) -> None:
    move = by_word(waiting(plan=a_plan(items=items)))

    assert move.columns == {"start_at": SOON + timedelta(minutes=minutes)}


@pytest.mark.parametrize(("hours", "start"), [(-1, SOON), (2, SOON + timedelta(hours=2))])
def test_a_plan_does_not_start_before_its_time(hours: int, start: object) -> None:
    move = by_word(waiting(start_at=SOON + timedelta(hours=hours)))

    assert move.columns == {"start_at": start}


@pytest.mark.parametrize(
    "state", [JobState.SCHEDULED, JobState.RUNNING, JobState.VERIFYING, JobState.SUCCEEDED]
)
def test_a_yes_the_worker_gave_already_does_nothing_more(state: JobState) -> None:
    job = a_job(state, options=JobOptions(auto_confirm=True))

    assert confirm(RULES, actor="ada", word=None, yes=True)(job, SOON) is None


def test_a_cancelled_plan_cannot_be_confirmed() -> None:
    with pytest.raises(Refused, match="is being stopped"):
        by_word(waiting(stopping="cancelled"))


def test_an_incomplete_plan_cannot_be_confirmed() -> None:
    with pytest.raises(Refused, match="is not complete"):
        by_word(waiting(plan=a_plan(complete=False)))


# --- pause and resume --------------------------------------------------------


@pytest.mark.parametrize("state", sorted(PAUSABLE))
def test_a_pause_remembers_where_it_stopped(state: JobState) -> None:
    move = pause(actor="ada")(a_job(state), SOON)

    assert isinstance(move, Move)
    assert (move.to, move.columns) == (JobState.PAUSED, {"paused_from": state.value})
    assert move.waiting is not None
    assert "bulkdel resume j-1" in move.waiting.sentence


def test_a_plan_made_for_another_place_is_not_carried_out_here() -> None:
    rules = ConfirmRules(
        auto_confirm_max=10, grace_above=500, grace=timedelta(0), place="zoho_books https://one 9"
    )
    job = a_job(JobState.AWAITING_CONFIRMATION, planned_at=EPOCH, place="zoho_books https://one 1")

    with pytest.raises(Refused, match="the plan was made for zoho_books https://one 1"):
        confirm(rules, actor="ada", word=job.plan.word, yes=False)(job, SOON)


def test_a_guard_says_why_it_paused() -> None:
    move = pause(actor="w1", why="the provider redirects")(a_job(), SOON)

    assert isinstance(move, Move)
    assert move.why == "the provider redirects"
    assert move.waiting is not None
    assert move.waiting.sentence.startswith("the provider redirects; ")


def test_a_paused_job_stays_paused() -> None:
    assert pause(actor="ada")(a_job(JobState.PAUSED), SOON) is None


@pytest.mark.parametrize("state", sorted(set(JobState) - PAUSABLE - {JobState.PAUSED}))
def test_other_jobs_cannot_be_paused(state: JobState) -> None:
    with pytest.raises(Refused, match="cannot be paused"):
        pause(actor="ada")(a_job(state), SOON)


@pytest.mark.parametrize("state", sorted(PAUSABLE))
def test_a_resumed_job_goes_on_where_it_stopped(state: JobState) -> None:
    move = resume(actor="ada")(a_job(JobState.PAUSED, paused_from=state), SOON)

    assert isinstance(move, Move)
    assert (move.to, move.columns) == (state, {"paused_from": ""})
    assert move.to in JOB_MOVES[JobState.PAUSED]


def test_a_pause_nobody_remembers_goes_on_running() -> None:
    move = resume(actor="ada")(a_job(JobState.PAUSED), SOON)

    assert isinstance(move, Move)
    assert move.to is JobState.RUNNING


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.PAUSED}))
def test_only_a_paused_job_is_resumed(state: JobState) -> None:
    with pytest.raises(Refused, match="not paused"):
        resume(actor="ada")(a_job(state), SOON)


@pytest.mark.parametrize("end", [JobState.PLAN_FAILED, JobState.SUCCEEDED])
def test_what_is_being_stopped_cannot_be_paused_on_the_way(end: JobState) -> None:
    job = a_job(JobState.PLANNING, stopping=end.value)

    with pytest.raises(Refused, match=f"being stopped \\({end}\\)"):
        pause(actor="ada")(job, SOON)


# --- cancel ------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(FINAL))
def test_what_has_ended_cannot_be_cancelled(state: JobState) -> None:
    with pytest.raises(Refused, match=f"is {state} already"):
        cancel(actor="ada")(a_job(state), SOON)


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL - {JobState.PAUSED}))
def test_a_cancelled_job_is_brought_to_its_end(state: JobState) -> None:
    note = cancel(actor="ada")(a_job(state), SOON)

    assert isinstance(note, Note)
    assert (note.actor, note.columns) == ("ada", {"stopping": "cancelled"})
    assert note.waiting is not None
    assert "being cancelled" in note.waiting.sentence
    assert JobState.CANCELLED in JOB_MOVES[state]


@pytest.mark.parametrize("state", sorted(PAUSABLE))
def test_a_paused_job_is_woken_to_be_ended(state: JobState) -> None:
    move = cancel(actor="ada")(a_job(JobState.PAUSED, paused_from=state), SOON)

    assert isinstance(move, Move)
    assert (move.to, move.columns) == (state, {"stopping": "cancelled"})


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL))
def test_cancelling_twice_does_no_more(state: JobState) -> None:
    assert cancel(actor="ada")(a_job(state, stopping="cancelled"), SOON) is None


def test_a_paused_job_that_is_cancelled_says_what_it_waits_for() -> None:
    move = cancel(actor="ada")(a_job(JobState.PAUSED), SOON)

    assert isinstance(move, Move)
    assert move.waiting is not None
    assert move.waiting.code is Waiting.WORKER


# --- overdue -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "end"),
    [
        (JobState.PLANNING, JobState.PLAN_FAILED),
        (JobState.AWAITING_CONFIRMATION, JobState.EXPIRED),
        (JobState.AWAITING_APPROVAL, JobState.EXPIRED),
    ],
)
def test_what_nobody_saw_through_in_a_day_is_ended(state: JobState, end: JobState) -> None:
    job = a_job(state, planned_at=None if state is JobState.PLANNING else EPOCH)

    note = overdue(job, LATE)

    assert isinstance(note, Note)
    assert note.columns == {"stopping": end.value}
    assert end in JOB_MOVES[state]
    assert overdue(job, EPOCH + PLAN_LIVES) is None


@pytest.mark.parametrize(
    "state",
    sorted(
        set(JobState)
        - {JobState.PLANNING, JobState.AWAITING_CONFIRMATION, JobState.AWAITING_APPROVAL}
    ),
)
def test_nothing_else_is_ever_overdue(state: JobState) -> None:
    assert overdue(a_job(state), LATE) is None


@pytest.mark.parametrize("state", JobState)
def test_what_is_being_stopped_is_not_stopped_again(state: JobState) -> None:
    assert overdue(a_job(state, stopping="cancelled"), LATE) is None
