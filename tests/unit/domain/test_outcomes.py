"""Outcomes and their columns: everything counts once, and the end of a job follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.outcomes import (
    BUCKETS,
    NO_ATTEMPT,
    Bucket,
    Outcome,
    Verdict,
    by_bucket,
    final_state,
)
from worker.domain.states import JobState

COUNTS = st.dictionaries(st.sampled_from(Outcome), st.integers(0, 1_000))
SKIPS = [outcome for outcome in Outcome if outcome.bucket is Bucket.SKIPPED]
SHORT = [
    outcome
    for outcome in Outcome
    if outcome.bucket in {Bucket.FAILED, Bucket.UNPROCESSED, Bucket.UNKNOWN}
]


def test_every_outcome_has_its_bucket_and_no_bucket_is_empty() -> None:
    assert set(BUCKETS) == set(Outcome)
    assert set(BUCKETS.values()) == set(Bucket)


def test_the_name_of_an_outcome_says_its_bucket() -> None:
    assert all(o.bucket is Bucket.SKIPPED for o in Outcome if o.startswith("skipped_"))
    assert all(o.bucket is Bucket.FAILED for o in Outcome if "failed" in o)


@given(counts=COUNTS)
def test_the_buckets_add_up(counts: dict[Outcome, int]) -> None:
    sums = by_bucket(counts)

    assert set(sums) == set(Bucket)
    assert sum(sums.values()) == sum(counts.values())


@pytest.mark.parametrize("verdict", Verdict)
def test_an_attempt_is_a_call_that_was_sent_and_answered_or_lost(verdict: Verdict) -> None:
    not_an_attempt = {"throttled", "quota_exhausted", "unauthorised", "tokenless", "not_sent"}

    assert verdict.is_attempt == (verdict.value not in not_an_attempt)
    assert verdict.is_attempt == (verdict not in NO_ATTEMPT)


@pytest.mark.parametrize("skip", SKIPS)
def test_a_skip_by_rule_does_not_forbid_success(skip: Outcome) -> None:
    assert final_state({Outcome.DELETED: 3, skip: 2}) is JobState.SUCCEEDED


@pytest.mark.parametrize("short", SHORT)
def test_one_item_that_fell_short_forbids_success(short: Outcome) -> None:
    assert final_state({Outcome.DELETED: 9, short: 1}) is JobState.PARTIALLY_SUCCEEDED
    assert final_state({short: 1}) is JobState.FAILED


def test_a_count_of_zero_changes_nothing() -> None:
    assert final_state({Outcome.ALREADY_ABSENT: 1, Outcome.UNKNOWN: 0}) is JobState.SUCCEEDED
