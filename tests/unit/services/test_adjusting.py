"""What of a job may be set anew."""

import json

import pytest

from tests.builders import EPOCH, a_job
from worker.domain.errors import InvalidInput, Refused
from worker.domain.states import JobState
from worker.ports import Job, Knobs, Note
from worker.services.adjusting import adjust


def test_a_running_jobs_priority_and_hours_are_set_and_said() -> None:
    note = adjust(actor="ada", priority=9, hours="22:00-06:00")(a_job(), EPOCH)

    assert isinstance(note, Note)
    assert note.columns["priority"] == 9
    assert json.loads(str(note.columns["knobs"])) == {"hours": "22:00-06:00 UTC"}
    assert note.why == "set priority 5 to 9, hours always to 22:00-06:00 UTC"


def test_always_takes_the_hours_away() -> None:
    job = a_job(knobs=Knobs(hours="22:00-06:00 UTC"))

    note = adjust(actor="ada", hours="always")(job, EPOCH)

    assert isinstance(note, Note)
    assert json.loads(str(note.columns["knobs"])) == {"hours": ""}


def test_what_is_so_already_is_no_change() -> None:
    assert adjust(actor="ada", priority=5)(a_job(), EPOCH) is None


@pytest.mark.parametrize(
    "job", [a_job(JobState.SUCCEEDED), a_job(stopping="cancelled")], ids=["final", "stopping"]
)
def test_a_job_that_is_over_cannot_be_set(job: Job) -> None:
    with pytest.raises(Refused, match="nothing of it can be set"):
        adjust(actor="ada", priority=9)(job, EPOCH)


@pytest.mark.parametrize("wrong", [{}, {"priority": 10}, {"hours": "tomorrow"}])
def test_what_cannot_be_set_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        adjust(actor="ada", **wrong)  # type: ignore[arg-type]  # that is the point
