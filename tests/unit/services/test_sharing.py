"""How the jobs of an account share its calls."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_job, an_item
from worker.domain.calls import Action, Call
from worker.ports import Job
from worker.services.choose import Work
from worker.services.sharing import shared_out

STARTS = st.floats(min_value=0, max_value=1, exclude_max=True)


def works_of(job: str, number: int) -> list[Work]:
    call = Call(action=Action.LIST)
    return [Work(job_id=job, call=call, items=(an_item(n),)) for n in range(number)]


def found(*numbers: int, priorities: Sequence[int] = ()) -> list[tuple[Job, list[Work]]]:
    given_ = priorities or [5] * len(numbers)
    return [
        (replace(a_job(id=f"j-{n}"), priority=priority), works_of(f"j-{n}", number))
        for n, (number, priority) in enumerate(zip(numbers, given_, strict=True))
    ]


def order(*numbers: int, start: float = 0, priorities: Sequence[int] = ()) -> str:
    """The jobs whose calls leave, by their numbers."""
    every = shared_out(found(*numbers, priorities=priorities), start)
    return "".join(work.job_id[-1] for work in every)


def test_the_job_with_least_left_has_half_and_its_turn() -> None:
    assert order(6, 2) == "11000000"
    assert order(6, 4) == "11101000" + "00"


def test_a_higher_priority_comes_before_less_that_is_left() -> None:
    assert order(6, 2, priorities=(7, 5)) == "00010001"


@given(numbers=st.lists(st.integers(0, 40), max_size=6), start=STARTS)
def test_every_call_leaves_once_and_those_of_a_job_in_their_order(
    numbers: list[int], start: float
) -> None:
    jobs = found(*numbers)

    shared = shared_out(jobs, start)

    for job, works in jobs:
        assert [work for work in shared if work.job_id == job.id] == works
    assert len(shared) == sum(numbers)


@given(jobs=st.integers(1, 6), start=STARTS)
def test_no_job_has_less_than_its_part_of_the_turns(jobs: int, start: float) -> None:
    first = order(*[60] * jobs, start=start)[: 2 * jobs * 5]

    counted = Counter(first)

    assert len(counted) == jobs
    assert min(counted.values()) >= 5


def test_one_permit_at_a_time_goes_to_every_job_now_and_then() -> None:
    firsts = Counter(order(9, 9, 9, start=n / 60)[0] for n in range(60))

    assert firsts == {"0": 40, "1": 10, "2": 10}
