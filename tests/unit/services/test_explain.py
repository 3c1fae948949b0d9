"""What `explain` says of a job: who can move it, and what was decided about it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.builders import EPOCH, a_job, a_plan, an_item
from worker.domain.outcomes import Outcome
from worker.domain.plan import Finding, FindingLevel
from worker.domain.states import JobState, Waiting
from worker.ports import AccountRow, Counts, WaitingOn
from worker.services.explain import Around, explain_item, explain_job

ACCOUNT = AccountRow(name="acme")
AROUND = Around(account=ACCOUNT, workers=1, now=EPOCH)
BUSY = replace(ACCOUNT, lease_owner="w1", lease_until=EPOCH + timedelta(seconds=9))
COUNTS = Counts(total=3, open=3, by_outcome={})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An audit entry, as far as it is told."""

    at: datetime = EPOCH
    event: str = "job.moved"
    verdict: str = ""
    outcome: str | None = None
    http_status: int | None = None
    provider_code: str = ""
    message: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    actor: str = "ada"


def said(waits: Waiting, around: Around = AROUND) -> str:
    waiting = WaitingOn(code=waits, sentence="it waits", since=EPOCH)
    return "\n".join(explain_job(a_job(JobState.RUNNING, waiting_on=waiting), COUNTS, around, []))


def test_work_that_waits_for_a_worker_is_taken_by_the_next() -> None:
    assert "The next worker takes it." in said(Waiting.WORKER)


def test_of_work_that_has_its_worker_no_other_is_promised() -> None:
    text = said(Waiting.WORKER, replace(AROUND, account=BUSY))

    assert "The account is being worked on by w1." in text
    assert "The next worker takes it." not in text


@pytest.mark.parametrize("waits", sorted(set(Waiting)))
def test_each_reason_says_who_or_what_moves_it_and_since_when(waits: Waiting) -> None:
    _, _, reason, mover, *_ = said(waits).splitlines()

    why = "it waits" if waits is not Waiting.WORKER else "work is there, and no worker has it"
    assert reason == f"It waits on {waits}: {why} (since {EPOCH:%Y-%m-%d %H:%M:%S} UTC)."
    assert mover


@pytest.mark.parametrize(
    ("level", "told"),
    [
        (FindingLevel.ASK, "A person is asked, because 6 projects are too many."),
        (FindingLevel.REFUSAL, "It cannot be confirmed as it is: 6 projects are too many."),
    ],
)
def test_a_plan_that_a_guard_holds_up_says_by_what(level: FindingLevel, told: str) -> None:
    found = Finding(level=level, code="max_percent", text="6 projects are too many")
    waits = WaitingOn(code=Waiting.CONFIRMATION, sentence="waits for its word")
    job = a_job(JobState.AWAITING_CONFIRMATION, waiting_on=waits, plan=a_plan(findings=(found,)))

    assert told in explain_job(job, COUNTS, AROUND, [])


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.FAILED_REFUSED, "It ended failed_refused: no (provider's code 7)."),
        (Outcome.DELETED, "It ended deleted: no."),
    ],
)
def test_the_code_of_the_provider_is_told_of_what_failed(outcome: Outcome, told: str) -> None:
    item = replace(an_item(), outcome=outcome, reason="no", provider_code="7")

    assert told in explain_item(item, a_job(JobState.FAILED), AROUND, [])


def test_where_no_worker_is_alive_that_is_said() -> None:
    assert "No worker is alive" in said(Waiting.RATE_LIMIT, replace(AROUND, workers=0))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", "Its plan could not be made within 24 hours; nothing was deleted."),
        ("no end", "Its plan could not be made: no end. Nothing was deleted."),
    ],
)
def test_a_plan_that_failed_says_why(reason: str, told: str) -> None:
    job = a_job(JobState.PLAN_FAILED, stop_reason=reason)

    assert told in explain_job(job, COUNTS, AROUND, [])


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("paused", "job.moved running to paused  by ada"),
        ("for lunch", "job.moved running to paused: for lunch  by ada"),
        ("", "job.moved running to paused  by ada"),
    ],
)
def test_a_move_is_told_with_its_reason_once(message: str, told: str) -> None:
    moved = Entry(message=message, detail={"from": "running", "to": "paused"})

    lines = explain_job(a_job(JobState.PAUSED), COUNTS, AROUND, [moved])

    assert lines[-1] == f"  {EPOCH:%Y-%m-%d %H:%M:%S} UTC  {told}"
