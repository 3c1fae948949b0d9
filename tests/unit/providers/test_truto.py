"""What is asked of Truto, byte by byte, and what its answers mean in every format."""

import json
from dataclasses import replace

import httpx
import pytest

from worker.domain.calls import CAPABILITIES, PROJECT, Action, Answer, Call, Target
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Verdict
from worker.providers.answers import Answers
from worker.providers.line import Reply
from worker.providers.reading import Unreadable, read
from worker.providers.requests import Connection, build
from worker.providers.truto import CAPSULE, PIPELINER, UNIFIED, capabilities_of

ACCOUNT_ID = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
SELECTOR = f"integrated_account_id={ACCOUNT_ID}"
SECRET = "canary-7c1-9d"
ACCOUNT = Connection(
    name="crm",
    base_url="https://api.truto.one",
    dialect=UNIFIED,
    selector_value=ACCOUNT_ID,
    token=lambda: "never asked for",
    in_flight=5,
)
LIST = Call(action=Action.LIST)


def a_call(action: Action, id_: str = "23423523", **options: str) -> Call:
    pairs = tuple((name.replace("__", "."), value) for name, value in options.items())
    target = Target(kind=PROJECT, external_id=id_)
    return Call(action=action, targets=(target,), options=pairs)


DELETE, READ = a_call(Action.DELETE), a_call(Action.READ)
DELETED_PATH = "/unified/crm/projects/23423523"

REQUESTS = [
    (LIST, "GET", f"/unified/crm/projects?{SELECTOR}&limit=100"),
    (
        replace(LIST, cursor="abc=="),
        "GET",
        f"/unified/crm/projects?{SELECTOR}&limit=100&next_cursor=abc%3D%3D",
    ),
    (
        replace(LIST, filters=(("owner[id]", "7"), ("tags[]", "a b"), ("tags[]", "c"))),
        "GET",
        f"/unified/crm/projects?{SELECTOR}&owner[id]=7&tags[]=a%20b&tags[]=c&limit=100",
    ),
    (READ, "GET", f"{DELETED_PATH}?{SELECTOR}"),
    (
        Call(action=Action.READ, source=CAPABILITIES),
        "GET",
        f"/integrated-account/{ACCOUNT_ID}/capabilities?type=unified&resource=projects",
    ),
    (DELETE, "DELETE", f"{DELETED_PATH}?{SELECTOR}"),
    *(
        (
            a_call(Action.DELETE, truto_response_format=word),
            "DELETE",
            f"{DELETED_PATH}?{SELECTOR}&truto_response_format={word}",
        )
        for word in ("unified", "raw", "normalized", "stream", "debug")
    ),
    (
        a_call(Action.DELETE, truto_ignore_remote_data="true"),
        "DELETE",
        f"{DELETED_PATH}?{SELECTOR}&truto_ignore_remote_data=true",
    ),
    (
        a_call(Action.DELETE, truto_exclude_fields="id,name"),
        "DELETE",
        f"{DELETED_PATH}?{SELECTOR}&truto_exclude_fields[]=id&truto_exclude_fields[]=name",
    ),
    (
        a_call(Action.DELETE, remote_query__foo="bar"),
        "DELETE",
        f"{DELETED_PATH}?{SELECTOR}&remote_query[foo]=bar",
    ),
    (
        Call(
            action=Action.DELETE,
            targets=DELETE.targets,
            options=(("remote_query.foo[bar]", "b&z [1]"),),
        ),
        "DELETE",
        f"{DELETED_PATH}?{SELECTOR}&remote_query[foo][bar]=b%26z%20%5B1%5D",
    ),
    (
        a_call(Action.DELETE, "proj:7.a-b_c"),
        "DELETE",
        f"/unified/crm/projects/proj%3A7.a-b_c?{SELECTOR}",
    ),
]


@pytest.mark.parametrize(("call", "method", "target"), REQUESTS)
def test_every_request_is_as_documented_byte_by_byte(call: Call, method: str, target: str) -> None:
    request = build(ACCOUNT, call)

    assert (request.method, request.target) == (method, target)


def test_all_options_of_account_and_call_go_together_and_the_call_wins() -> None:
    account = replace(
        ACCOUNT,
        options=(
            ("truto_response_format", "raw"),
            ("truto_exclude_fields", "id"),
            ("remote_query.foo", "bar"),
        ),
    )
    call = a_call(Action.DELETE, truto_response_format="debug", truto_ignore_remote_data="false")

    assert build(account, call).target == (
        f"{DELETED_PATH}?{SELECTOR}&truto_response_format=debug&truto_ignore_remote_data=false"
        "&truto_exclude_fields[]=id&remote_query[foo]=bar"
    )
    assert build(account, READ).target == f"{DELETED_PATH}?{SELECTOR}"


