"""What of a job may be set anew."""

import json

import pytest

from tests.builders import EPOCH, a_job
from worker.domain.errors import InvalidInput, Refused
from worker.domain.states import JobState
from worker.ports import Job, Knobs, Note
from worker.services.adjusting import Wanted, adjust


def knobs_after(job: Job, wanted: Wanted) -> tuple[dict[str, object], str]:
    note = adjust(actor="ada", wanted=wanted)(job, EPOCH)
    assert isinstance(note, Note)
    return json.loads(str(note.columns["knobs"])), note.why


def test_a_running_jobs_priority_and_hours_are_set_and_said() -> None:
    wanted = Wanted(priority=9, hours="22:00-06:00")
    note = adjust(actor="ada", wanted=wanted)(a_job(), EPOCH)

    assert isinstance(note, Note)
    assert note.columns["priority"] == 9
    assert json.loads(str(note.columns["knobs"]))["hours"] == "22:00-06:00 UTC"
    assert note.why == "set priority 5 to 9, hours always to 22:00-06:00 UTC"


def test_always_takes_the_hours_away() -> None:
    job = a_job(knobs=Knobs(hours="22:00-06:00 UTC"))

    knobs, _ = knobs_after(job, Wanted(hours="always"))

    assert knobs["hours"] == ""


def test_shares_are_set_and_said_and_hours_stay() -> None:
    job = a_job(knobs=Knobs(hours="22:00-06:00 UTC", day_share=0.8))

    knobs, why = knobs_after(job, Wanted(rate_share="0.3", day_share="0.5"))

    assert knobs == {"hours": "22:00-06:00 UTC", "rate_share": 0.3, "day_share": 0.5}
    assert why == "set rate share default to 0.3, day share 0.8 to 0.5"


def test_default_takes_a_share_away() -> None:
    knobs, why = knobs_after(a_job(knobs=Knobs(rate_share=0.3)), Wanted(rate_share="default"))

    assert knobs["rate_share"] is None
    assert why == "set rate share 0.3 to default"


def test_what_is_so_already_is_no_change() -> None:
    wanted = Wanted(priority=5, rate_share="default")

    assert adjust(actor="ada", wanted=wanted)(a_job(), EPOCH) is None


@pytest.mark.parametrize(
    "job", [a_job(JobState.SUCCEEDED), a_job(stopping="cancelled")], ids=["final", "stopping"]
)
def test_a_job_that_is_over_cannot_be_set(job: Job) -> None:
    with pytest.raises(Refused, match="nothing of it can be set"):
        adjust(actor="ada", wanted=Wanted(priority=9))(job, EPOCH)


@pytest.mark.parametrize(
    "wrong",
    [
        Wanted(),
        Wanted(priority=10),
        Wanted(hours="tomorrow"),
        Wanted(rate_share="0"),
        Wanted(rate_share="nan"),
        Wanted(day_share="1.1"),
        Wanted(day_share="half"),
    ],
)
def test_what_cannot_be_set_is_refused(wrong: Wanted) -> None:
    with pytest.raises(InvalidInput):
        adjust(actor="ada", wanted=wrong)
