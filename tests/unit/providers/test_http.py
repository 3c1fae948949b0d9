"""One call out, one answer back, over the wire to a server on loopback."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from worker.domain.calls import PROJECT, Action, Answer, Call, Target
from worker.domain.errors import CredentialsMissing, InvalidInput, Unreachable
from worker.domain.limits import Quota
from worker.domain.outcomes import Verdict
from worker.providers.dialect import Envelope
from worker.providers.http import HttpProvider
from worker.providers.requests import Connection
from worker.providers.zoho_books import V4

pytestmark = pytest.mark.enable_socket

BODIES = Path(__file__).with_name("bodies")
TOKEN = "1000.canary.secret"
PROJECT_ID = "460000000044019"
A_PROJECT = Target(kind=PROJECT, external_id=PROJECT_ID)
A_TASK = Target(kind="task", external_id="50000000012345", parent_external_id=PROJECT_ID)
LIST = Call(action=Action.LIST)
READ = Call(action=Action.READ, targets=(A_PROJECT,))
DELETE = Call(action=Action.DELETE, targets=(A_PROJECT,))
DELETE_TASK = Call(action=Action.DELETE, targets=(A_TASK,))
DELETED = {"code": 0, "message": "The project has been deleted."}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Keeps every request it got, as it stood on the wire."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.lines: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        self.lines.append(f"{request.method} {request.raw_path}")
        self.headers.append(request.headers.copy())
        return await self.handler(request)


def saying(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


def sending(content: bytes, status: int, content_type: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, status=status, headers={"Content-Type": content_type})

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    assert transport is not None
    transport.abort()
    return web.Response()


def a_connection(base_url: str) -> Connection:
    return Connection(
        name="acme",
        base_url=base_url,
        dialect=V4,
        selector_value="10234695",
        token=lambda: TOKEN,
        in_flight=5,
    )


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Server]:
    server = Server(handler)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    async with TestServer(app, host="127.0.0.1") as running:
        server.url = f"http://127.0.0.1:{running.port}/books/v4"
        yield server


@asynccontextmanager
async def connected(connection: Connection) -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(connection)
    try:
        yield provider
    finally:
        await provider.aclose()


async def ask(handler: Handler, call: Call) -> Answer:
    async with serving(handler) as server, connected(a_connection(server.url)) as provider:
        return await provider.perform(call)


async def test_a_deletion_is_sent_once_as_documented_and_confirmed() -> None:
    async with (
        serving(saying(DELETED, headers={"X-Request-Id": "abc-1"})) as server,
        connected(a_connection(server.url)) as provider,
    ):
        answer = await provider.perform(DELETE_TASK)

    assert server.lines == [
        f"DELETE /books/v4/projects/{PROJECT_ID}/tasks/50000000012345?organization-id=10234695"
    ]
    assert server.headers[0]["Authorization"] == f"Zoho-oauthtoken {TOKEN}"
    assert server.headers[0]["Accept-Encoding"] == "identity"
    assert answer.verdict is Verdict.DELETED
    assert answer.http_status == 200
    assert answer.provider_code == "0"
    assert answer.message == "The project has been deleted."
    assert answer.request_id == "abc-1"
    assert answer.error_class == ""
    assert timedelta(0) < answer.duration < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("call", "body", "ids"),
    [
        (LIST, "projects", [PROJECT_ID]),
        (READ, "project", ["460000000038034", "50000000012345", "5000000003159"]),
        (replace(READ, source="comment"), "comments", ["460000000044027", "460000000044028"]),
    ],
)
async def test_a_read_shows_what_the_body_holds(call: Call, body: str, ids: list[str]) -> None:
    answer = await ask(saying(json.loads((BODIES / f"{body}.json").read_bytes())), call)

    shown = answer.reading.children or answer.reading.projects
    assert answer.verdict is Verdict.SEEN
    assert [seen.target.external_id for seen in shown] == ids


ODD: list[tuple[str, Handler]] = [
    ("no code", saying({"message": "deleted"})),
    ("a text for a code", saying({"code": "0"})),
    ("not an object", saying([0])),
    ("rubbish", sending(b"<html>", 200, "application/json")),
    ("half", sending(b'{"code": 0', 200, "application/json")),
    ("nothing", sending(b"", 200, "application/json")),
    ("another type", sending(b'{"code": 0}', 200, "text/html")),
    ("no type", sending(b'{"code": 0}', 200, "")),
    ("another coding", sending(b"\x1f\x8b\x08\x00\x00\x00", 200, "application/json")),
    ("oversize", sending(b" " * (8 * 1024 * 1024 + 1), 200, "application/json")),
    ("accepted", saying(DELETED, 202)),
    ("no content", sending(b"", 204, "application/json")),
    ("a bare 404", sending(b"not found", 404, "text/plain")),
    ("a proxy's 404", saying({"error": "Not Found", "status": 404}, 404)),
    ("500", saying({"code": 1000, "message": "internal"}, 500)),
    ("502", sending(b"<html>", 502, "text/html")),
    ("503 that says it is absent", saying({"code": 1002}, 503)),
    ("503 that says it is done", saying(DELETED, 503)),
    ("reset", hang_up),
]


@pytest.mark.parametrize("handler", [pytest.param(act, id=name) for name, act in ODD])
async def test_an_unclear_answer_settles_nothing(handler: Handler) -> None:
    deletion = await ask(handler, DELETE)
    reading = await ask(handler, READ)
    listing = await ask(handler, LIST)

    assert deletion.verdict is Verdict.AMBIGUOUS
    assert reading.verdict is Verdict.UNAVAILABLE
    assert listing.verdict is Verdict.UNAVAILABLE
    assert listing.message


async def test_a_lost_connection_is_named_as_the_wire_names_it() -> None:
    answer = await ask(hang_up, DELETE)

    assert answer.error_class == "reset"
    assert answer.http_status is None


async def test_a_body_that_cannot_be_read_says_where() -> None:
    answer = await ask(saying({"code": 0, "message": "success", "project": {}}), READ)

    assert answer.verdict is Verdict.UNAVAILABLE
    assert answer.error_class == "unreadable"
    assert answer.message == "project_id is not an id"


async def test_a_server_that_is_too_slow_is_ambiguous_at_the_deadline() -> None:
    released = asyncio.Event()

    async def wait(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.json_response(DELETED)

    async with serving(wait) as server:
        slow = replace(a_connection(server.url), deadline=timedelta(milliseconds=100))
        async with connected(slow) as provider:
            answer = await provider.perform(DELETE)
        released.set()

    assert answer.verdict is Verdict.AMBIGUOUS
    assert answer.error_class == "timeout"


async def test_a_refused_connection_is_not_sent() -> None:
    base_url = f"http://127.0.0.1:{unused_port()}/books/v4"
    async with connected(a_connection(base_url)) as provider:
        answers = [await provider.perform(call) for call in (DELETE, READ, LIST)]

    assert [answer.verdict for answer in answers] == [Verdict.NOT_SENT] * 3
    assert {answer.error_class for answer in answers} == {"refused"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_invalid_and_is_not_followed(status: int) -> None:
    async with (
        serving(saying(DELETED, status, {"Location": "/books/v4/gone"})) as server,
        connected(a_connection(server.url)) as provider,
    ):
        answer = await provider.perform(DELETE)

    assert answer.verdict is Verdict.INVALID
    assert len(server.lines) == 1


async def test_a_redirect_is_not_followed_where_the_transport_would_let_it_pass() -> None:
    asked: list[httpx.Request] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"Location": "/books/v4/gone"})

    provider = HttpProvider(
        a_connection("https://provider.example/books/v4"),
        transport=httpx.MockTransport(redirect),
    )
    answer = await provider.perform(DELETE)

    assert answer.verdict is Verdict.INVALID
    assert [request.method for request in asked] == ["DELETE"]


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (404, 1002, Verdict.ABSENT),
        (400, 1002, Verdict.ABSENT),
        (404, 5, Verdict.INVALID),
        (405, 37, Verdict.INVALID),
        (400, 2, Verdict.INVALID),
        (401, 57, Verdict.UNAUTHORISED),
        (401, 14, Verdict.UNAUTHORISED),
        (429, 44, Verdict.THROTTLED),
        (429, 45, Verdict.QUOTA_EXHAUSTED),
        (400, 1025, Verdict.REFUSED),
        (200, 1025, Verdict.REFUSED),
    ],
)
async def test_an_error_is_kept_with_its_code_and_text(
    status: int, code: int, verdict: Verdict
) -> None:
    answer = await ask(saying({"code": code, "message": "why"}, status), DELETE)

    assert answer.verdict is verdict
    assert (answer.http_status, answer.provider_code) == (status, str(code))
    assert answer.message == "why"


@pytest.mark.parametrize(
    ("code", "headers", "wait"),
    [
        (43, {"Retry-After": "3600"}, timedelta(hours=1)),
        (44, {"Retry-After": "0"}, None),
        (44, {}, None),
        (1070, {}, timedelta(seconds=1)),
        (1070, {"Retry-After": "9"}, timedelta(seconds=9)),
        (
            44,
            {
                "Date": "Wed, 06 Aug 2025 04:35:43 GMT",
                "Retry-After": "Wed, 06 Aug 2025 04:36:43 GMT",
            },
            timedelta(minutes=1),
        ),
    ],
)
async def test_a_wait_is_read_by_the_clock_of_the_server(
    code: int, headers: dict[str, str], wait: timedelta | None
) -> None:
    answer = await ask(saying({"code": code, "message": ""}, 429, headers), DELETE)

    assert answer.verdict is Verdict.THROTTLED
    assert answer.retry_after == wait


async def test_what_the_provider_says_is_cut_and_cleaned_and_keeps_no_secret() -> None:
    said = f"bad\x1b[2J token\n{TOKEN}\x00 \u202e" + "x" * 500
    headers = {"X-Request-Id": TOKEN}

    answer = await ask(saying({"code": 57, "message": said}, 401, headers), DELETE)

    assert answer.message.startswith("bad[2J token [secret] xxx")
    assert len(answer.message) == 300
    assert TOKEN not in repr(answer)


async def test_an_id_that_is_none_never_reaches_the_provider() -> None:
    call = Call(action=Action.DELETE, targets=(replace(A_PROJECT, external_id="../users/7"),))
    async with (
        serving(saying(DELETED)) as server,
        connected(a_connection(server.url)) as provider,
    ):
        answer = await provider.perform(call)

    assert answer.verdict is Verdict.INVALID
    assert answer.error_class == "input"
    assert server.lines == []


def _missing() -> str:
    raise CredentialsMissing("environment variable ACME_TOKEN is not set", fix="export it")


def _unreachable() -> str:
    raise Unreachable("no Redis, so no token")


def _broken() -> str:
    raise ZeroDivisionError(TOKEN)


@pytest.mark.parametrize(
    ("token", "verdict", "message"),
    [
        (
            _missing,
            Verdict.UNAUTHORISED,
            "environment variable ACME_TOKEN is not set; export it",
        ),
        (_unreachable, Verdict.NOT_SENT, "no Redis, so no token"),
        (_broken, Verdict.UNAUTHORISED, "the token cannot be had: ZeroDivisionError"),
    ],
)
async def test_without_a_token_there_is_no_call(
    token: Callable[[], str], verdict: Verdict, message: str
) -> None:
    async with serving(saying(DELETED)) as server:
        without = replace(a_connection(server.url), token=token)
        async with connected(without) as provider:
            answer = await provider.perform(DELETE)

    assert answer.verdict is verdict
    assert answer.error_class == "credentials"
    assert answer.message == message
    assert server.lines == []


@pytest.mark.parametrize("token", ["", "two words", "line\nend", "\u00fc\u00f1", "null\x00"])
async def test_a_token_that_is_no_header_is_not_repeated_by_an_error(token: str) -> None:
    connection = replace(a_connection("http://127.0.0.1:1/books/v4"), token=lambda: token)
    async with connected(connection) as provider:
        answer = await provider.perform(DELETE)

    assert answer.verdict is Verdict.UNAUTHORISED
    assert not token or token not in answer.message


async def test_the_token_is_asked_for_anew_for_each_call() -> None:
    tokens: Iterator[str] = iter(["old.token", "new.token"])
    async with serving(saying(DELETED)) as server:
        changing = replace(a_connection(server.url), token=lambda: next(tokens))
        async with connected(changing) as provider:
            await provider.perform(DELETE)
            await provider.perform(DELETE)

    sent = [headers["Authorization"] for headers in server.headers]
    assert sent == ["Zoho-oauthtoken old.token", "Zoho-oauthtoken new.token"]


async def test_a_cancelled_call_is_cancelled_and_the_next_one_works() -> None:
    arrived, released = asyncio.Event(), asyncio.Event()

    async def wait(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await released.wait()
        return web.json_response(DELETED)

    async with serving(wait) as server, connected(a_connection(server.url)) as provider:
        first = asyncio.create_task(provider.perform(DELETE))
        await arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        released.set()
        second = await provider.perform(DELETE)

    assert second.verdict is Verdict.DELETED


class Raising(httpx.AsyncBaseTransport):
    """A wire that fails in a way nobody thought of."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.method
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("may have been sent all the same"),
        httpx.ReadTimeout("slow"),
        RuntimeError(f"with {TOKEN}"),
        OSError("disk"),
        KeyError("x"),
    ],
)
async def test_only_the_wire_may_say_that_nothing_left(error: Exception) -> None:
    provider = HttpProvider(
        a_connection("https://provider.example/books/v4"), transport=Raising(error)
    )

    deletion = await provider.perform(DELETE)
    reading = await provider.perform(READ)

    assert deletion.verdict is Verdict.AMBIGUOUS
    assert deletion.error_class == type(error).__name__
    assert TOKEN not in repr(deletion)
    assert reading.verdict is Verdict.UNAVAILABLE


