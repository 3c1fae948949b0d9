"""A running sandbox with one organisation, and two ways to call it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from worker.sandbox.client import Control
from worker.sandbox.seeding import Seed
from worker.sandbox.server import Sandbox
from worker.sandbox.state import DEFAULT_TOKEN

Ask = Callable[..., Awaitable[tuple[int, Any]]]
Tell = Callable[..., Awaitable[Any]]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        running.seed(
            Seed(
                organization_id="1",
                projects=5,
                tasks=2,
                users=2,
                documents=1,
                comments=2,
                system_comments=1,
                current_user=True,
                first_id=100,
            )
        )
        yield running


@pytest.fixture
async def wire() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": "Zoho-oauthtoken sandbox-token"}
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        # aiohttp sends a DELETE again by itself if the connection ends: the ledger shows both.
        session._retry_connection = False
        yield session


@pytest.fixture
def ask(sandbox: Sandbox, wire: aiohttp.ClientSession) -> Ask:
    async def call(
        method: str, path: str, query: str = "organization-id=1", token: str = DEFAULT_TOKEN
    ) -> tuple[int, Any]:
        url = URL(f"{sandbox.url}{path}?{query}", encoded=True)
        headers = {"Authorization": f"Zoho-oauthtoken {token}"}
        async with wire.request(method, url, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.json()

    return call


@pytest.fixture
def tell(sandbox: Sandbox) -> Tell:
    """Calls one method of the control's client, beside the event loop the sandbox runs in."""
    control = Control(sandbox.url)

    async def call(name: str, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes and gives
        return await asyncio.to_thread(lambda: getattr(control, name)(*given, **named))

    return call
