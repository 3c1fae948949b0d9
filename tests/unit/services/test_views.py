"""The published shapes: every field there, counts that add up, times in UTC."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import EPOCH, a_job, a_plan, a_progress, a_seen, an_item, some_counts
from worker.domain.outcomes import Bucket, Outcome
from worker.domain.plan import Finding, FindingLevel
from worker.domain.states import FINAL, JobState, Waiting
from worker.ports import WaitingOn
from worker.services.views import (
    certificate_view,
    counts_view,
    iso,
    item_view,
    job_view,
    plan_view,
)

JOB = """id key account provider action mode state waiting_on reason actor created_at
started_at finished_at plan counts"""
PLAN = """hash word items by_kind calls calls_spent quota_share estimated_seconds finish_at
findings duplicates complete"""
COUNTS = "total open succeeded skipped failed unprocessed unknown by_outcome"
WAITING = WaitingOn(code=Waiting.GRACE, sentence="soon", since=EPOCH, next_wake=EPOCH)


def test_a_job_has_every_published_field() -> None:
    view = job_view(a_job(), some_counts())

    assert set(JOB.split()) <= set(view)
    assert set(PLAN.split()) <= set(view["plan"])
    assert set(COUNTS.split()) == set(view["counts"])
    assert json.loads(json.dumps(view)) == view


def test_a_job_is_told_in_plain_words() -> None:
    view = job_view(a_job(JobState.SCHEDULED, waiting_on=WAITING, dry_run=True), some_counts())

    assert (view["mode"], view["state"], view["actor"]) == ("dry_run", "scheduled", "ada")
    assert view["waiting_on"] == {
        "code": "grace",
        "sentence": "soon",
        "since": "2026-11-21T10:00:00Z",
        "next_wake": "2026-11-21T10:00:00Z",
    }


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_job_that_ended_waits_for_nothing(state: JobState) -> None:
    assert job_view(a_job(state, waiting_on=WAITING), some_counts())["waiting_on"] is None


@given(
    counts=st.dictionaries(st.sampled_from(Outcome), st.integers(0, 10**6)),
    still_open=st.integers(0, 10**6),
)
def test_the_buckets_and_what_is_open_add_up(counts: dict[Outcome, int], still_open: int) -> None:
    total = sum(counts.values()) + still_open

    view = counts_view(some_counts(total=total, open=still_open, by_outcome=counts))

    assert sum(view[bucket] for bucket in Bucket) + view["open"] == view["total"]
    assert view["by_outcome"] == {outcome.value: n for outcome, n in counts.items()}


def test_a_plan_tells_its_findings() -> None:
    finding = Finding(level=FindingLevel.WARNING, code="cascade_none", text="look")

    view = plan_view(a_plan(findings=(finding,), finish_at=EPOCH))

    assert view["findings"] == [{"level": "warning", "code": "cascade_none", "text": "look"}]
    assert view["finish_at"] == "2026-11-21T10:00:00Z"


def test_a_plan_that_is_not_made_has_neither_hash_nor_word() -> None:
    view = plan_view(a_plan(hash="", word=""))

    assert (view["hash"], view["word"]) == (None, None)


def test_an_item_is_told_with_its_outcome() -> None:
    item = an_item(
        seen=a_seen("42", status="active"),
        outcome=Outcome.DELETED,
        progress=a_progress(attempts=2),
        due_at=EPOCH + timedelta(microseconds=1),
    )

    view = item_view(item)

    assert (view["external_id"], view["outcome"], view["attempts"]) == ("42", "deleted", 2)
    assert (view["parent_external_id"], view["reason"]) == (None, None)
    assert view["due_at"] == "2026-11-21T10:00:00.000001Z"
    assert item_view(an_item())["outcome"] is None
    assert iso(None) is None


def test_a_certificate_tells_the_scope_the_end_and_the_head_of_the_chain() -> None:
    counts = some_counts(open=0, by_outcome={Outcome.DELETED: 2, Outcome.UNKNOWN: 1})

    view = certificate_view(
        a_job(JobState.PARTIALLY_SUCCEEDED), counts, seq=9, head="ab", at=EPOCH, late=1
    )

    assert (view["items"], view["outcomes"]) == (3, "deleted 2, unknown 1")
    assert (view["chain_seq"], view["chain_head"], view["late_calls"]) == (9, "ab", 1)
    assert view["plan_hash"] == a_plan().hash
