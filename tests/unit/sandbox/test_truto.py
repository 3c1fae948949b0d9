import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from worker.sandbox.server import Options, Sandbox

Tell = Callable[..., Awaitable[Any]]
Ask = Callable[..., Awaitable["Answered"]]
ACCOUNT = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
OTHER = "0f1d6c1e-3a0e-4b43-8d7e-6a4f2f5f6c11"
PROJECTS = "/unified/crm/projects"
SECRET = "canary-7c1"

pytestmark = pytest.mark.enable_socket


class Answered:
    """What came over the wire."""

    def __init__(self, status: int, raw: bytes, headers: dict[str, str], body: Any) -> None:  # noqa: ANN401 - a JSON body
        self.status, self.raw, self.headers, self.body = status, raw, headers, body


@pytest.fixture
async def account(tell: Tell) -> None:
    await tell("truto", ACCOUNT, token="t", provider="capsule", remote_secret=SECRET)
    await tell("seed", ACCOUNT, projects=3, first_id=100, status=["open", "closed"])


@pytest.fixture
def ask_truto(sandbox: Sandbox, wire: aiohttp.ClientSession, account: None) -> Ask:  # noqa: ARG001 - there must be one
    async def call(
        method: str,
        path: str = f"{PROJECTS}/100",
        query: str = "",
        *,
        account_id: str = ACCOUNT,
        token: str = "t",  # noqa: S107 - a made-up token
    ) -> Answered:
        asked = f"integrated_account_id={account_id}{query}" if account_id else query
        url = URL(f"{sandbox.truto_url}{path}?{asked}", encoded=True)
        headers = {"Authorization": f"Bearer {token}"}
        async with wire.request(method, url, headers=headers, allow_redirects=False) as answer:
            raw = await answer.read()
            is_json = bool(raw) and answer.content_type == "application/json"
            body = await answer.json() if is_json else None
            return Answered(answer.status, raw, dict(answer.headers), body)

    return call


async def test_a_project_is_got_bare_and_deleted_once(ask_truto: Ask, tell: Tell) -> None:
    got = await ask_truto("GET")
    deleted = await ask_truto("DELETE")
    again = await ask_truto("DELETE")
    gone = await ask_truto("GET")

    assert (got.status, got.body["id"], got.body["status"]) == (200, "100", "open")
    assert got.body["created_at"] == "2025-01-06T04:35:43.000Z"
    assert got.body["remote_data"]["status"] == "OPEN"
    assert (deleted.status, deleted.body) == (200, {"id": "100"})
    assert (again.status, gone.status) == (404, 404)
    assert again.body == {
        "statusCode": 404,
        "error": "Not Found",
        "message": "could not find resource",
        "truto_is_remote_error": True,
        "raw_response": {"message": "could not find resource"},
    }
    rows = await tell("ledger")
    assert [row["effect"] for row in rows] == ["read", "deleted", "none", "none"]
    assert rows[1]["organization_id"] == ACCOUNT
    assert list(await tell("state", ACCOUNT)) == ["101", "102"]


@pytest.mark.parametrize(
    "format_, status, body",
    [
        ("unified", 200, b'{"id":"100"}'),
        ("raw", 204, b""),
        ("normalized", 200, b'{"id":"100"}'),
        ("stream", 204, b""),
    ],
)
async def test_a_delete_in_capsule_answers_in_the_format_asked_for(
    ask_truto: Ask, tell: Tell, format_: str, status: int, body: bytes
) -> None:
    answer = await ask_truto("DELETE", query=f"&truto_response_format={format_}")

    assert (answer.status, answer.raw) == (status, body)
    assert "100" not in await tell("state", ACCOUNT)


REMOTE = b'{"success":true,"data":{"id":"100","is_deleted":true}}'


@pytest.mark.parametrize(
    "format_, body, content_type",
    [
        ("unified", b'{"id":"100","remote_data":' + REMOTE + b"}", "application/json"),
        ("raw", REMOTE, "application/json"),
        ("normalized", b'{"id":"100"}', "application/json"),
        ("stream", REMOTE, "application/octet-stream"),
    ],
)
async def test_a_delete_in_pipeliner_answers_in_the_format_asked_for(
    ask_truto: Ask, tell: Tell, format_: str, body: bytes, content_type: str
) -> None:
    await tell("truto", ACCOUNT, provider="pipeliner")

    answer = await ask_truto("DELETE", query=f"&truto_response_format={format_}")

    assert (answer.status, answer.raw) == (200, body)
    assert answer.headers["Content-Type"].partition(";")[0] == content_type


async def test_a_debug_envelope_holds_a_secret_to_be_scrubbed(ask_truto: Ask) -> None:
    query = "&truto_response_format=debug&remote_query[a]=b"

    answer = await ask_truto("DELETE", query=query)

    debug = answer.body["debug"]
    assert answer.body["result"] == {"id": "100"}
    assert sorted(debug) == ["data", "requestOptions", "requestUrl", "responseHeaders"]
    assert debug["requestOptions"]["headers"] == {"Authorization": f"Bearer {SECRET}"}
    assert debug["requestOptions"]["query"] == {"remote_query[a]": "b"}


