"""The sandbox as a server: one port, the provider on it and its control beside it."""

import asyncio
import contextlib
import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from worker.sandbox.control import PREFIX, Control
from worker.sandbox.dialect import Dialect
from worker.sandbox.ledger import Ledger
from worker.sandbox.oauth_door import ZohoAccounts
from worker.sandbox.provider import Provider
from worker.sandbox.seeding import Seed, sow
from worker.sandbox.state import World
from worker.sandbox.truto import Truto
from worker.sandbox.zoho_v4 import ZohoBooks
from worker.sandbox.zoho_versions import V3

V3_PREFIX = "/books/v3"
FLUSH_SECONDS = 0.2
MAX_BODY = 64 << 20  # of a control request
STOP_SECONDS = 0.3  # for calls in flight when the sandbox stops


class NotLoopback(ValueError):
    """The sandbox has no lock on its door, so it listens to this machine only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where the sandbox listens (port 0: a free one) and what it keeps."""

    host: str = "127.0.0.1"
    port: int = 0
    random_seed: int = 0
    ledger_path: Path | None = None
    ledger_keep: int | None = None
    truto_prefix: str = ""


class Sandbox:
    """A provider of our own, for tests and demonstrations; made and used inside one event loop."""

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        _check_loopback(self._options.host)
        self.world = World()
        self.ledger = Ledger(self._options.ledger_path, self._options.ledger_keep)
        dialects: list[Dialect] = [
            ZohoBooks(),
            ZohoBooks(prefix=V3_PREFIX, organization_param="organization_id", version=V3),
            ZohoAccounts(),
            Truto(prefix=self._options.truto_prefix),
        ]
        self.provider = Provider(self.world, self.ledger, dialects, self._options.random_seed)
        self._control = Control(self.provider)
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._flusher: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def origin(self) -> str:
        """Scheme, host and port; raises if the sandbox was never started."""
        if not self._port:
            raise RuntimeError("the sandbox was not started")
        host = self._options.host
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def url(self) -> str:
        """The base URL of Zoho Books v4, as an account's `base_url` wants it."""
        return f"{self.origin}/books/v4"

    @property
    def url_v3(self) -> str:
        """The base URL of Zoho Books v3."""
        return f"{self.origin}{V3_PREFIX}"

    @property
    def token_url(self) -> str:
        """Where access tokens are given out."""
        return f"{self.origin}/oauth/v2/token"

    @property
    def truto_url(self) -> str:
        """The base URL of Truto."""
        return f"{self.origin}{self._options.truto_prefix}"

    @property
    def control_url(self) -> str:
        """Where the control is."""
        return f"{self.origin}{PREFIX}"

    def seed(self, seed: Seed) -> list[str]:
        """Make projects; what is returned is their ids."""
        organization = self.world.organization(seed.organization_id)
        return sow(organization, seed)

    def stats(self) -> dict[str, Any]:
        """What GET /_sandbox/stats says."""
        return self._control.stats()

    async def start(self) -> Self:
        """Listen; when it returns, calls are answered."""
        loop = asyncio.get_running_loop()
        self._web = web.Server(self._handle, request_factory=self._make_request, access_log=None)
        self._listener = await loop.create_server(
            self._web, self._options.host, self._options.port, backlog=512
        )
        self._port = int(self._listener.sockets[0].getsockname()[1])
        self._flusher = loop.create_task(self._keep_flushing())
        return self

    async def stop(self) -> None:
        """Answer what is in flight for a moment, hang up on the rest, close the ledger."""
        self._control.rivals.stop()
        if self._listener is None or self._web is None:
            self.ledger.close(time.time())
            return
        self._listener.close()
        self._web.pre_shutdown()
        await self._web.shutdown(STOP_SECONDS)
        await self._listener.wait_closed()
        self._listener = None
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
        self.ledger.close(time.time())

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.startswith(PREFIX + "/"):
            return await self._control.handle(request)
        return await self.provider.handle(request)

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY
        )

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.ledger.flush()


def _check_loopback(host: str) -> None:
    """Raise NotLoopback for a host other machines could reach."""
    if host == "localhost":
        return
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise NotLoopback(f"{host!r} is not a loopback address")
