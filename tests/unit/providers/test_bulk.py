"""What a bulk delete asks for, and what its answers prove: never anything about a single id."""

import json
from dataclasses import replace

import httpx
import pytest

from tests.builders import a_connection
from worker.domain.calls import PROJECT, TIMER, Action, Answer, Call, Target
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Verdict
from worker.providers.answers import Answers
from worker.providers.bulk import bulk_of
from worker.providers.dialect import Dialect
from worker.providers.line import Reply
from worker.providers.requests import Connection, build
from worker.providers.truto import UNIFIED
from worker.providers.zoho_books import V3, V4

A, B, C = "460000000000001", "460000000000002", "460000000000003"
ACCOUNT = a_connection(bulk=bulk_of(V4))
ACCEPTED, REFUSED = Verdict.ACCEPTED, Verdict.REFUSED


def a_chunk(*ids: str) -> Call:
    targets = tuple(Target(kind=PROJECT, external_id=id_) for id_ in ids)
    return Call(action=Action.DELETE, targets=targets)


def answered(
    status: int, body: object, call: Call | None = None, content_type: str = "application/json"
) -> Answer:
    headers = httpx.Headers({"Content-Type": content_type})
    reply = Reply(status, headers, json.dumps(body).encode())
    return Answers(ACCOUNT).understand(call or a_chunk(A, B, C), reply, secret="t0ken-1", now=0.0)


def test_a_chunk_is_one_call_with_its_ids_in_one_parameter() -> None:
    request = build(ACCOUNT, a_chunk(A, B))

    assert request.method == "DELETE"
    assert request.target == f"/projects?organization-id=10234695&project_ids={A},{B}"


def test_name_and_size_are_settings_of_the_account() -> None:
    bulk = bulk_of(V4, parameter="ids", size=200)
    request = build(replace(ACCOUNT, bulk=bulk), a_chunk(A, B))

    assert request.target == f"/projects?organization-id=10234695&ids={A},{B}"
    assert (bulk.size, bulk_of(V4).size, bulk_of(V4).parameter) == (200, 25, "project_ids")


def test_a_chunk_of_one_is_an_ordinary_delete() -> None:
    assert build(ACCOUNT, a_chunk(A)).path == f"/projects/{A}"


@pytest.mark.parametrize(
    ("account", "call"),
    [
        (replace(ACCOUNT, bulk=None), a_chunk(A, B)),
        (ACCOUNT, a_chunk(A, A)),
        (ACCOUNT, a_chunk(A, "")),
        (ACCOUNT, a_chunk(A, "1,2")),
        (ACCOUNT, a_chunk(*(str(number) for number in range(1, 202)))),
        (
            ACCOUNT,
            Call(
                action=Action.DELETE,
                targets=(
                    Target(kind=PROJECT, external_id=A),
                    Target(kind="task", external_id=B, parent_external_id=A),
                ),
            ),
        ),
    ],
)
def test_a_chunk_that_cannot_be_one_is_never_sent(account: Connection, call: Call) -> None:
    with pytest.raises(InvalidInput):
        build(account, call)


@pytest.mark.parametrize("dialect", [V3, UNIFIED])
def test_a_dialect_without_bulk_delete_says_so(dialect: Dialect) -> None:
    with pytest.raises(InvalidInput, match="has no bulk delete"):
        bulk_of(dialect)


def test_a_size_above_the_largest_is_refused() -> None:
    with pytest.raises(InvalidInput, match="201"):
        bulk_of(V4, size=201)


WHOLE = [
    (200, {"code": 0, "message": "The projects have been deleted."}, ACCEPTED),
    # refused as such
    (400, {"code": 2, "message": "Invalid value passed for project_ids"}, Verdict.INVALID),
    (400, {"code": 4, "message": "too many"}, Verdict.INVALID),
    (404, {"code": 5, "message": "Invalid URL Passed"}, Verdict.INVALID),
    (405, {"code": 37, "message": "method"}, Verdict.INVALID),
    (404, {}, Verdict.INVALID),
    (405, {}, Verdict.INVALID),
    (405, {"code": 9999, "message": "?"}, Verdict.INVALID),
    # refused for what it holds
    (400, {"code": 1025, "message": "has invoices"}, REFUSED),
    (422, {"code": 3000, "message": "no"}, REFUSED),
    (404, {"code": 1002, "message": "Project does not exist."}, REFUSED),
    (400, {"code": 1002, "message": "Project does not exist."}, REFUSED),
    (200, {"code": 1002, "message": "Project does not exist."}, REFUSED),
    # nothing clear
    (200, {}, Verdict.AMBIGUOUS),
    (200, {"code": 1000}, Verdict.AMBIGUOUS),
    (202, {"code": 0}, Verdict.AMBIGUOUS),
    (400, {}, Verdict.AMBIGUOUS),
    (500, {"code": 1000}, Verdict.AMBIGUOUS),
    (502, {}, Verdict.AMBIGUOUS),
    # nothing to do with it
    (401, {"code": 14}, Verdict.UNAUTHORISED),
    (401, {"code": 57}, Verdict.UNAUTHORISED),
    (429, {"code": 44}, Verdict.THROTTLED),
    (429, {"code": 45}, Verdict.QUOTA_EXHAUSTED),
]


