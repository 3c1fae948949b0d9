"""Guards: numbers held against what a plan comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.guards import RUNS, GuardNumbers, Measured, check, unreadable
from worker.domain.plan import FindingLevel

EVERY = GuardNumbers(max_items=10, max_percent=20, max_times_median=2, max_items_per_day=100)


def codes(numbers: GuardNumbers, measured: Measured) -> list[str]:
    found = check(numbers, measured)
    return [one.code for one in found if one.level is FindingLevel.REFUSAL]


def test_a_number_that_is_not_set_is_not_checked() -> None:
    assert check(GuardNumbers(), Measured(items=10**9, projects=10**9, used_today=10**9)) == []


@pytest.mark.parametrize(("items", "refused"), [(9, False), (10, False), (11, True)])
def test_items_are_refused_over_their_number_alone(items: int, *, refused: bool) -> None:
    assert codes(GuardNumbers(max_items=10), Measured(items=items)) == ["max_items"] * refused


@pytest.mark.parametrize(("projects", "refused"), [(1, False), (2, False), (3, True)])
def test_percent_is_of_all_projects_of_the_account(projects: int, *, refused: bool) -> None:
    measured = Measured(items=500, projects=projects, account_projects=10)

    assert codes(GuardNumbers(max_percent=20), measured) == ["max_percent"] * refused


def test_projects_that_were_not_counted_are_refused() -> None:
    measured = Measured(items=1, projects=1, account_projects=None)

    assert codes(GuardNumbers(max_percent=100), measured) == ["max_percent"]


def test_more_than_the_account_has_is_refused() -> None:
    assert codes(GuardNumbers(max_percent=100), Measured(items=1, projects=1, account_projects=0))


def test_a_percentage_is_exact() -> None:
    measured = Measured(items=29, projects=29, account_projects=100)

    assert codes(GuardNumbers(max_percent=29), measured) == []


@pytest.mark.parametrize(("items", "refused"), [(39, False), (40, False), (41, True)])
def test_the_median_is_of_the_last_runs_that_did_something(items: int, *, refused: bool) -> None:
    measured = Measured(items=items, last_runs=[10, 0, 20, 30, 0])

    found = codes(GuardNumbers(max_times_median=2), measured)

    assert found == ["max_times_median"] * refused


def test_older_runs_than_the_last_ten_do_not_count() -> None:
    measured = Measured(items=30, last_runs=[10] * RUNS + [1000] * 50)

    assert codes(GuardNumbers(max_times_median=2), measured) == ["max_times_median"]


def test_a_first_run_has_nothing_to_be_compared_with_and_says_so() -> None:
    (said,) = check(GuardNumbers(max_times_median=2), Measured(items=10**6))

    assert (said.level, said.code) == (FindingLevel.INFO, "max_times_median")


@pytest.mark.parametrize(("used", "refused"), [(89, False), (90, False), (91, True)])
def test_the_day_counts_what_other_jobs_used(used: int, *, refused: bool) -> None:
    measured = Measured(items=10, used_today=used)

    found = codes(GuardNumbers(max_items_per_day=100), measured)

    assert found == ["max_items_per_day"] * refused


def test_every_number_that_is_exceeded_is_said() -> None:
    measured = Measured(items=101, projects=9, account_projects=9, last_runs=[1], used_today=5)

    assert codes(EVERY, measured) == [
        "max_items",
        "max_percent",
        "max_times_median",
        "max_items_per_day",
    ]


def test_a_policys_numbers_ask_a_person_instead() -> None:
    found = check(GuardNumbers(max_items=1), Measured(items=2), level=FindingLevel.ASK)

    assert [one.level for one in found] == [FindingLevel.ASK]


@given(items=st.integers(0, 10**6), more=st.integers(0, 10**6), used=st.integers(0, 10**6))
def test_more_of_the_same_is_never_less_refused(items: int, more: int, used: int) -> None:
    small = Measured(items=items, projects=items, account_projects=10**6, used_today=used)
    large = Measured(
        items=items + more, projects=items + more, account_projects=10**6, used_today=used
    )

    assert set(codes(EVERY, small)) <= set(codes(EVERY, large))


def test_holds_that_cannot_be_read_refuse() -> None:
    assert unreadable("no such table").level is FindingLevel.REFUSAL
