from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from worker.cli.exits import exit_code_of
from worker.domain.outcomes import Outcome
from worker.domain.states import FINAL, JobState, Waiting
from worker.ports import Counts, Job, JobOptions, WaitingOn, Who

EPOCH = datetime(2026, 11, 21, 18, tzinfo=UTC)


def a_job(state: JobState, *, waits: Waiting | None = None, dry_run: bool = False) -> Job:
    waiting = None if waits is None else WaitingOn(code=waits, sentence="…")
    return Job(
        id="j-1",
        key=None,
        account="acme",
        provider="zoho_books",
        action="delete_projects",
        options=JobOptions(),
        dry_run=dry_run,
        state=state,
        waiting_on=waiting,
        reason="closed",
        who=Who(name="ada"),
        priority=5,
        parent_job_id=None,
        created_at=EPOCH,
        started_at=None,
        finished_at=None,
        planned_at=None,
        start_at=None,
    )


def counts(by_outcome: Mapping[Outcome, int], still_open: int = 0) -> Counts:
    total = sum(by_outcome.values()) + still_open
    return Counts(total=total, open=still_open, by_outcome=by_outcome)


O, S = Outcome, JobState  # noqa: E741  a table below


@pytest.mark.parametrize(
    ("state", "by_outcome", "code"),
    [
        (S.SUCCEEDED, {O.DELETED: 3, O.SKIPPED_PROTECTED: 1}, 0),
        (S.SUCCEEDED, {O.UNPROCESSED: 3}, 0),  # a dry run
        (S.PARTIALLY_SUCCEEDED, {O.DELETED: 3, O.FAILED_REFUSED: 1}, 3),
        (S.FAILED, {O.FAILED_REFUSED: 4}, 3),
        (S.PARTIALLY_SUCCEEDED, {O.DELETED: 3, O.UNKNOWN: 1, O.FAILED_REFUSED: 9}, 6),
        (S.FAILED, {O.UNKNOWN: 1}, 6),
        (S.FAILED, {O.FAILED_EXHAUSTED: 5, O.UNPROCESSED: 9}, 7),  # a breaker
        (S.CANCELLED, {O.DELETED: 3, O.UNPROCESSED: 1}, 7),
        (S.PAUSED, {}, 7),
        (S.EXPIRED, {O.UNPROCESSED: 3}, 5),
        (S.REJECTED, {O.UNPROCESSED: 3}, 5),
        (S.PLAN_FAILED, {O.UNPROCESSED: 3}, 9),
        (S.RUNNING, {O.FAILED_REFUSED: 1}, 0),
        (S.AWAITING_CONFIRMATION, {}, 0),
    ],
)
def test_a_state_has_its_exit_code(
    state: JobState, by_outcome: dict[Outcome, int], code: int
) -> None:
    assert exit_code_of(a_job(state), counts(by_outcome)) == code


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL - {JobState.PAUSED}))
def test_a_live_job_that_waits_on_credentials_is_4(state: JobState) -> None:
    assert exit_code_of(a_job(state, waits=Waiting.CREDENTIALS), counts({}, 1)) == 4
