"""The canary: how many go first, and what speaks against the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.canary import canary_size, canary_verdict
from worker.domain.outcomes import Bucket, Outcome

BAD = [o for o in Outcome if o.bucket in {Bucket.FAILED, Bucket.UNKNOWN}]


@pytest.mark.parametrize(
    ("projects", "size"), [(0, 0), (100, 0), (101, 5), (499, 5), (600, 6), (10_000, 100)]
)
def test_one_in_a_hundred_goes_first_and_at_least_five(projects: int, size: int) -> None:
    assert canary_size(projects, above=100, percent=1, least=5) == size


def test_a_canary_is_never_larger_than_the_job() -> None:
    assert canary_size(3, above=0, percent=1, least=5) == 3


@given(
    projects=st.integers(0, 10**6),
    above=st.integers(0, 1_000),
    percent=st.floats(0, 100),
    least=st.integers(1, 100),
)
def test_a_canary_is_within_its_bounds(
    projects: int, above: int, percent: float, least: int
) -> None:
    size = canary_size(projects, above=above, percent=percent, least=least)

    assert 0 <= size <= projects
    assert bool(size) == (projects > above)


@pytest.mark.parametrize("bad", BAD)
def test_a_canary_of_which_half_went_wrong_stops_the_job(bad: Outcome) -> None:
    why = canary_verdict({Outcome.DELETED: 2, bad: 2})

    assert why.startswith("2 of the first 4 items failed")
    assert bad in why


def test_less_than_half_lets_the_rest_go() -> None:
    assert canary_verdict({Outcome.DELETED: 3, Outcome.FAILED_REFUSED: 2}) == ""


def test_one_project_that_kept_its_children_stops_the_job() -> None:
    why = canary_verdict({Outcome.DELETED: 9, Outcome.DEPENDENCY_FAILED: 1})

    assert why == "1 of the first 10 items ended dependency_failed"


def test_a_canary_of_skips_lets_the_rest_go() -> None:
    assert canary_verdict({Outcome.SKIPPED_PROTECTED: 5}) == ""
    assert canary_verdict({}) == ""