@pytest.mark.parametrize(
    "id_", ["", ".", "..", "a/b", "a%2Fb", "a b", "a?b", "a#b", "-a", "é", "a" * 129]
)
def test_an_id_that_is_none_is_never_sent(id_: str) -> None:
    with pytest.raises(InvalidInput):
        build(ACCOUNT, a_call(Action.DELETE, id_))


def test_options_and_filters_that_are_none_are_never_sent() -> None:
    with pytest.raises(InvalidInput):
        build(ACCOUNT, a_call(Action.DELETE, integrated_account_id="other"))
    with pytest.raises(InvalidInput):
        build(ACCOUNT, replace(LIST, filters=(("limit", "1"),)))
    with pytest.raises(InvalidInput):
        build(ACCOUNT, replace(LIST, filters=(("name", " "),)))


def answered(
    status: int,
    body: object = None,
    call: Call = DELETE,
    *,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    told = {"Content-Type": content_type, **(headers or {})}
    reply = Reply(status, httpx.Headers(told), content)
    return Answers(ACCOUNT).understand(call, reply, secret="t0ken-1-of-ours", now=0.0)


def an_error(status: int, message: str = "", *, is_remote: bool = False, **more: object) -> object:
    remote = {"truto_is_remote_error": True} if is_remote else {}
    return {"statusCode": status, "error": "Whatever", "message": message, **remote, **more}


DEBUG = {
    "requestUrl": f"https://api.capsulecrm.com/api/v2/kases/1?key={SECRET}",
    "requestOptions": {"headers": {"Authorization": f"Bearer {SECRET}"}},
    "data": {"message": SECRET},
    "responseHeaders": {"set-cookie": SECRET},
}
SUCCESSES = [
    (200, {"id": "23423523"}, "application/json"),
    (200, {"id": "23423523", "remote_data": {"message": SECRET}}, "application/json"),
    (200, {"success": True, "data": {"id": "23423523"}}, "application/json"),
    (200, {"success": True}, "application/octet-stream"),
    (200, {"result": {"id": "23423523"}, "debug": DEBUG}, "application/json"),
    (200, {"result": {"id": "23423523"}, "debug": None}, "application/json; charset=utf-8"),
    (204, None, "application/json"),
    (204, None, ""),
    (204, None, "application/octet-stream"),
]


@pytest.mark.parametrize(("status", "body", "content_type"), SUCCESSES)
def test_a_success_of_every_format_is_a_deletion_and_keeps_no_word_of_its_body(
    status: int, body: object, content_type: str
) -> None:
    answer = answered(status, body, content_type=content_type)

    assert answer.verdict is Verdict.DELETED
    assert answer.message == f"HTTP {status}"
    assert (answer.provider_code, answer.error_class) == ("", "")
    assert SECRET not in repr(answer)


@pytest.mark.parametrize("id_", ["7", 8, "23423523 ", "0"])
def test_a_deletion_that_is_confirmed_of_another_id_is_looked_at(id_: object) -> None:
    bare, wrapped = answered(200, {"id": id_}), answered(200, {"result": {"id": id_}, "debug": {}})

    assert {bare.verdict, wrapped.verdict} == {Verdict.AMBIGUOUS}
    assert bare.message == "it names another id than the one that was to be deleted"


def test_an_id_may_be_confirmed_as_a_number() -> None:
    assert answered(200, {"id": 23423523}).verdict is Verdict.DELETED


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (200, {}, "application/json"),
        (200, None, "application/json"),
        (200, [], "application/json"),
        (200, {"result": {}, "debug": DEBUG}, "application/json"),
        (200, {"result": None, "debug": DEBUG}, "application/json"),
        (200, {"success": False, "id": "1"}, "application/json"),
        (200, {"error": {"message": SECRET}}, "application/json"),
        (200, {"id": "1"}, "text/html"),
        (202, {"id": "1"}, "application/json"),
        (404, {"message": "not found"}, "application/json"),
        (404, None, "text/html"),
        (500, {"id": "1"}, "application/json"),
    ],
)
def test_what_is_no_clear_success_is_looked_at(
    status: int, body: object, content_type: str
) -> None:
    answer = answered(status, body, content_type=content_type)

    assert answer.verdict is Verdict.AMBIGUOUS
    assert SECRET not in repr(answer)


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ({"truto_exclude_fields": "name,id"}, Verdict.DELETED),
        ({"truto_response_format": "raw"}, Verdict.DELETED),
        ({"truto_exclude_fields": "name"}, Verdict.AMBIGUOUS),
        ({"truto_response_format": "unified"}, Verdict.AMBIGUOUS),
    ],
)
@pytest.mark.parametrize("body", [{}, {"result": {}, "debug": None}])
def test_an_answer_without_anything_is_a_deletion_where_no_id_was_asked_for(
    asked: dict[str, str], verdict: Verdict, body: object
) -> None:
    assert answered(200, body, a_call(Action.DELETE, **asked)).verdict is verdict
    assert answered(404, body, a_call(Action.DELETE, **asked)).verdict is Verdict.AMBIGUOUS
    assert answered(502, body, a_call(Action.DELETE, **asked)).verdict is Verdict.AMBIGUOUS


