"""What leaves on the wire and what comes back, seen from real loopback sockets."""

import asyncio
import gzip
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from worker.providers import wire as wire_module
from worker.providers.wire import Ambiguous, NotSent, UnsafeTarget, Wire, raw_request

pytestmark = pytest.mark.enable_socket

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Act = Callable[["Stub", asyncio.StreamWriter], Awaitable[None]]


class Stub:
    """Reads requests, keeps their bytes, and answers each by the next act, the last for ever."""

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.requests: list[bytes] = []
        self.connections = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.url = ""
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def request_lines(self) -> list[bytes]:
        return [request.split(b"\r\n", 1)[0] for request in self.requests]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self.serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    await act(self, writer)
                finally:
                    self.in_flight -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def says(answer: bytes) -> Act:
    async def act(_: Stub, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return act


def says_after(seconds: float, answer: bytes) -> Act:
    async def act(_: Stub, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(answer)

    return act


def abort(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of a farewell."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset(_: Stub, writer: asyncio.StreamWriter) -> None:
    abort(writer)


async def hang_up(_: Stub, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def never(_: Stub, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(_: Stub, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _number in range(100):
        writer.write(b"x")
        await asyncio.sleep(0.1)


async def flood(_: Stub, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    for _number in range(1600):
        writer.write(b"x" * 65536)
        await writer.drain()


@asynccontextmanager
async def serving(*acts: Act) -> AsyncIterator[Stub]:
    stub = Stub(*acts)
    server = await asyncio.start_server(stub.accept, "127.0.0.1", 0, backlog=512)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stub
    finally:
        server.close()
        for task in list(stub.tasks):
            task.cancel()
        await asyncio.gather(*stub.tasks, return_exceptions=True)
        await server.wait_closed()


def a_wire(
    *, connections: int = 5, deadline: float = 5.0, body_cap: int = wire_module.BODY_CAP
) -> Wire:
    return Wire(connections=connections, deadline=timedelta(seconds=deadline), body_cap=body_cap)


def a_delete(base_url: str, path: str = "/projects/7") -> httpx.Request:
    return raw_request("DELETE", base_url, path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# --- sent once, and told apart -------------------------------------------------


async def test_a_reset_on_a_reused_connection_is_one_delete_and_ambiguous() -> None:
    async with serving(says(OK), reset, says(OK)) as stub, a_wire() as wire:
        await wire.handle_async_request(raw_request("GET", stub.url, "/first"))

        with pytest.raises(Ambiguous) as lost:
            await wire.handle_async_request(a_delete(stub.url))

    assert lost.value.reason == "reset"
    assert stub.connections == 1
    assert stub.request_lines == [b"GET /first HTTP/1.1", b"DELETE /projects/7 HTTP/1.1"]


async def test_a_hang_up_on_a_reused_connection_is_one_delete_and_ambiguous() -> None:
    async with serving(says(OK), hang_up, says(OK)) as stub, a_wire() as wire:
        await wire.handle_async_request(raw_request("GET", stub.url, "/first"))

        with pytest.raises(Ambiguous) as lost:
            await wire.handle_async_request(a_delete(stub.url))

    assert lost.value.reason == "reset"
    assert stub.request_lines == [b"GET /first HTTP/1.1", b"DELETE /projects/7 HTTP/1.1"]


async def test_a_timeout_on_a_reused_connection_is_ambiguous() -> None:
    async with serving(says(OK), never) as stub, a_wire(deadline=0.3) as wire:
        await wire.handle_async_request(raw_request("GET", stub.url, "/first"))

        with pytest.raises(Ambiguous) as late:
            await wire.handle_async_request(a_delete(stub.url))

    assert late.value.reason == "timeout"
    assert stub.connections == 1


async def test_aiohttp_left_to_itself_sends_the_delete_again() -> None:
    # The control: if it fails, aiohttp has changed the switch that wire.py relies on.
    async with serving(says(OK), reset, says(OK)) as stub, aiohttp.ClientSession() as session:
        assert session._retry_connection is True
        async with session.get(stub.url + "/first") as first:
            await first.read()

        async with session.delete(stub.url + "/projects/7") as second:
            await second.read()

    assert stub.request_lines.count(b"DELETE /projects/7 HTTP/1.1") == 2


async def test_the_wire_refuses_an_aiohttp_without_the_switch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Newer:
        def __init__(self, **_: object) -> None:
            pass

    monkeypatch.setattr(aiohttp, "ClientSession", Newer)
    wire = a_wire()

    with pytest.raises(RuntimeError, match="silent re-sends"):
        await wire.handle_async_request(a_delete("http://127.0.0.1:9"))
    with pytest.raises(RuntimeError, match="silent re-sends"):
        await wire.handle_async_request(a_delete("http://127.0.0.1:9"))


async def test_a_reset_on_a_fresh_connection_is_ambiguous() -> None:
    async with serving(reset) as stub, a_wire() as wire:
        with pytest.raises(Ambiguous) as lost:
            await wire.handle_async_request(a_delete(stub.url))

    assert lost.value.reason == "reset"
    assert len(stub.requests) == 1


async def test_a_refused_connection_is_not_sent() -> None:
    async with a_wire() as wire:
        with pytest.raises(NotSent) as refused:
            await wire.handle_async_request(a_delete(f"http://127.0.0.1:{free_port()}"))

    assert refused.value.reason == "refused"


async def test_a_reset_in_the_tls_handshake_is_not_sent() -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        abort(writer)

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, a_wire() as wire:
        with pytest.raises(NotSent) as dropped:
            await wire.handle_async_request(a_delete(f"https://127.0.0.1:{port}"))

    assert dropped.value.reason == "tls"


async def test_a_server_that_speaks_no_tls_is_not_sent() -> None:
    async def shout(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, a_wire() as wire:
        with pytest.raises(NotSent) as refused:
            await wire.handle_async_request(a_delete(f"https://127.0.0.1:{port}"))

    assert refused.value.reason == "tls"


async def test_a_handshake_that_never_ends_is_not_sent() -> None:
    done = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, a_wire(deadline=0.2) as wire:
        with pytest.raises(NotSent) as late:
            await wire.handle_async_request(a_delete(f"https://127.0.0.1:{port}"))
        done.set()

    assert late.value.reason == "connect_timeout"


async def test_waiting_for_a_place_in_the_pool_past_the_deadline_is_not_sent() -> None:
    async with serving(never) as stub, a_wire(connections=1, deadline=0.4) as wire:
        first = asyncio.ensure_future(wire.handle_async_request(a_delete(stub.url, "/a/1")))
        await asyncio.sleep(0.05)
        second = raw_request("DELETE", stub.url, "/a/2")
        second.extensions["deadline"] = 0.1

        with pytest.raises(NotSent) as queued:
            await wire.handle_async_request(second)
        with pytest.raises(Ambiguous) as sent:
            await first

    assert (queued.value.reason, sent.value.reason) == ("pool_timeout", "timeout")
    assert stub.request_lines == [b"DELETE /a/1 HTTP/1.1"]


def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    key = ConnectionKey("nowhere", 443, True, True, None, None, None)
    error = aiohttp.ClientConnectorDNSError(key, socket.gaierror("no such name"))
    request = a_delete("https://nowhere")

    translated = wire_module._translated(error, wire_module._Phase.CONNECTING, request)

    assert isinstance(translated, NotSent)
    assert translated.reason == "dns"


def test_without_both_witnesses_a_loss_is_ambiguous() -> None:
    request = a_delete("http://nowhere")
    unclear = aiohttp.ServerDisconnectedError()

    translated = wire_module._translated(unclear, wire_module._Phase.CONNECTING, request)

    assert isinstance(translated, Ambiguous)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\x01\x02 hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
    ids=["noise", "length", "chunk", "header"],
)
async def test_broken_http_is_ambiguous(rubbish: bytes) -> None:
    async with serving(says(rubbish)) as stub, a_wire() as wire:
        with pytest.raises(Ambiguous) as broken:
            await wire.handle_async_request(a_delete(stub.url))

    assert broken.value.reason == "broken"


async def test_a_body_cut_short_is_ambiguous() -> None:
    async def half(_: Stub, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        writer.close()

    async with serving(half) as stub, a_wire() as wire:
        with pytest.raises(Ambiguous):
            await wire.handle_async_request(a_delete(stub.url))


async def test_both_errors_pass_through_the_client_of_httpx() -> None:
    async with serving(hang_up) as stub, httpx.AsyncClient(transport=a_wire()) as client:
        with pytest.raises(httpx.TransportError) as lost:
            await client.send(a_delete(stub.url))

    assert isinstance(lost.value, Ambiguous)


# --- bytes on the wire = bytes asked for ---------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/projects/460000000038080",
        "/a%2Fb/c%20d",
        "/lower%2fcase/%7C%c3%a9",
        "/bulk/?ids=1,2,3&x=%2f..%2f",
        "/semi;colon/tilde~/plus+/at@/star*",
        "/trailing/",
        "/two..dots/...",
    ],
)
async def test_bytes_on_the_wire_are_the_bytes_asked_for(path: str) -> None:
    async with serving(says(OK)) as stub, a_wire() as wire:
        await wire.handle_async_request(a_delete(stub.url, path))

    assert stub.request_lines == [f"DELETE {path} HTTP/1.1".encode()]


async def test_the_path_of_the_base_url_comes_first_and_params_last() -> None:
    async with serving(says(OK)) as stub, a_wire() as wire:
        request = raw_request("DELETE", stub.url + "/v1/", "/projects/7", {"org": "a b&c"})
        await wire.handle_async_request(request)

    assert stub.request_lines == [b"DELETE /v1/projects/7?org=a+b%26c HTTP/1.1"]


@pytest.mark.parametrize(
    "path",
    [
        "/projects/42/../../users/7",
        "/projects/./7",
        "/projects/..",
        "/projects/%2e%2e/users/7",
        "/projects/%2E./users/7",
        "/projects/..%2f..%2fusers/7",
        "/projects/%252e%252e/users/7",
        "/projects/..;x/users/7",
        "/projects/..%5cusers",
        "/projects\\7",
        "/projects//7",
        "//elsewhere/projects",
        "/projects/7%00",
        "/projects/7%0d%0aX:1",
        "/projects/7#part",
        "/projects/7 8",
        "/projects/é",
    ],
)
async def test_a_path_that_can_be_read_as_another_never_leaves(path: str) -> None:
    async with serving(says(OK)) as stub, a_wire() as wire:
        with pytest.raises(UnsafeTarget):
            await wire.handle_async_request(a_delete(stub.url, path))

    assert stub.connections == 0


async def test_a_delete_that_does_not_say_its_target_never_leaves() -> None:
    # The plain URL is already /users/7 by the time any transport sees it.
    async with serving(says(OK)) as stub, a_wire() as wire:
        request = httpx.Request("DELETE", stub.url + "/projects/42/../../users/7")

        with pytest.raises(UnsafeTarget, match="raw_request"):
            await wire.handle_async_request(request)

    assert stub.connections == 0


async def test_the_headers_are_the_callers_and_nothing_else() -> None:
    async with serving(says(OK)) as stub, a_wire() as wire:
        request = raw_request("DELETE", stub.url, "/x/7", headers={"Authorization": "Token a"})
        await wire.handle_async_request(request)

    lines = stub.requests[0].rstrip(b"\r\n").split(b"\r\n")[1:]
    assert sorted(line.split(b":")[0] for line in lines) == [
        b"Accept",
        b"Accept-Encoding",
        b"Authorization",
        b"Content-Length",
        b"Host",
        b"User-Agent",
    ]
    assert b"Accept-Encoding: identity" in lines
    assert any(line.startswith(b"User-Agent: bulkdel/") for line in lines)


async def test_the_clients_own_user_agent_and_codings_are_replaced() -> None:
    async with (
        serving(says(OK)) as stub,
        httpx.AsyncClient(transport=a_wire()) as client,
    ):
        await client.get(stub.url + "/default")
        await client.get(stub.url + "/named", headers={"User-Agent": "mine/1"})

    assert b"User-Agent: bulkdel/" in stub.requests[0]
    assert b"mine/1" in stub.requests[1]
    assert not any(b"python-httpx" in request or b"gzip" in request for request in stub.requests)


async def test_a_body_is_sent_with_its_length() -> None:
    received = asyncio.get_running_loop().create_future()

    async def read_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.set_result((head, await reader.readexactly(7)))
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(read_body, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, a_wire() as wire:
        url = f"http://127.0.0.1:{port}"
        await wire.handle_async_request(raw_request("POST", url, "/t", content=b'{"a":1}'))
    head, body = await received

    assert body == b'{"a":1}'
    assert head.lower().count(b"content-length: 7") == 1
    assert b"chunked" not in head


# --- answers arrive as they are ------------------------------------------------


async def test_a_redirect_is_returned_and_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with serving(says(moved)) as stub, a_wire() as wire:
        response = await wire.handle_async_request(a_delete(stub.url))

    assert response.status_code == 302
    assert response.headers["location"] == "/elsewhere"
    assert len(stub.requests) == 1


async def test_a_cookie_is_not_sent_back_even_by_the_client_of_httpx() -> None:
    baked = b"HTTP/1.1 200 OK\r\nSet-Cookie: s=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with serving(says(baked)) as stub, httpx.AsyncClient(transport=a_wire()) as client:
        await client.send(raw_request("GET", stub.url, "/first"))
        await client.get(stub.url + "/second")

    assert len(stub.requests) == 2
    assert b"cookie" not in stub.requests[1].lower()


async def test_a_dripping_body_ends_at_the_deadline() -> None:
    async with serving(drip) as stub, a_wire(deadline=0.4) as wire:
        began = time.monotonic()
        with pytest.raises(Ambiguous) as late:
            await wire.handle_async_request(a_delete(stub.url))
        took = time.monotonic() - began

    assert late.value.reason == "timeout"
    assert 0.3 < took < 2


async def test_a_request_may_bring_its_own_deadline() -> None:
    async with serving(never) as stub, a_wire(deadline=60) as wire:
        request = a_delete(stub.url)
        request.extensions["deadline"] = 0.1

        with pytest.raises(Ambiguous) as late:
            await wire.handle_async_request(request)

    assert late.value.reason == "timeout"


async def test_a_body_over_the_cap_is_cut() -> None:
    async with serving(flood) as stub, a_wire(body_cap=1_000_000) as wire:
        began = time.monotonic()
        with pytest.raises(Ambiguous) as cut:
            await wire.handle_async_request(a_delete(stub.url))
        took = time.monotonic() - began

    assert cut.value.reason == "oversize"
    assert took < 2


async def test_a_body_at_the_cap_is_whole() -> None:
    async with serving(says(OK)) as stub, a_wire(body_cap=2) as wire:
        response = await wire.handle_async_request(a_delete(stub.url))

    assert response.content == b"ok"


async def test_a_gzip_bomb_arrives_raw() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with (
        serving(says(head.encode() + bomb)) as stub,
        httpx.AsyncClient(transport=a_wire()) as client,
    ):
        response = await client.send(a_delete(stub.url))

    assert response.content == bomb
    assert response.extensions["content_encoding"] == "gzip"


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says(OK)) as stub, serving(says(OK)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with httpx.AsyncClient(transport=a_wire()) as client:
            await client.send(a_delete(stub.url))

    assert (len(stub.requests), proxy.connections) == (1, 0)


# --- the pool ------------------------------------------------------------------


async def test_a_connection_is_kept_and_used_again() -> None:
    async with serving(says(OK)) as stub, a_wire() as wire:
        for number in range(20):
            await wire.handle_async_request(a_delete(stub.url, f"/projects/{number}"))

    assert (len(stub.requests), stub.connections) == (20, 1)


@pytest.mark.parametrize("gap", [0, 0.05])
async def test_an_answer_nobody_asked_for_is_not_taken_for_the_next_ones(gap: float) -> None:
    second = OK.replace(b"200 OK", b"418 No")

    async def twice(stub: Stub, writer: asyncio.StreamWriter) -> None:
        await says(OK)(stub, writer)
        await writer.drain()
        await asyncio.sleep(gap)
        await says(OK.replace(b"200 OK", b"299 OK"))(stub, writer)

    async with serving(twice, says(second)) as stub, a_wire(connections=1) as wire:
        first = await wire.handle_async_request(a_delete(stub.url, "/projects/1"))
        await asyncio.sleep(0.2)
        then = await wire.handle_async_request(a_delete(stub.url, "/projects/2"))

    assert (first.status_code, then.status_code) == (200, 418)
    assert (len(stub.requests), stub.connections) == (2, 2)


async def test_a_connection_kept_too_long_is_not_used_again() -> None:
    keepalive = timedelta(milliseconds=50)
    wire = Wire(connections=1, deadline=timedelta(seconds=5), keepalive=keepalive)
    async with serving(says(OK)) as stub, wire:
        await wire.handle_async_request(a_delete(stub.url))
        await asyncio.sleep(0.2)
        await wire.handle_async_request(a_delete(stub.url))

    assert (len(stub.requests), stub.connections) == (2, 2)


async def test_cancelled_calls_do_not_kill_the_pool() -> None:
    async with serving(says_after(0.01, OK)) as stub, a_wire(connections=10) as wire:

        async def call(number: int) -> int:
            request = a_delete(stub.url, f"/projects/{number}")
            return (await wire.handle_async_request(request)).status_code

        for batch in range(20):
            doomed = [asyncio.ensure_future(call(number)) for number in range(10)]
            await asyncio.sleep(0.001 * batch)
            for task in doomed:
                task.cancel()
            await asyncio.gather(*doomed, return_exceptions=True)
        later = await asyncio.gather(*(call(number) for number in range(50)))

    assert later == [200] * 50


async def test_a_crowd_cancelled_in_the_queue_leaves_the_pool_whole() -> None:
    async with serving(says_after(0.005, OK)) as stub, a_wire(connections=10) as wire:

        async def call(number: int) -> int:
            request = a_delete(stub.url, f"/projects/{number}")
            return (await wire.handle_async_request(request)).status_code

        doomed = [asyncio.ensure_future(call(number)) for number in range(200)]
        await asyncio.sleep(0.03)
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)
        later = await asyncio.gather(*(call(number) for number in range(50)))

    assert later == [200] * 50


async def test_sixty_calls_are_in_flight_at_once_and_never_more() -> None:
    async with serving(says_after(0.2, OK)) as stub, a_wire(connections=60) as wire:
        calls = (wire.handle_async_request(a_delete(stub.url, f"/p/{n}")) for n in range(120))
        responses = await asyncio.gather(*calls)

    assert [response.status_code for response in responses] == [200] * 120
    assert stub.most_in_flight == 60


async def test_a_wire_never_used_closes_and_one_closed_opens_again() -> None:
    wire = a_wire()
    await wire.aclose()
    async with serving(says(OK)) as stub, wire:
        await wire.handle_async_request(a_delete(stub.url))
        await wire.aclose()
        await wire.handle_async_request(a_delete(stub.url))

    assert stub.connections == 2
