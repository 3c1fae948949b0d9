"""The access tokens that all processes share, sealed, in Redis and by Redis' clock."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from worker.domain.errors import Unreachable
from worker.ports import Hold, RefreshRules, SharedToken, Standing, TokenBooks, Turn
from worker.ratelimit.connection import TIMEOUT, connect

PREFIX = "bulkdel:oauth"
"""The same for all deployments of a Redis, because the provider counts without them."""

_SCRIPT = Path(__file__).with_name("tokens.lua").read_text(encoding="utf-8")
_SCRIPT_NAME = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_MICROSECOND = timedelta(microseconds=1)


class RedisTokens:
    """Keeps the contract of `worker.ports.TokenStore`.

    Keys are `{PREFIX}:NAME:book|lock|log`; the braces make one hash slot of all of them.
    """

    def __init__(self, make_client: Callable[[], Redis], *, prefix: str = PREFIX) -> None:
        self._make_client = make_client
        self._prefix = prefix
        # Made when first used, because a client belongs to the loop it runs in.
        self._client: Redis | None = None

    @classmethod
    def at(cls, url: str, *, prefix: str = PREFIX, timeout: timedelta = TIMEOUT) -> Self:
        """The tokens of the Redis at `url`."""
        return cls(partial(connect, url, timeout=timeout), prefix=prefix)

    async def read(self, books: TokenBooks) -> SharedToken | None:
        answer = await self._ask(books, {"verb": "read"})
        if answer[0] == "none":
            return None
        token_id, sealed, fresh_for, good_for, is_suspect = answer[1:]
        return SharedToken(
            id=token_id,
            sealed=sealed,
            fresh_for=int(fresh_for) * _MICROSECOND,
            good_for=int(good_for) * _MICROSECOND,
            is_suspect=bool(is_suspect),
        )

    async def begin(self, books: TokenBooks, owner: str, rules: RefreshRules) -> Turn:
        request = {
            "verb": "begin",
            "owner": owner,
            "most": rules.most,
            "window": _micros(rules.window),
            "lease": _micros(rules.lease),
        }
        standing, *rest = await self._ask(books, request)
        wait, why, said = [*rest, "0", "", ""][:3] if rest else ("0", "", "")
        return Turn(standing=Standing(standing), wait=int(wait) * _MICROSECOND, why=why, said=said)

    async def finish(self, books: TokenBooks, owner: str, token: SharedToken) -> None:
        request = {
            "verb": "finish",
            "owner": owner,
            "id": token.id,
            "sealed": token.sealed,
            "fresh_for": _micros(token.fresh_for),
            "good_for": _micros(token.good_for),
        }
        await self._ask(books, request)

    async def fail(self, books: TokenBooks, owner: str, hold: Hold) -> timedelta:
        request = {
            "verb": "fail",
            "owner": owner,
            "why": hold.why,
            "said": hold.said,
            "first": _micros(hold.first),
            "longest": _micros(hold.longest),
            "counts": hold.counts,
        }
        answer = await self._ask(books, request)
        return int(answer[1]) * _MICROSECOND

    async def forget(self, books: TokenBooks, token_id: str) -> bool:
        answer = await self._ask(books, {"verb": "forget", "id": token_id})
        return bool(answer[1])

    async def accept(self, books: TokenBooks, token_id: str) -> None:
        await self._ask(books, {"verb": "accept", "id": token_id})

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(self, books: TokenBooks, request: Mapping[str, Any]) -> list[Any]:
        if self._client is None:
            self._client = self._make_client()
        home = f"{{{self._prefix}}}"
        keys = [f"{home}:{books.book}:book", f"{home}:{books.log}:lock", f"{home}:{books.log}:log"]
        arguments = [*keys, json.dumps(request)]
        try:
            try:
                answer = await self._client.evalsha(_SCRIPT_NAME, len(keys), *arguments)
            except NoScriptError:
                answer = await self._client.eval(_SCRIPT, len(keys), *arguments)
        except (RedisError, OSError, TimeoutError) as error:
            what = f"Redis cannot be asked for the access token: {error}"
            raise Unreachable(what) from error
        return list(answer)


def _micros(duration: timedelta) -> int:
    return duration // _MICROSECOND