async def test_a_debug_envelope_may_be_empty(ask_truto: Ask, tell: Tell) -> None:
    await tell("truto", ACCOUNT, debug_null=True)

    answer = await ask_truto("DELETE", query="&truto_response_format=debug")

    assert answer.body == {"result": {"id": "100"}, "debug": None}


async def test_a_format_nobody_knows_is_refused_and_nothing_deleted(
    ask_truto: Ask, tell: Tell
) -> None:
    answer = await ask_truto("DELETE", query="&truto_response_format=xml")

    assert (answer.status, answer.body["error"]) == (400, "Bad Request")
    assert "100" in await tell("state", ACCOUNT)


async def test_what_the_caller_does_not_want_to_see_is_left_out(
    ask_truto: Ask, tell: Tell
) -> None:
    await tell("truto", ACCOUNT, provider="pipeliner")
    fields = "&truto_exclude_fields[]=name&truto_exclude_fields[]=tags"

    got = await ask_truto("GET", query=f"{fields}&truto_ignore_remote_data=true")
    unread = await ask_truto("DELETE", query="&truto_ignore_remote_data=true")
    nothing = await ask_truto("DELETE", f"{PROJECTS}/101", "&truto_exclude_fields[]=id")

    assert not {"name", "tags", "remote_data"} & got.body.keys()
    assert unread.body == {"id": "100"}
    assert "id" not in nothing.body


async def test_the_ledger_keeps_the_query_byte_by_byte(ask_truto: Ask, tell: Tell) -> None:
    query = "&truto_exclude_fields%5B%5D=id&truto_exclude_fields[]=a%20b&remote_query[x]=%2Fy+z"

    await ask_truto("DELETE", query=query)

    [row] = await tell("ledger")
    assert row["query"] == f"integrated_account_id={ACCOUNT}{query}"


@pytest.mark.parametrize(
    "asked, status",
    [
        ({"token": "wrong"}, 401),
        ({"account_id": ""}, 400),
        ({"account_id": "nobody"}, 404),
        ({"account_id": "1"}, 404),
        ({"path": "/unified/crm/nothing"}, 404),
        ({"path": f"{PROJECTS}/"}, 404),
        ({"path": f"{PROJECTS}/100/tasks"}, 404),
        ({"path": PROJECTS}, 405),
    ],
)
async def test_a_call_that_is_wrong_is_refused_by_truto_itself(
    ask_truto: Ask, tell: Tell, asked: dict[str, str], status: int
) -> None:
    answer = await ask_truto("DELETE", **asked)

    assert (answer.status, answer.body["statusCode"]) == (status, status)
    assert "truto_is_remote_error" not in answer.body
    assert len(await tell("state", ACCOUNT)) == 3


async def test_a_token_opens_its_own_accounts_only(ask_truto: Ask, tell: Tell) -> None:
    await tell("truto", OTHER, token="t2")
    await tell("seed", OTHER, projects=1, first_id=100)

    crossed = await ask_truto("DELETE", account_id=OTHER)
    own = await ask_truto("DELETE", account_id=OTHER, token="t2")

    assert (crossed.status, own.status) == (404, 200)
    assert len(await tell("state", ACCOUNT)) == 3


async def test_a_missing_scope_is_refused(ask_truto: Ask, tell: Tell) -> None:
    await tell("organization", ACCOUNT, token="t", scopes=["READ"])

    assert (await ask_truto("DELETE")).status == 403
    assert (await ask_truto("GET")).status == 200


@pytest.mark.parametrize(
    "state, read, delete, remote",
    [
        ("blocked", 503, 503, None),
        ("sandbox", 200, 405, None),
        ("reauth", 401, 401, True),
    ],
)
async def test_an_account_that_does_not_stand_well_says_so(
    ask_truto: Ask, tell: Tell, state: str, read: int, delete: int, *, remote: bool | None
) -> None:
    await tell("truto", ACCOUNT, state=state)

    got, deleted = await ask_truto("GET"), await ask_truto("DELETE")

    assert (got.status, deleted.status) == (read, delete)
    assert deleted.body.get("truto_is_remote_error") is remote
    assert len(await tell("state", ACCOUNT)) == 3


async def test_a_refused_project_is_the_providers_error(ask_truto: Ask, tell: Tell) -> None:
    await tell("refused", ACCOUNT, ["100"], status=409, text="Has open tasks")
    await tell("truto", ACCOUNT, empty_message=True, error_insight=True)

    answer = await ask_truto("DELETE")

    assert answer.status == 409
    assert (answer.body["error"], answer.body["message"]) == ("Conflict", "")
    assert answer.body["truto_is_remote_error"] is True
    assert answer.body["raw_response"] == {"message": "Has open tasks"}
    assert answer.body["truto_error_insight"]


