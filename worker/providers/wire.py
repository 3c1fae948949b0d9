"""The wire: one request leaves once, exactly as asked, and ends before its deadline.

NotSent       nothing can have happened at the provider: no connection was ours when it failed
Ambiguous     a connection was ours, so bytes may have left: reset, timeout, oversize, rubbish
UnsafeTarget  refused here, never sent: the path on the wire would not be the path asked for
"""

import asyncio
import importlib.metadata
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from types import SimpleNamespace
from typing import Final
from urllib.parse import unquote, urlencode

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL


class _Oversize(Exception):
    pass


BODY_CAP: Final = 8 * 1024 * 1024
KEEPALIVE: Final = timedelta(seconds=10)
try:
    USER_AGENT: Final = f"bulkdel/{importlib.metadata.version('bulkdel')}"
except importlib.metadata.PackageNotFoundError:
    USER_AGENT: Final = "bulkdel/0"  # type: ignore[misc] # a tree that was never installed

# One leading slash, then printable ASCII without space, backslash and fragment.
_PLAIN = re.compile(r"/(?!/)[!-\"$-\[\]-~]*")
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

    def __init__(self, reason: str, request: httpx.Request, detail: str = "") -> None:
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
    phase: _Phase = _Phase.CONNECTING


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


def _url_of(request: httpx.Request) -> URL:
    """Return the URL to send byte for byte, or raise UnsafeTarget."""
    raw_path = request.url.raw_path
    asked: bytes | None = request.extensions.get("target")
    if asked is None and request.method == "DELETE":
        raise UnsafeTarget("a DELETE says its target itself: build it with raw_request()")
    if asked is not None and asked != raw_path:
        raise UnsafeTarget(f"asked for {asked!r}, httpx made it {raw_path!r}")
    target = raw_path.decode("ascii")
    path = target.partition("?")[0]
    # Twice, because some servers and the proxies before them decode twice.
    meant = unquote(unquote(path))
    segments = (segment.partition(";")[0] for segment in meant.split("/"))
    plain = _PLAIN.fullmatch(target) and "//" not in path and "\\" not in meant
    if not plain or not meant.isprintable() or any(part in {".", ".."} for part in segments):
        raise UnsafeTarget(f"{raw_path!r} can be read as another path")
    origin = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
    url = URL(origin + target, encoded=True)
    if url.scheme not in {"http", "https"} or not url.host or url.raw_path_qs != target:
        raise UnsafeTarget(f"{origin!r} with {raw_path!r} does not survive as it is")
    return url


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


def _translated(error: Exception, phase: _Phase, request: httpx.Request) -> WireError:
    """NotSent needs two witnesses, the phase and the error; in doubt it is Ambiguous."""
    unsent = phase is not _Phase.OPEN and isinstance(error, _UNCONNECTED)
    kind = NotSent if unsent else Ambiguous
    return kind(_reason_of(error, phase), request, type(error).__name__)


def _moves_to(phase: _Phase) -> Callable[[object, SimpleNamespace, object], Awaitable[None]]:
    async def move(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.phase = phase

    return move


def _tracer() -> aiohttp.TraceConfig:
    """Write down how far each call has come; aiohttp's errors alone do not say it."""
    tracer = aiohttp.TraceConfig()
    tracer.on_connection_queued_start.append(_moves_to(_Phase.QUEUED))
    tracer.on_connection_queued_end.append(_moves_to(_Phase.CONNECTING))
    tracer.on_connection_create_end.append(_moves_to(_Phase.OPEN))
    tracer.on_connection_reuseconn.append(_moves_to(_Phase.OPEN))
    return tracer


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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, whatever its status; raise NotSent, Ambiguous or UnsafeTarget."""
        url = _url_of(request)
        call = _Call()
        try:
            async with asyncio.timeout(request.extensions.get("deadline", self._deadline)):
                return await self._exchange(request, url, call)
        except (aiohttp.ClientError, HttpProcessingError, OSError, _Oversize) as error:
            raise _translated(error, call.phase, request) from error

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, request: httpx.Request, url: URL, call: _Call) -> httpx.Response:
        answer = await self._opened().request(
            request.method,
            url,
            headers=_headers_of(request),
            data=await request.aread() or None,
            allow_redirects=False,
            trace_request_ctx=call,
        )
        try:
            body = await self._body_of(answer)
        finally:
            answer.close()  # a connection whose body was read to its end is in the pool by now
        return httpx.Response(
            answer.status,
            headers=[(k, v) for k, v in answer.raw_headers if k.lower() not in _WITHHELD],
            content=body,
            request=request,
            extensions={"content_encoding": answer.headers.get("content-encoding", "")},
        )

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
                connector=aiohttp.TCPConnector(
                    limit=0,
                    limit_per_host=self._connections,
                    keepalive_timeout=self._keepalive,
                    ssl=self._ssl,
                ),
                # The deadline is ours, around connect, send, headers and body together.
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Content-Type", "User-Agent"),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[_tracer()],
            )
            # aiohttp sends an idempotent request again when a kept connection is reset.
            if getattr(session, "_retry_connection", None) is not True:
                raise RuntimeError("this aiohttp has another switch for silent re-sends")
            session._retry_connection = False  # noqa: SLF001 - no public switch
            self._session = session
        return self._session
