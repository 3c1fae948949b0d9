"""Backoff: full jitter under a ceiling that doubles up to its cap."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.retry import RetryPolicy

POLICY = RetryPolicy(base=timedelta(seconds=1), cap=timedelta(seconds=30))


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (10_000, 30)]
)
def test_the_ceiling_doubles_up_to_the_cap(failures: int, seconds: int) -> None:
    assert POLICY.after(failures, 1.0) == timedelta(seconds=seconds)


@given(failures=st.integers(-1, 10**6), jitter=st.floats(0, 1, exclude_max=True))
def test_a_wait_lies_between_nothing_and_the_cap(failures: int, jitter: float) -> None:
    assert timedelta(0) <= POLICY.after(failures, jitter) <= POLICY.cap


@given(failures=st.integers(0, 60), jitter=st.floats(0, 1, exclude_max=True))
def test_more_failures_never_wait_less(failures: int, jitter: float) -> None:
    assert POLICY.after(failures, jitter) <= POLICY.after(failures + 1, jitter)


def test_the_looks_are_the_published_ones() -> None:
    seconds = [look.total_seconds() for look in RetryPolicy().looks]

    assert seconds == [0, 10, 60, 600, 3600]
    assert RetryPolicy().takeovers == 3
