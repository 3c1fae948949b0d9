"""What a call carries of its job's choices."""

import pytest

from tests.builders import a_job, a_target
from worker.domain.calls import Action, Call
from worker.ports import JobOptions
from worker.services.choices import NO_FILTERS, selection_of, with_options
from worker.services.choose import Work

JOB = a_job(options=JobOptions(provider_options=(("raw", "true"),)))


def a_work(action: Action) -> Work:
    return Work(job_id="j-1", call=Call(action=action, targets=(a_target(),)))


def test_a_deletion_carries_the_options_of_its_job() -> None:
    assert with_options(a_work(Action.DELETE), JOB).call.options == (("raw", "true"),)


@pytest.mark.parametrize("action", [Action.READ, Action.LIST])
def test_a_read_carries_none_for_they_would_change_what_is_read(action: Action) -> None:
    assert with_options(a_work(action), JOB) == a_work(action)


def test_a_job_with_ids_asks_for_everything_and_filters_nothing() -> None:
    assert selection_of(a_job(), ()) == NO_FILTERS
