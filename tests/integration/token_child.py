"""One process of several: reads projects with the shared token until it is told to stop.

Takes one line of JSON on stdin, says "ready" after its first answer, stops when stdin ends, and
prints how often each verdict came.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from worker.domain.calls import Action, Call
from worker.domain.outcomes import Verdict
from worker.providers.http import HttpProvider
from worker.providers.login import Login
from worker.providers.oauth import OAuthTokens
from worker.providers.requests import Connection
from worker.providers.token_server import TokenServer
from worker.providers.zoho_books import V4
from worker.ratelimit.tokens import RedisTokens

PAUSE = 0.01


def provider_of(given: dict[str, Any], store: RedisTokens) -> HttpProvider:
    login = Login(**given["login"])
    tokens = OAuthTokens(lambda: login, store, TokenServer(), where="env:REFRESH")
    connection = Connection(
        name="acme",
        base_url=given["base_url"],
        dialect=V4,
        selector_value=given["organization_id"],
        token=tokens,
        in_flight=2,
    )
    return HttpProvider(connection)


async def call(provider: HttpProvider, stop: asyncio.Event, verdicts: Counter[str]) -> None:
    while not stop.is_set():
        answer = await provider.perform(Call(action=Action.LIST))
        verdicts[answer.verdict] += 1
        # A slice would end here; waiting less is the harder case.
        await asyncio.sleep(PAUSE if answer.verdict is Verdict.SEEN else PAUSE * 5)


async def main() -> None:
    given = json.loads(sys.stdin.readline())
    store = RedisTokens.at(given["redis"], prefix=given["prefix"])
    provider = provider_of(given, store)
    stop, verdicts = asyncio.Event(), Counter[str]()
    calls = [asyncio.create_task(call(provider, stop, verdicts)) for _ in range(2)]
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    await asyncio.gather(*calls)
    await provider.aclose()
    await store.aclose()
    print(json.dumps(verdicts))


if __name__ == "__main__":
    asyncio.run(main())
