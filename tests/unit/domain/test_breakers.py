"""Breakers: what is counted, and when it stops a job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.breakers import BAD, Breakers, Tally, Trip, Tripped, judge
from worker.domain.outcomes import Bucket, Outcome

RULES = Breakers()
FAILED, GONE = Outcome.FAILED_REFUSED, Outcome.DELETED
NOTHING = Tally()


def tripped(outcomes: list[Outcome], rules: Breakers = RULES) -> Tripped | None:
    """The first breaker that stops a job whose items end so, one after the other."""
    tally = NOTHING
    for outcome in outcomes:
        before, tally = tally, tally.ended([outcome])
        if said := judge(rules, before, tally):
            return said
    return None


def test_nineteen_failures_in_a_row_are_too_few() -> None:
    assert tripped([FAILED] * 19 + [GONE] + [FAILED] * 19 + [GONE] * 40) is None


def test_twenty_failures_in_a_row_end_the_job() -> None:
    said = tripped([GONE, *[FAILED] * 20])

    assert said == Tripped(trip=Trip.ABORT, why="20 items in a row failed")


def test_half_of_a_hundred_ends_the_job() -> None:
    said = tripped([GONE, FAILED] * 50)

    assert said == Tripped(trip=Trip.ABORT, why="50 of 100 items failed")


def test_half_of_fewer_does_not() -> None:
    assert tripped([GONE, FAILED] * 49) is None


def test_less_than_half_does_not() -> None:
    assert tripped([GONE, GONE, FAILED] * 200) is None


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - BAD - {GONE}))
def test_what_is_neither_good_nor_bad_breaks_no_row_and_makes_none(outcome: Outcome) -> None:
    assert tripped([outcome] * 200) is None
    assert tripped([*[FAILED] * 10, outcome, *[FAILED] * 10]) is not None


def test_what_is_bad_is_what_failed_by_itself_or_is_unknown() -> None:
    failed = {outcome for outcome in Outcome if outcome.bucket is Bucket.FAILED}

    assert failed - {Outcome.DEPENDENCY_FAILED} | {Outcome.UNKNOWN} == BAD


@pytest.mark.parametrize(("absent", "paused"), [(10, False), (11, True), (50, True)])
def test_more_than_a_fifth_of_the_first_fifty_absent_pauses(absent: int, *, paused: bool) -> None:
    now = NOTHING.saw([True] * (50 - absent) + [False] * absent, first=50)

    said = judge(RULES, NOTHING, now)

    assert (said is not None and said.trip is Trip.PAUSE) is paused


def test_absent_ones_after_the_first_do_not_count() -> None:
    first = NOTHING.saw([True] * 50, first=50)

    assert first.saw([False] * 500, first=50) == first


def test_who_let_the_job_go_on_is_not_asked_again() -> None:
    full = NOTHING.saw([False] * 50, first=50)

    assert judge(RULES, full, full.saw([False] * 50, first=50)) is None


def test_fewer_than_the_first_fifty_say_nothing() -> None:
    assert judge(RULES, NOTHING, NOTHING.saw([False] * 49, first=50)) is None


@pytest.mark.parametrize(
    ("absent", "given", "asks"),
    [(9, 9, False), (10, 10, True), (10, 49, True), (10, 50, False), (9, 40, False)],
)
def test_ten_and_more_than_a_fifth_of_a_short_list_put_it_in_doubt(
    absent: int, given: int, *, asks: bool
) -> None:
    said = RULES.doubt(absent, given)

    wanted = f"{absent} of the {given} projects of the list are not there"
    assert said.startswith(wanted) if asks else said == ""


@pytest.mark.parametrize("off", [Breakers(absent_percent=0), Breakers(absent_first=0)])
def test_a_list_is_in_no_doubt_where_that_breaker_is_off(off: Breakers) -> None:
    assert not off.doubt(30, 30)
    assert not off.are_many(30, 30)


@given(st.lists(st.sampled_from(list(Outcome)), max_size=300))
def test_a_breaker_of_zero_is_off(outcomes: list[Outcome]) -> None:
    off = Breakers(failed_percent=0, failed_in_a_row=0, absent_percent=0)

    assert tripped(outcomes, off) is None


@given(st.lists(st.sampled_from(list(Outcome)), max_size=200), st.integers(0, 200))
def test_a_tally_is_the_same_however_it_is_batched(outcomes: list[Outcome], cut: int) -> None:
    assert NOTHING.ended(outcomes[:cut]).ended(outcomes[cut:]) == NOTHING.ended(outcomes)


def test_what_they_do_is_said_in_words() -> None:
    off = Breakers(failed_percent=0, failed_in_a_row=0, absent_percent=0)

    assert "50 % fail after 100 items or 20 in a row fail" in RULES.said
    assert off.said == "does not end by itself"
