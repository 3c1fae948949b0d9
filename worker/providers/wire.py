"""The wire: one request leaves once, exactly as asked, and ends before its deadline.

NotSent       nothing can have happened at the provider: no connection was ours when it failed
Ambiguous     a connection was ours, so bytes may have left: reset, timeout, oversize, rubbish
UnsafeTarget  refused here, never sent: the path on the wire would not be the path asked for
"""

import asyncio
import re
import ssl
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final
from urllib.parse import unquote, urlencode

import aiohttp
import httpx
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from worker.providers.line import USER_AGENT, Reply


class _Oversize(Exception):
    pass


BODY_CAP: Final = 8 * 1024 * 1024
KEEPALIVE: Final = timedelta(seconds=10)

# One leading slash, then printable ASCII without space, backslash and fragment.
_PLAIN = re.compile(r"/(?!/)[!-\"$-\[\]-~]*")
# Nothing in it can be decoded, and no segment is empty or made of dots: it has one reading.
_BARE = re.compile(r"(?:/[A-Za-z0-9_-]+)+")
# What aiohttp must write itself, because it frames the message and names the host.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
# A coding that httpx would undo (a bomb), and a cookie that its client would send back.
_WITHHELD = frozenset({b"content-encoding", b"set-cookie"})
# The only errors aiohttp has for "no connection came about".
_UNCONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientConnectorSSLError,
    TimeoutError,
)
# The first kind that fits; what fits none is "broken".
_REASONS = (
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientConnectorCertificateError, "tls"),
    (aiohttp.ClientConnectorSSLError, "tls"),
    (aiohttp.ClientConnectorError, "unreachable"),
    ((OSError, aiohttp.ServerDisconnectedError), "reset"),
    (_Oversize, "oversize"),
)


class UnsafeTarget(ValueError):  # noqa: D101 - the module's first lines say it
    pass


class WireError(httpx.TransportError):
    """A call that brought no answer; `reason` is one word for people and for metrics."""

    def __init__(self, reason: str, request: httpx.Request | None, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason, request=request)
        self.reason = reason


class NotSent(WireError):
    """Refused, unreachable, no name, no TLS, no place in the pool: trying again is free."""


class Ambiguous(WireError):
    """The provider may have acted: look before trying again."""


class _Phase(Enum):
    CONNECTING = "connect_timeout"  # no connection yet
    QUEUED = "pool_timeout"  # every connection of the pool is busy
    OPEN = "timeout"  # a connection is ours: from here on bytes may have left


@dataclass(slots=True)
class _Call:
    phase: _Phase = _Phase.QUEUED


_CALL: ContextVar[_Call] = ContextVar("call")


