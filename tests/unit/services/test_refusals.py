"""A person who is told no is told what to do: each refusal names a command."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import EPOCH, a_job, some_rules
from worker.domain.errors import Refused
from worker.domain.states import JobState
from worker.services.adjusting import Wanted, adjust
from worker.services.control import approve, cancel, confirm, pause, reject, resume

RULES = some_rules()
SOON = EPOCH + timedelta(hours=1)
ON_STOPPING: dict[str, Callable[..., object]] = {
    "confirm": confirm(RULES, actor="ada", word="delete 3 acme 9f3a", yes=False),
    "approve": approve(RULES, actor="bob"),
    "reject": reject(actor="bob", why=""),
    "pause": pause(actor="ada"),
    "set": adjust(actor="ada", wanted=Wanted(priority=9)),
}
ON_ENDED = {**ON_STOPPING, "resume": resume(actor="ada"), "cancel": cancel(actor="ada")}


@pytest.mark.parametrize("verb", ON_ENDED)
def test_what_cannot_be_done_to_an_ended_job_names_the_next_command(verb: str) -> None:
    job = a_job(JobState.SUCCEEDED)

    with pytest.raises(Refused) as told:
        ON_ENDED[verb](job, SOON)

    assert told.value.fix.startswith("bulkdel ")
    assert job.id in told.value.fix


@pytest.mark.parametrize("verb", ON_STOPPING)
def test_what_cannot_be_done_to_a_job_being_stopped_names_the_next_command(verb: str) -> None:
    job = replace(a_job(JobState.RUNNING), stopping="cancelled")

    with pytest.raises(Refused) as told:
        ON_STOPPING[verb](job, SOON)

    assert told.value.fix == f"bulkdel explain {job.id} says how it stands"