async def test_capabilities_list_the_methods_of_an_account(ask_truto: Ask, tell: Tell) -> None:
    path = f"/integrated-account/{ACCOUNT}/capabilities"
    query = "type=unified&resource=projects"

    full = await ask_truto("GET", path, query, account_id="")
    await tell("truto", ACCOUNT, capabilities=["list", "get"])
    less = await ask_truto("GET", path, query, account_id="")
    refused = await ask_truto("DELETE")

    assert full.body["result"][0]["methods"] == ["list", "get", "delete"]
    assert less.body["result"][0]["methods"] == ["list", "get"]
    assert refused.status == 405


async def test_an_account_has_a_purse_of_fifty_in_ten_seconds(ask_truto: Ask, tell: Tell) -> None:
    answers = await asyncio.gather(*(ask_truto("GET") for _ in range(51)))

    assert sorted(answer.status for answer in answers)[-2:] == [200, 429]
    [full] = [answer for answer in answers if answer.status == 429]
    assert full.headers["Retry-After"] == "10"
    assert (await tell("stats"))["organizations"][ACCOUNT]["over"]["window"] == 1


async def test_a_token_has_a_purse_over_all_its_accounts(ask_truto: Ask, tell: Tell) -> None:
    await tell("truto", OTHER, token="t")
    await tell("seed", OTHER, projects=1, first_id=100)
    await tell("purse", "t", windows=[[2, 10]])

    statuses = [
        (await ask_truto("GET", account_id=account_id)).status
        for account_id in (ACCOUNT, OTHER, ACCOUNT)
    ]

    assert statuses == [200, 200, 429]
    stats = await tell("stats")
    assert stats["purses"]["t"]["over"]["window"] == 1
    assert stats["purses"]["t"]["in_flight"]["now"] == 0
    assert stats["organizations"][ACCOUNT]["in_flight"]["now"] == 0


async def test_quota_headers_are_shown_if_they_are_to(ask_truto: Ask, tell: Tell) -> None:
    hidden = await ask_truto("GET")
    await tell("truto", ACCOUNT, quota_headers=True)

    shown = await ask_truto("GET")

    assert "ratelimit-limit" not in hidden.headers
    assert (shown.headers["ratelimit-limit"], shown.headers["ratelimit-remaining"]) == (
        "50;w=10",
        "48",
    )
    assert 0 < int(shown.headers["ratelimit-reset"]) <= 10


@pytest.mark.parametrize(
    "kind, status, remains",
    [
        ("error_before", 500, True),
        ("error_after", 500, False),
        ("refuse", 422, True),
        ("throttle", 429, True),
        ("throttle_day", 429, True),
        ("unauthorised", 401, True),
        ("redirect", 302, True),
        ("garbage", 200, False),
        ("wrong_type", 200, False),
        ("oversize", 200, False),
        ("slow", 200, False),
        ("still_visible", 200, False),
    ],
)
async def test_every_fault_that_answers_is_known_here_too(
    ask_truto: Ask, tell: Tell, kind: str, status: int, *, remains: bool
) -> None:
    rule = {"kind": kind, "match": {"organization_id": ACCOUNT}, "seconds": 0.01, "size": 2000}
    await tell("faults", [rule])

    answer = await ask_truto("DELETE")

    assert answer.status == status
    assert ("100" in await tell("state", ACCOUNT)) is remains


@pytest.mark.parametrize("kind, remains", [("lost_before", True), ("lost_after", False)])
async def test_an_answer_is_lost_here_too(
    ask_truto: Ask, tell: Tell, kind: str, *, remains: bool
) -> None:
    await tell("faults", [{"kind": kind, "match": {"organization_id": ACCOUNT}}])

    with pytest.raises(aiohttp.ClientConnectionError):
        await ask_truto("DELETE")

    assert ("100" in await tell("state", ACCOUNT)) is remains


async def test_a_deleted_project_may_stay_visible(ask_truto: Ask, tell: Tell) -> None:
    rule = {"kind": "still_visible", "match": {"method": "DELETE"}, "seconds": 60}
    await tell("faults", [rule])

    await ask_truto("DELETE")

    assert (await ask_truto("GET")).status == 200


async def test_an_account_is_no_organisation_of_zoho(
    sandbox: Sandbox,
    wire: aiohttp.ClientSession,
    account: None,  # noqa: ARG001 - there must be one
) -> None:
    async with wire.get(f"{sandbox.url}/projects?organization-id={ACCOUNT}") as answer:
        assert answer.status == 400


async def test_a_prefix_may_stand_before_it_all(wire: aiohttp.ClientSession) -> None:
    async with Sandbox(Options(truto_prefix="/truto")) as sandbox:
        async with wire.get(f"{sandbox.truto_url}{PROJECTS}/1") as answer:
            inside = answer.status
        async with wire.get(f"{sandbox.origin}{PROJECTS}/1") as answer:
            outside = (await answer.json())["code"]

    assert sandbox.truto_url.endswith("/truto")
    assert (inside, outside) == (401, 5)
