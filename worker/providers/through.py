"""A line over any httpx transport, for tests that answer without sockets."""

from collections.abc import Sequence

import httpx

from worker.providers.line import Reply
from worker.providers.wire import raw_request


class Through:
    """Keeps the contract of `line.Line` over a transport of httpx."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def exchange(
        self, method: str, origin: str, target: str, headers: Sequence[tuple[str, str]]
    ) -> Reply:
        request = raw_request(method, origin, target, headers=dict(headers))
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        return Reply(response.status_code, response.headers, content)

    async def aclose(self) -> None:
        await self._transport.aclose()
