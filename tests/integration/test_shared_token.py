"""Eight processes, one refresh token: one refresh per lifetime, and nothing to read in Redis."""

import asyncio
import json
import secrets
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.leaks import writings
from tests.services import need_redis
from worker.sandbox.oauth import Grant
from worker.sandbox.seeding import Seed
from worker.sandbox.server import Sandbox

pytestmark = [pytest.mark.integration, pytest.mark.enable_socket]

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("token_child.py")
ORGANIZATION = "10234695"
PROCESSES = 8


@dataclass(kw_only=True)
class Stage:
    """A sandbox with one grant, a Redis, and processes that call."""

    sandbox: Sandbox
    grant: Grant
    redis: Redis
    url: str
    prefix: str

    def __post_init__(self) -> None:
        self.sandbox.world.oauth.register(self.grant)

    @asynccontextmanager
    async def processes(self) -> AsyncGenerator[Callable[[], Awaitable[Counter[str]]]]:
        """Run them; what is given ends them, and adds up their verdicts."""
        running = [await self._start() for _ in range(PROCESSES)]

        async def end() -> Counter[str]:
            outputs = await asyncio.gather(*(child.communicate(b"") for child in running))
            verdicts = [Counter(json.loads(out)) for out, _ in outputs]
            return sum(verdicts, Counter[str]())

        try:
            yield end
        finally:
            for child in running:
                if child.returncode is None:
                    child.kill()
                    await child.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CHILD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )
        given = {
            "base_url": self.sandbox.url,
            "organization_id": ORGANIZATION,
            "redis": self.url,
            "prefix": self.prefix,
            "login": {
                "token_url": self.sandbox.token_url,
                "client_id": self.grant.client_id,
                "client_secret": self.grant.client_secret,
                "refresh_token": self.grant.refresh_token,
            },
        }
        assert child.stdin is not None
        child.stdin.write(json.dumps(given).encode() + b"\n")
        await child.stdin.drain()
        return child

    @property
    def refreshed_at(self) -> list[float]:
        """When tokens were given out."""
        return list(self.sandbox.world.oauth.stats(0.0)[0]["refreshed_at"])

    @property
    def denied(self) -> list[object]:
        """Refreshes that were refused."""
        return list(self.sandbox.world.oauth.stats(0.0)[0]["denied"])

    async def dump(self) -> bytes:
        """All that Redis keeps of it, names included."""
        lines = []
        async for key in self.redis.scan_iter(match=f"*{self.prefix}*".encode()):
            kind = await self.redis.type(key)
            match kind:
                case b"hash":
                    value: object = await self.redis.hgetall(key)
                case b"zset":
                    value = await self.redis.zrange(key, 0, -1, withscores=True)
                case _:
                    value = await self.redis.get(key)
            lines.append(repr((key, value)).encode())
        assert lines
        return b"\n".join(lines)


@pytest.fixture
async def make_stage() -> AsyncGenerator[Callable[[float], Stage]]:
    url, prefix = need_redis(), f"shared-token-test-{secrets.token_hex(4)}"
    redis = Redis.from_url(url)
    async with Sandbox() as sandbox:
        sandbox.seed(Seed(organization_id=ORGANIZATION, projects=3))

        def make(lifetime: float) -> Stage:
            grant = Grant(
                organization_ids=(ORGANIZATION,),
                client_id=f"1000.CANARY{secrets.token_hex(8)}",
                client_secret=f"canary/{secrets.token_hex(16)}+=",
                refresh_token=f"1000.canary.{secrets.token_hex(16)}",
                lifetime=lifetime,
            )
            return Stage(sandbox=sandbox, grant=grant, redis=redis, url=url, prefix=prefix)

        yield make
    keys = [key async for key in redis.scan_iter(match=f"*{prefix}*")]
    await redis.unlink(*keys, "and-one-that-is-never-there")
    await redis.aclose()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - the sandbox has no event for it
            await asyncio.sleep(0.02)


async def test_a_lifetime_has_one_refresh_and_ten_minutes_have_nine(
    make_stage: Callable[[float], Stage],
) -> None:
    stage = make_stage(1.0)
    async with stage.processes() as end:
        await until(lambda: len(stage.refreshed_at) == 9)
        await asyncio.sleep(2.5)  # two lifetimes in which a tenth could come
        verdicts = await end()

    refreshed = stage.refreshed_at
    gaps = [later - earlier for earlier, later in pairwise(refreshed)]
    assert len(refreshed) == 9
    assert not stage.denied
    assert min(gaps) > 0.85  # of a second of life; the last tenth is for coming early
    assert set(verdicts) == {"seen", "tokenless"}
    assert verdicts["seen"] > 100


async def test_a_token_that_ends_early_brings_one_refresh_for_all(
    make_stage: Callable[[float], Stage],
) -> None:
    stage = make_stage(3600.0)
    holder = stage.sandbox.world.oauth
    async with stage.processes() as end:
        await until(lambda: len(stage.refreshed_at) == 1)
        await asyncio.sleep(3)  # every process has the token by now
        holder.expire(None)
        await until(lambda: len(stage.refreshed_at) == 2)
        await asyncio.sleep(1)
        verdicts = await end()

    assert len(stage.refreshed_at) == 2
    assert set(verdicts) == {"seen", "tokenless"}
    assert verdicts["tokenless"] <= PROCESSES * 2 * 2


async def test_redis_holds_no_secret_in_any_writing(
    make_stage: Callable[[float], Stage],
) -> None:
    stage = make_stage(3600.0)
    async with stage.processes() as end:
        await until(lambda: len(stage.refreshed_at) == 1)
        await asyncio.sleep(1)
        kept = await stage.dump()
        await end()

    grant, oauth = stage.grant, stage.sandbox.world.oauth
    tokens = list(oauth._holders[grant.refresh_token].ends_by_token)
    assert len(tokens) == 1
    for secret in (grant.refresh_token, grant.client_secret, grant.client_id, *tokens):
        for written in writings(secret):
            assert written.encode() not in kept
