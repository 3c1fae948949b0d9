"""When an old plan is compared with the listing, and what a page of it spares."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.builders import CATALOGUE, EPOCH, a_job, a_progress, a_seen, an_item, shows
from worker.domain.breakers import Tally
from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Action, Call
from worker.domain.outcomes import Outcome
from worker.domain.plan import Protection
from worker.domain.retry import RetryPolicy
from worker.domain.states import JobState
from worker.domain.steps import Settle, Step
from worker.ports import Job, JobOptions, Knobs
from worker.services.choose import Work
from worker.services.refresh import again, is_old, refreshed
from worker.services.results import Rules

RULES = Rules(catalogue=CATALOGUE, protection=Protection(), policy=RetryPolicy())
PAGE = Work(job_id="j-1", call=Call(action=Action.LIST))
UNREAD = JobOptions(recheck=False)
SHOWN = a_seen("42", modified="2026-01-01T10:00:00Z")
MODIFIED = replace(SHOWN, modified="2026-01-02T10:00:00Z")


def after(hours: float) -> datetime:
    return EPOCH + timedelta(hours=hours)


def at_work(bulk: Bulk | None = None, **fields: Any) -> Job:  # noqa: ANN401  any field of a job
    """A job that began ten minutes after its plan, and reads nothing before it deletes."""
    job = a_job(options=UNREAD, started_at=after(1 / 6), bulk=bulk or Bulk())
    return replace(job, **fields)


def resumed(hours: float, stage: Stage = Stage.NONE, **fields: Any) -> Bulk:  # noqa: ANN401  any field of it
    return Bulk(stage=stage, went_on_at=after(hours), **fields)


def test_a_job_that_runs_without_a_break_is_not_compared_however_long_it_takes() -> None:
    assert not is_old(at_work(), after(100))


def test_a_job_that_begins_long_after_its_plan_is_compared() -> None:
    assert is_old(at_work(started_at=after(2)), after(2))
    assert is_old(at_work(started_at=after(0.5), start_at=after(2)), after(2))


@pytest.mark.parametrize("stage", sorted(set(Stage) - {Stage.PROOF}))
def test_a_job_that_goes_on_long_after_its_plan_is_compared(stage: Stage) -> None:
    assert is_old(at_work(resumed(3, stage)), after(3))


def test_a_proof_under_way_comes_first() -> None:
    assert not is_old(at_work(resumed(3, Stage.PROOF)), after(3))


def test_a_short_pause_of_what_was_seen_a_while_ago_asks_for_nothing() -> None:
    assert not is_old(at_work(resumed(0.9)), after(3))
    assert not is_old(at_work(resumed(5.9, compared_at=after(5))), after(9))


def test_a_comparison_is_made_once_for_a_break() -> None:
    job = at_work(resumed(3))

    compared = replace(job, bulk=again(job, after(3.1)))

    assert not is_old(compared, after(20))


def test_every_long_break_asks_for_another() -> None:
    assert is_old(at_work(resumed(9, compared_at=after(3))), after(9))


def test_a_comparison_that_stood_still_itself_begins_anew() -> None:
    half = Bulk(stage=Stage.REFRESH, then=Stage.ON, cursor="4", compared_at=EPOCH)

    anew = again(at_work(half), after(3))

    assert anew == replace(half, cursor="", compared_at=after(3))


def test_the_rest_after_a_canary_is_a_break() -> None:
    job = at_work(canary_until=after(4))

    assert not is_old(job, after(3))
    assert is_old(job, after(4))


def test_hours_are_waited_for_and_compared_when_they_first_open() -> None:
    opens = after(5)
    job = at_work(knobs=Knobs(hours=f"{opens:%H:%M}-{after(7):%H:%M} UTC"))

    assert not is_old(job, after(4))
    assert is_old(job, opens)
    compared = replace(job, bulk=again(job, opens))
    assert not is_old(compared, opens + timedelta(days=1))


@pytest.mark.parametrize(
    "fields",
    [
        {"stopping": "cancelled"},
        {"options": JobOptions(recheck=True)},
        {"options": JobOptions(recheck=False, keep_projects=True)},
        {"state": JobState.PAUSED},
        {"state": JobState.PLANNING},
        {"started_at": None},
        {"planned_at": None},
    ],
    ids=str,
)
def test_what_deletes_no_project_unread_is_not_compared(fields: dict[str, Any]) -> None:
    assert not is_old(at_work(resumed(3), **fields), after(3))


def test_a_job_that_looks_up_lost_answers_may_delete_again_and_is_compared() -> None:
    assert is_old(at_work(resumed(3), state=JobState.VERIFYING), after(3))


def spared_by(job: Job, **progress: Any) -> list[Outcome]:  # noqa: ANN401  any field of it
    """What becomes of a project that the listing shows modified."""
    item = an_item(seen=SHOWN, progress=a_progress(**({"step": Step.DELETE} | progress)))
    done = refreshed(PAGE, shows(MODIFIED), job=job, matched={"42": item}, rules=RULES)
    return [c.decision.outcome for c in done.changes if isinstance(c.decision, Settle)]


BELOW = {
    "children": JobOptions(recheck=False, cascade=("task",)),
    "timer": JobOptions(recheck=False, stop_timer=True),
}


@pytest.mark.parametrize("options", [UNREAD, *BELOW.values()], ids=["alone", *BELOW])
def test_what_others_modified_is_spared(options: JobOptions) -> None:
    assert spared_by(at_work(options=options)) == [Outcome.SKIPPED_CHANGED]


@pytest.mark.parametrize("options", BELOW.values(), ids=BELOW)
def test_what_our_own_calls_may_have_modified_goes_on(options: JobOptions) -> None:
    assert spared_by(at_work(options=options, tally=Tally(good=1))) == []


@pytest.mark.parametrize(
    "options", [UNREAD, JobOptions(recheck=False, cascade=("task",), background=True)], ids=str
)
def test_calls_about_other_projects_modify_none(options: JobOptions) -> None:
    gone = at_work(options=options, tally=Tally(good=1))

    assert spared_by(gone) == [Outcome.SKIPPED_CHANGED]
    assert spared_by(gone, attempts=1) == []


@pytest.mark.parametrize("step", [Step.LOOK, Step.PROVE])
def test_what_is_not_proven_yet_is_not_compared(step: Step) -> None:
    assert spared_by(at_work(), step=step) == []