# status, message, of the provider behind -> for a deletion, for a read
UNCLEAR = (Verdict.AMBIGUOUS, Verdict.UNAVAILABLE)
ERRORS = [
    (400, "name is required", False, (Verdict.REFUSED,) * 2),
    (400, "not allowed", True, (Verdict.REFUSED,) * 2),
    (401, "Invalid API token", False, (Verdict.UNAUTHORISED,) * 2),
    (401, "token expired", True, (Verdict.UNAUTHORISED,) * 2),
    (403, "Missing scopes", False, (Verdict.UNAUTHORISED,) * 2),
    (403, "Forbidden", True, (Verdict.UNAUTHORISED,) * 2),
    (404, "could not find resource", True, (Verdict.ABSENT,) * 2),
    (404, "", True, (Verdict.ABSENT,) * 2),
    (410, "gone", True, (Verdict.ABSENT,) * 2),
    (404, "Record not found", False, (Verdict.ABSENT,) * 2),
    (404, "Integrated account not found", False, (Verdict.UNAUTHORISED,) * 2),
    (404, "The environment does not exist", False, (Verdict.UNAUTHORISED,) * 2),
    (404, "This account was not found", True, (Verdict.UNAUTHORISED,) * 2),
    (404, "Route not found", False, (Verdict.INVALID,) * 2),
    (404, "Not Found", False, UNCLEAR),
    (404, "", False, UNCLEAR),
    (405, "Sandbox accounts are read-only", False, (Verdict.REFUSED,) * 2),
    (409, "conflict", True, (Verdict.REFUSED,) * 2),
    (422, "has time entries", True, (Verdict.REFUSED,) * 2),
    (429, "Rate limit exceeded", False, (Verdict.THROTTLED,) * 2),
    (429, "slow down", True, (Verdict.THROTTLED,) * 2),
    (500, "Internal server error", False, UNCLEAR),
    (502, "bad gateway", True, UNCLEAR),
    (503, "The integrated account is blocked", False, (Verdict.UNAUTHORISED,) * 2),
    (503, "maintenance", True, UNCLEAR),
    (504, "", False, UNCLEAR),
]


@pytest.mark.parametrize(("status", "message", "is_remote", "verdicts"), ERRORS)
def test_every_error_has_its_verdict(
    status: int, message: str, is_remote: bool, verdicts: tuple[Verdict, Verdict]
) -> None:
    body = an_error(status, message, is_remote=is_remote)

    answers = [answered(status, body, call) for call in (DELETE, READ)]

    assert tuple(answer.verdict for answer in answers) == verdicts
    assert answers[0].provider_code == str(status)
    assert message in answers[0].message


def test_a_list_is_never_absent() -> None:
    body = an_error(404, "could not find resource", is_remote=True)

    assert answered(404, body, LIST).verdict is Verdict.REFUSED


def test_a_503_without_trutos_envelope_does_not_stop_the_account() -> None:
    assert answered(503, None, content_type="text/html").verdict is Verdict.AMBIGUOUS


@pytest.mark.parametrize(
    ("status", "message", "is_remote", "said"),
    [
        (401, "expired", True, "the integrated account needs re-authorisation: expired"),
        (503, "", False, "the integrated account is blocked: Whatever"),
        (405, "no", False, "deleting is not allowed (a sandbox account is read-only): no"),
    ],
)
def test_what_stops_an_account_says_what_is_to_be_done(
    status: int, message: str, is_remote: bool, said: str
) -> None:
    answer = answered(status, an_error(status, message, is_remote=is_remote))

    assert answer.message == said


RAW = [
    ({"message": "has tasks"}, "has tasks"),
    ({"error": {"message": "has tasks"}}, "has tasks"),
    ({"errors": [{"detail": "has tasks"}]}, "has tasks"),
    ('{"error_description": "has tasks"}', "has tasks"),
    ("has tasks", "has tasks"),
    ({"title": "no", "headers": {"Authorization": SECRET}}, "no"),
    ({"request": {"message": SECRET}}, "Whatever"),
    ("{broken " + SECRET, "Whatever"),
    (f"has tasks; Authorization: Bearer {SECRET}", "has tasks; Authorization: Bearer [secret]"),
    (f"refused, api_key={SECRET}&x=1", "refused, api_key=[secret]&x=1"),
    (None, "Whatever"),
    (7, "Whatever"),
]