@pytest.mark.parametrize(("status", "body", "verdict"), WHOLE)
def test_what_an_answer_means_for_the_whole_chunk(
    status: int, body: object, verdict: Verdict
) -> None:
    answer = answered(status, body)

    assert (answer.verdict, answer.by_target) == (verdict, ())


def test_a_404_of_a_proxy_refuses_the_bulk_delete_as_such() -> None:
    assert answered(404, {}, content_type="text/html").verdict is Verdict.INVALID


NAMED = [
    ({"info": {"email_errors_info": [{"message": "has invoices", "ids": [B]}], "code": 4083}}),
    ({"info": {"delete_errors": [{"message": "has invoices", "ids": [B, "7"]}], "code": "4083"}}),
    ({"skippedInfo": [{"projectId": [B], "code": 4083, "message": "has invoices"}]}),
    ({"skippedInfo": [{"project_ids": [int(B)], "code": 4083, "message": "has invoices"}]}),
    ({"skippedInfo": [{"projectIds": B, "code": 4083, "message": "has invoices"}]}),
]


@pytest.mark.parametrize("body", NAMED)
def test_a_success_that_names_ids_tells_its_targets_apart(body: dict[str, object]) -> None:
    answer = answered(200, {"code": 0, "message": "done", **body})

    assert answer.verdict is ACCEPTED
    assert answer.by_target == (ACCEPTED, REFUSED, ACCEPTED)
    assert (answer.provider_code, answer.message) == ("4083", "has invoices")


def test_two_reasons_are_both_said() -> None:
    rows = [
        {"projectId": [A], "code": 1, "message": "has invoices"},
        {"projectId": [C], "code": 2, "message": "has time entries"},
    ]

    answer = answered(200, {"code": 0, "skippedInfo": rows})

    assert answer.by_target == (REFUSED, ACCEPTED, REFUSED)
    assert answer.message == "has invoices; has time entries"


@pytest.mark.parametrize(
    "body",
    [
        {"info": None},
        {"info": []},
        {"info": {"email_errors_info": []}},
        {"info": {"email_errors_info": [{"message": "x", "ids": ["7"]}]}},
        {"info": {"email_errors_info": [{"message": "x", "ids": [None, 1.5, {}]}]}},
        {"info": {"email_errors_info": ["x"]}},
        {"skippedInfo": "all"},
        {"skippedInfo": [{"paid": [A], "message": "x"}]},
    ],
)
def test_what_names_none_of_our_ids_tells_nothing_apart(body: dict[str, object]) -> None:
    answer = answered(200, {"code": 0, "message": "done", **body})

    assert (answer.verdict, answer.by_target, answer.message) == (ACCEPTED, (), "done")


def test_a_refusal_that_names_ids_refuses_the_chunk_all_the_same() -> None:
    body = {"code": 1025, "message": "no", "skippedInfo": [{"projectId": [A], "message": "x"}]}

    answer = answered(400, body)

    assert (answer.verdict, answer.by_target) == (REFUSED, ())


TIMER_CALL = Call(action=Action.DELETE, targets=(Target(kind=TIMER, external_id="current"),))


@pytest.mark.parametrize(
    ("status", "code", "text", "verdict"),
    [
        (200, 0, "Timer has been deleted.", Verdict.DELETED),
        (200, 0, "The timer has been stopped.", Verdict.DELETED),
        (400, 1002, "There is no timer running.", Verdict.ABSENT),
        (404, 1002, "Timer does not exist.", Verdict.ABSENT),
        (400, 36001, "There is no timer running.", Verdict.ABSENT),
        (404, 5, "The timer isn't running", Verdict.ABSENT),
        (200, 36001, "No running timer for this user", Verdict.ABSENT),
        (400, 2, "Invalid value passed for organization-id", Verdict.INVALID),
        (404, 5, "Invalid URL Passed", Verdict.INVALID),
        (400, 1025, "The timer belongs to somebody else", Verdict.REFUSED),
        (400, 1025, "The timer was not started", Verdict.ABSENT),
        (400, 1025, "The timer could not be stopped: you have no right to", Verdict.REFUSED),
        (400, 1025, "You cannot stop the timer, and no other user can", Verdict.REFUSED),
        (401, 57, "no timer", Verdict.UNAUTHORISED),
        (429, 44, "no timer", Verdict.THROTTLED),
        (500, 1000, "no timer", Verdict.AMBIGUOUS),
    ],
)
def test_no_timer_is_the_end_that_was_wanted(
    status: int, code: int, text: str, verdict: Verdict
) -> None:
    assert answered(status, {"code": code, "message": text}, TIMER_CALL).verdict is verdict


def test_words_about_a_timer_say_nothing_about_a_project() -> None:
    body = {"code": 36001, "message": "There is no timer running."}

    assert answered(400, body, a_chunk(A)).verdict is REFUSED