async def test_a_dialect_with_a_mistake_in_it_raises_nothing() -> None:
    def envelope(_: Mapping[str, object]) -> Envelope:
        raise LookupError

    answered = httpx.MockTransport(lambda _: httpx.Response(200, json=DELETED))
    connection = a_connection("https://provider.example/books/v4")
    wrong_path = replace(V4, deletes={PROJECT: "/projects/{nobody}"})
    wrong_envelope = replace(V4, envelope=envelope)

    unsent = HttpProvider(replace(connection, dialect=wrong_path), transport=answered)
    unread = HttpProvider(replace(connection, dialect=wrong_envelope), transport=answered)

    assert (await unsent.perform(DELETE)).verdict is Verdict.INVALID
    assert (await unread.perform(DELETE)).verdict is Verdict.AMBIGUOUS


def test_a_base_url_that_is_not_safe_makes_no_provider() -> None:
    with pytest.raises(InvalidInput, match="not safe to send a token to"):
        HttpProvider(a_connection("http://provider.example/books/v4"))


async def test_nothing_of_a_call_gets_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await ask(saying(DELETED), DELETE)

    written = [record for record in caplog.records if record.name.startswith("httpx")]
    assert written == []
    assert TOKEN not in caplog.text


async def test_a_proxy_of_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = f"http://127.0.0.1:{unused_port()}"
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("ALL_PROXY", proxy)

    answer = await ask(saying(DELETED), DELETE)

    assert answer.verdict is Verdict.DELETED


@pytest.mark.parametrize(
    ("left", "resets", "quota"),
    [
        ("7", "3600", Quota(left=7, resets_in=timedelta(seconds=3601))),
        ("0", "1", Quota(left=0, resets_in=timedelta(seconds=2))),
        ("7", "1795305600", None),  # an instant, or nothing that can be meant
        ("-1", "60", None),
        ("many", "60", None),
        ("7", "", None),
        ("", "60", None),
    ],
)
async def test_what_an_answer_says_is_left_is_told(
    left: str, resets: str, quota: Quota | None
) -> None:
    headers = {"X-Rate-Limit-Remaining": left, "X-Rate-Limit-Reset": resets}

    answer = await ask(saying(DELETED, headers=headers), DELETE_TASK)

    assert (answer.verdict, answer.quota) == (Verdict.DELETED, quota)


async def test_an_answer_without_such_headers_says_nothing_of_it() -> None:
    assert (await ask(saying(DELETED), DELETE_TASK)).quota is None