@pytest.mark.parametrize(("raw", "said"), RAW)
def test_an_empty_message_is_looked_up_in_the_providers_own_words(raw: object, said: str) -> None:
    body = an_error(422, "", is_remote=True, raw_response=raw, debug=DEBUG)

    answer = answered(422, body)

    assert answer.message == said
    assert SECRET not in repr(answer)


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry-After": "7"}, 7), ({}, 10), ({"Retry-After": "3600"}, 3600)]
)
def test_a_throttled_call_waits_as_long_as_it_is_told(
    headers: dict[str, str], seconds: int
) -> None:
    answer = answered(429, an_error(429), headers=headers)

    assert answer.retry_after is not None
    assert answer.retry_after.total_seconds() == seconds


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_limit_of_the_provider_behind_is_no_other_accounts(*, is_remote: bool) -> None:
    answer = answered(429, an_error(429, "slow down", is_remote=is_remote))

    assert answer.is_own_limit is is_remote


def a_page(*ids: str, cursor: str | None) -> dict[str, object]:
    shown = [{"id": id_, "name": "x", "created_at": "2025-08-06T04:35:43.000Z"} for id_ in ids]
    return {"result": shown, "next_cursor": cursor, "prev_cursor": None, "result_count": len(ids)}


def test_an_empty_page_may_lead_on() -> None:
    assert read(UNIFIED, LIST, a_page(cursor="c2")).next_cursor == "c2"
    assert read(UNIFIED, LIST, a_page("1", cursor=None)).next_cursor == ""
    assert answered(200, a_page(cursor="c2"), LIST).verdict is Verdict.SEEN


@pytest.mark.parametrize("last", [{}, {"next_cursor": None}, {"next_cursor": ""}])
def test_a_last_page_may_leave_its_cursor_out(last: dict[str, object]) -> None:
    page = {"result": [{"id": "1"}], **last}

    assert read(UNIFIED, replace(LIST, cursor="c2"), page).next_cursor == ""


def test_a_page_that_leads_to_itself_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        read(UNIFIED, replace(LIST, cursor="c2"), a_page(cursor="c2"))


def test_a_project_is_a_bare_object_of_which_the_id_alone_is_promised() -> None:
    body = {"id": 23423523, "name": None, "status": "open", "remote_data": {"name": SECRET}}

    answer = answered(200, body, READ)

    assert answer.verdict is Verdict.SEEN
    assert answer.reading.projects[0].target.external_id == "23423523"
    assert answer.reading.projects[0].status == "open"
    assert SECRET not in repr(answer)


def test_another_project_than_asked_for_is_unreadable() -> None:
    assert answered(200, {"id": "7"}, READ).verdict is Verdict.UNAVAILABLE


METHODS = frozenset({"list", "get", "delete"})


@pytest.mark.parametrize(
    ("body", "methods"),
    [
        (
            {"unified": {"resources": [{"name": "projects", "methods": ["list", "delete"]}]}},
            {"list", "delete"},
        ),
        ({"unified": {"resources": [{"api_name": "crm", "methods": ["get"]}]}}, {"get"}),
        ({"unified": {"resources": [{"name": "contacts", "methods": ["get"]}]}}, set()),
        ({"result": [{"resource": "projects", "methods": ["list", "get", 7]}]}, {"list", "get"}),
        ({"unified": {"resources": None}}, set()),
        ({"unified": None}, set()),
        ({}, set()),
    ],
)
def test_capabilities_are_the_methods_for_projects(
    body: dict[str, object], methods: set[str]
) -> None:
    assert capabilities_of(body) == methods


def test_capabilities_are_read_like_anything_else() -> None:
    body = {"unified": {"resources": [{"name": "projects", "methods": sorted(METHODS)}]}}

    answer = answered(200, body, Call(action=Action.READ, source=CAPABILITIES))

    assert answer.verdict is Verdict.SEEN
    assert answer.reading.methods == METHODS


def test_the_catalogue_says_what_it_cannot_see() -> None:
    assert UNIFIED.catalogue.children == ()
    assert UNIFIED.catalogue.blind.endswith(".")
    assert not UNIFIED.catalogue.has_timer
    assert {one.name for one in (UNIFIED, CAPSULE, PIPELINER)} == {
        "unified",
        "capsule",
        "pipeliner",
    }
