"""What every documented answer means, and what no answer ever may."""

from datetime import timedelta
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.domain.calls import Action
from worker.domain.outcomes import Verdict
from worker.providers.verdicts import (
    LOST,
    NO_ANSWER,
    NOT_SENT,
    UNSAFE,
    classify,
    retry_after,
    row_of,
)
from worker.providers.zoho_books import ROWS

DELETE, READ, LIST = Action.DELETE, Action.READ, Action.LIST
A_DAY = timedelta(days=1)
NOW = 1_754_455_543.0

Row = tuple[int, str, Verdict, Verdict, Verdict]


def _same(status: int, code: str, verdict: Verdict) -> Row:
    return status, code, verdict, verdict, verdict


# (HTTP status, code) -> what it means to a deletion, to a read, to a list
ANSWERS: list[Row] = [
    # success
    (200, "0", Verdict.DELETED, Verdict.SEEN, Verdict.SEEN),
    # 1002: it does not exist
    (404, "1002", Verdict.ABSENT, Verdict.ABSENT, Verdict.REFUSED),
    (400, "1002", Verdict.ABSENT, Verdict.ABSENT, Verdict.REFUSED),
    (200, "1002", Verdict.ABSENT, Verdict.ABSENT, Verdict.REFUSED),
    # credentials
    _same(401, "57", Verdict.UNAUTHORISED),
    _same(403, "57", Verdict.UNAUTHORISED),
    _same(400, "57", Verdict.UNAUTHORISED),
    _same(200, "57", Verdict.UNAUTHORISED),
    _same(401, "14", Verdict.UNAUTHORISED),
    _same(401, "999", Verdict.UNAUTHORISED),
    _same(401, "1002", Verdict.UNAUTHORISED),
    _same(401, "0", Verdict.UNAUTHORISED),
    _same(401, "", Verdict.UNAUTHORISED),
    _same(200, "invalid_code", Verdict.UNAUTHORISED),
    _same(200, "Access Denied", Verdict.UNAUTHORISED),
    # limits
    _same(429, "43", Verdict.THROTTLED),
    _same(429, "44", Verdict.THROTTLED),
    _same(429, "45", Verdict.QUOTA_EXHAUSTED),
    _same(429, "1070", Verdict.THROTTLED),
    _same(429, "", Verdict.THROTTLED),
    _same(429, "77", Verdict.THROTTLED),
    _same(429, "1002", Verdict.THROTTLED),
    _same(429, "0", Verdict.THROTTLED),
    _same(200, "44", Verdict.THROTTLED),
    _same(200, "45", Verdict.QUOTA_EXHAUSTED),
    _same(400, "45", Verdict.QUOTA_EXHAUSTED),
    # malformed
    _same(400, "2", Verdict.INVALID),
    _same(400, "4", Verdict.INVALID),
    _same(404, "5", Verdict.INVALID),
    _same(405, "37", Verdict.INVALID),
    _same(200, "2", Verdict.INVALID),
    _same(301, "", Verdict.INVALID),
    _same(302, "0", Verdict.INVALID),
    _same(307, "1002", Verdict.INVALID),
    # business rules
    _same(400, "1025", Verdict.REFUSED),
    _same(403, "6", Verdict.REFUSED),
    _same(409, "3000", Verdict.REFUSED),
    _same(404, "3000", Verdict.REFUSED),
    _same(422, "1002", Verdict.REFUSED),
    _same(200, "3000", Verdict.REFUSED),
    # no clear word
    (500, "1000", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (500, "0", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (500, "57", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (502, "", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (503, "44", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (504, "", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (200, "1000", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (200, "", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (404, "", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (403, "", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (404, "0", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (202, "0", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    (204, "", Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
    # no answer
    _same(NO_ANSWER, NOT_SENT, Verdict.NOT_SENT),
    _same(NO_ANSWER, UNSAFE, Verdict.INVALID),
    (NO_ANSWER, LOST, Verdict.AMBIGUOUS, Verdict.UNAVAILABLE, Verdict.UNAVAILABLE),
]


@pytest.mark.parametrize(("status", "code", "delete", "read", "listing"), ANSWERS)
def test_every_documented_answer_has_its_verdict(
    status: int, code: str, delete: Verdict, read: Verdict, listing: Verdict
) -> None:
    verdicts = [classify(ROWS, action, status, code) for action in (DELETE, READ, LIST)]

    assert verdicts == [delete, read, listing]


KNOWN_CODES = sorted({code for _, code, *_ in ANSWERS})
ANY_ACTION = st.sampled_from(list(Action))
ANY_STATUS = st.integers(min_value=NO_ANSWER, max_value=999)
ANY_CODE = st.one_of(st.sampled_from(KNOWN_CODES), st.integers().map(str), st.text())
FOR_READS = frozenset(Verdict) - {Verdict.DELETED, Verdict.AMBIGUOUS}
FOR_DELETES = frozenset(Verdict) - {Verdict.SEEN, Verdict.UNAVAILABLE}


@given(action=ANY_ACTION, status=ANY_STATUS, code=ANY_CODE)
def test_whatever_is_answered_has_a_verdict_that_its_action_can_have(
    action: Action, status: int, code: str
) -> None:
    possible = FOR_DELETES if action is DELETE else FOR_READS

    assert classify(ROWS, action, status, code) in possible
    assert classify((), action, status, code) in possible


@given(status=st.integers(min_value=500, max_value=599), code=ANY_CODE)
def test_a_deletion_answered_by_a_5xx_is_always_ambiguous(status: int, code: str) -> None:
    assert classify(ROWS, DELETE, status, code) is Verdict.AMBIGUOUS


@given(status=ANY_STATUS, code=ANY_CODE)
@example(status=200, code="0")
@example(status=201, code="0")
@example(status=200, code="00")
@example(status=200, code="")
def test_only_a_200_with_code_0_is_a_deletion(status: int, code: str) -> None:
    deleted = classify(ROWS, DELETE, status, code) is Verdict.DELETED

    assert deleted == ((status, code) == (200, "0"))


@given(action=ANY_ACTION, status=ANY_STATUS, code=ANY_CODE)
def test_only_the_code_for_it_makes_something_absent(
    action: Action, status: int, code: str
) -> None:
    if classify(ROWS, action, status, code) is Verdict.ABSENT:
        assert code == "1002"
        assert action is not LIST


def test_the_shared_rows_alone_never_confirm_anything() -> None:
    verdicts = {classify((), DELETE, status, "0") for status in range(1000)}

    assert not verdicts & {Verdict.DELETED, Verdict.ABSENT, Verdict.SEEN}


def test_too_many_at_once_is_over_sooner_than_a_full_window() -> None:
    assert row_of(ROWS, DELETE, 429, "1070").wait == timedelta(seconds=1)
    assert row_of(ROWS, DELETE, 429, "44").wait is None


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("3600", timedelta(hours=1)),
        (" 7 ", timedelta(seconds=7)),
        ("86400", A_DAY),
        ("86401", A_DAY),
        ("9" * 5000, A_DAY),
        (formatdate(NOW + 90, usegmt=True), timedelta(seconds=90)),
        (formatdate(NOW + 90), timedelta(seconds=90)),
        (formatdate(NOW + 999_999, usegmt=True), A_DAY),
        ("", None),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\u0663", None),
        ("Wed, 99 Foo 2025 99:99:99 GMT", None),
        (formatdate(NOW, usegmt=True), None),
        (formatdate(NOW - 5, usegmt=True), None),
    ],
)
def test_a_retry_after_counts_if_it_says_something(header: str, wait: timedelta | None) -> None:
    assert retry_after(header, NOW // 1) == wait


@given(header=st.text(), now=st.floats(min_value=0, max_value=4e9))
def test_a_retry_after_is_never_negative_nor_longer_than_a_day(header: str, now: float) -> None:
    wait = retry_after(header, now)

    assert wait is None or timedelta(0) < wait <= A_DAY