class _Connector(aiohttp.TCPConnector):
    """Writes down when a connection is a call's own; aiohttp's errors alone do not say it."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  the interface's own parameter
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        for _ in range(self.limit_per_host):
            if connection.protocol is None or not connection.protocol.should_close:
                break
            connection.close()  # what it said unasked would be taken for the answer to this call
            connection = await super().connect(req, traces, timeout)
        _CALL.get().phase = _Phase.OPEN
        return connection


def raw_request(
    method: str,
    base_url: str,
    path: str,
    params: dict[str, str] | None = None,
    *,
    headers: dict[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Request:
    """Build a request that remembers its target as asked; httpx.URL resolves `..` silently."""
    base = httpx.URL(base_url)
    prefix = base.raw_path.decode("ascii").rstrip("/")
    target = f"{prefix}{path}?{urlencode(params)}" if params else prefix + path
    url = f"{base.scheme}://{base.netloc.decode('ascii')}{target}"
    extensions = {"target": target.encode()}
    return httpx.Request(method, url, headers=headers, content=content, extensions=extensions)


def url_of(origin: str, target: str) -> URL:
    """Return the URL to send byte for byte, or raise UnsafeTarget."""
    path = target.partition("?")[0]
    if not (_PLAIN.fullmatch(target) and (_BARE.fullmatch(path) or _has_one_reading(path))):
        raise UnsafeTarget(f"{target!r} can be read as another path")
    url = URL(origin + target, encoded=True)
    if url.scheme not in {"http", "https"} or not url.host or url.raw_path_qs != target:
        raise UnsafeTarget(f"{origin!r} with {target!r} does not survive as it is")
    return url


def _has_one_reading(path: str) -> bool:
    # Twice, because some servers and the proxies before them decode twice.
    meant = unquote(unquote(path))
    segments = (segment.partition(";")[0] for segment in meant.split("/"))
    plain = "//" not in path and "\\" not in meant and meant.isprintable()
    return plain and not any(part in {".", ".."} for part in segments)


def _url_of(request: httpx.Request) -> URL:
    raw_path = request.url.raw_path
    asked: bytes | None = request.extensions.get("target")
    if asked is None and request.method == "DELETE":
        raise UnsafeTarget("a DELETE says its target itself: build it with raw_request()")
    if asked is not None and asked != raw_path:
        raise UnsafeTarget(f"asked for {asked!r}, httpx made it {raw_path!r}")
    origin = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
    return url_of(origin, raw_path.decode("ascii"))


def _headers_of(request: httpx.Request) -> list[tuple[str, str]]:
    headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
    # httpx's client names itself where its caller named nothing.
    ours = request.headers.get("user-agent", "python-httpx/").startswith("python-httpx/")
    dropped = _OURS | {"user-agent"} if ours else _OURS
    kept = [(name, value) for name, value in headers if name.lower() not in dropped]
    return [*kept, ("Accept-Encoding", "identity"), *([("User-Agent", USER_AGENT)] * ours)]


def _reason_of(error: Exception, phase: _Phase) -> str:
    if isinstance(error, TimeoutError):
        return phase.value
    word = next((word for kind, word in _REASONS if isinstance(error, kind)), "broken")
    if word != "unreachable" or not isinstance(error, aiohttp.ClientConnectorError):
        return word
    if isinstance(error.os_error, ConnectionRefusedError):
        return "refused"
    # Taken and dropped before there was a connection: that is the handshake.
    dropped = isinstance(error.os_error, ConnectionError)
    return "tls" if dropped and error.ssl else word


def _translated(error: Exception, phase: _Phase, request: httpx.Request | None) -> WireError:
    """NotSent needs two witnesses, the phase and the error; in doubt it is Ambiguous."""
    unsent = phase is not _Phase.OPEN and isinstance(error, _UNCONNECTED)
    kind = NotSent if unsent else Ambiguous
    return kind(_reason_of(error, phase), request, type(error).__name__)


_Asked = tuple[str, URL, Sequence[tuple[str, str]], bytes | None]


class Wire(httpx.AsyncBaseTransport):
    """Send each request once: no re-send, redirect, cookie, decompression or proxy.

    `request.extensions` may hold `target` (the raw path and query asked for, bytes; a DELETE
    must have it) and `deadline` (seconds for this call). The answer's body is what came over
    the wire; a coding we never asked for is named in `response.extensions["content_encoding"]`.
    """

    def __init__(
        self,
        *,
        connections: int,
        deadline: timedelta,
        body_cap: int = BODY_CAP,
        keepalive: timedelta = KEEPALIVE,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._connections = connections
        self._deadline = deadline.total_seconds()
        self._body_cap = body_cap
        self._keepalive = keepalive.total_seconds()
        self._ssl = ssl_context or True
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore(connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, whatever its status; raise NotSent, Ambiguous or UnsafeTarget."""
        url = _url_of(request)
        deadline = request.extensions.get("deadline", self._deadline)
        asked = (request.method, url, _headers_of(request), await request.aread() or None)
        reply = await self._within(deadline, asked, request)
        return httpx.Response(
            reply.status_code,
            headers=[(k, v) for k, v in reply.raw if k.lower() not in _WITHHELD],
            content=reply.content,
            request=request,
            extensions={"content_encoding": reply.headers.get("content-encoding", "")},
        )

    async def exchange(
        self, method: str, origin: str, target: str, headers: Sequence[tuple[str, str]]
    ) -> Reply:
        """The same without httpx's own records, which cost more than all else about a call."""
        ours = (*headers, ("Accept-Encoding", "identity"), ("User-Agent", USER_AGENT))
        return await self._within(self._deadline, (method, url_of(origin, target), ours, None))

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _within(
        self, deadline: float, asked: _Asked, request: httpx.Request | None = None
    ) -> Reply:
        call = _Call()
        try:
            async with asyncio.timeout(deadline), self._places:
                call.phase = _Phase.CONNECTING
                return await self._exchange(asked, call)
        except (aiohttp.ClientError, HttpProcessingError, OSError, _Oversize) as error:
            raise _translated(error, call.phase, request) from error

    async def _exchange(self, asked: _Asked, call: _Call) -> Reply:
        method, url, headers, content = asked
        token = _CALL.set(call)
        try:
            skipped = ("Content-Type",) if content else None  # naming it copies all headers
            answer = await self._opened().request(
                method, url, headers=headers, data=content, allow_redirects=False,
                skip_auto_headers=skipped,
            )  # fmt: skip
        finally:
            _CALL.reset(token)
        try:
            body = await self._body_of(answer)
        finally:
            answer.close()  # a connection whose body was read to its end is in the pool by now
        return Reply(answer.status, answer.headers, body, answer.raw_headers)

    async def _body_of(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._body_cap:
                raise _Oversize
        return bytes(body)

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, made on first use: after fork, inside the running loop."""
        if self._session is None:
            session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=0,
                    limit_per_host=self._connections,
                    keepalive_timeout=self._keepalive,
                    ssl=self._ssl,
                ),
                # The deadline is ours, around connect, send, headers and body together.
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
            # aiohttp sends an idempotent request again when a kept connection is reset.
            if getattr(session, "_retry_connection", None) is not True:
                raise RuntimeError("this aiohttp has another switch for silent re-sends")
            session._retry_connection = False  # noqa: SLF001 - no public switch
            self._session = session
        return self._session
