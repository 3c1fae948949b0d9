"""Eight clients on one gate, in a time of their own: what the provider sees of them.

The gate is the real one, with its script in a real Redis; only the clock of that server is ours.
A client does what a slice does: it hands permits back and takes new ones in one exchange, makes
calls with what it got, and comes again when it was told to, or when a call has landed.
"""

import heapq
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from redis.asyncio import Redis

from worker.domain.limits import Permit, Purse, Return
from worker.ratelimit import redis_gate
from worker.ratelimit.port import Gate
from worker.ratelimit.redis_gate import RedisGate

EPOCH = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEASE = timedelta(seconds=15)
TIMEOUT = timedelta(seconds=10)
"""A call is given up after this; one that could still be out when its lease ends never leaves."""
CLIENTS = 8
GATE = Path(redis_gate.__file__).with_name("gate.lua")


class RedisByOurClock:
    """Stands for the connection of one gate: the server's clock shows what the world says."""

    def __init__(self, redis: Redis, script: str, now: Callable[[], datetime]) -> None:
        self._redis, self._script, self._now = redis, script, now

    async def time(self) -> tuple[int, int]:
        micros = (self._now() - EPOCH) // timedelta(microseconds=1)
        return int(EPOCH.timestamp()) + micros // 1_000_000, micros % 1_000_000

    async def evalsha(self, _: str, keys: int, *given: str) -> list[Any]:
        seconds, micros = await self.time()
        answer = await self._redis.evalsha(self._script, keys, *given, str(seconds), str(micros))
        return list(answer)

    async def aclose(self) -> None:
        """The connection is everybody's."""


class RedisBooks:
    """Books in a Redis, under keys of this world alone."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self._name = redis, ""
        self._script = GATE.read_text(encoding="utf-8")
        self._prefix = f"gate-world-{secrets.token_hex(4)}"

    @classmethod
    async def on(cls, redis: Redis) -> "RedisBooks":
        books = cls(redis)
        await books.wreck("redis.call('TIME')", "{ ARGV[2], ARGV[3] }")
        return books

    async def wreck(self, what: str, instead: str) -> None:
        """Have the script do otherwise in one place."""
        assert self._script.count(what) == 1, what
        self._script = self._script.replace(what, instead)
        self._name = await self._redis.script_load(self._script)

    def gate(self, now: Callable[[], datetime]) -> Gate:
        ours: Any = RedisByOurClock(self._redis, self._name, now)
        return RedisGate(lambda: ours, prefix=self._prefix)

    async def clear(self) -> None:
        keys = [key async for key in self._redis.scan_iter(match=f"{{{self._prefix}}}:*")]
        await self._redis.unlink(*keys, "and-one-that-is-never-there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the clients of a world behave; chances are per exchange, times in seconds."""

    latency: tuple[float, float] = (0.005, 0.045)
    prepare: float = 0.005  # between a permit and its call, at most
    late: float = 0.005  # how much later than told a client comes, at most
    unused: float = 0.02  # chance that a permit is not needed after all
    crash: float = 0.0
    stand_still: float = 0.0
    lose_answer: float = 0.0
    wrong_day: float = 0.0  # chance that a client comes to believe in another day


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call as the provider saw it."""

    purses: tuple[str, ...]
    at: datetime
    ended: datetime


class World:
    """The clock, what is to happen, and what the provider has seen."""

    def __init__(self, books: RedisBooks, habits: Habits, chance: Random) -> None:
        self.books, self.habits, self.chance = books, habits, chance
        self.at = EPOCH
        self.seen: list[Seen] = []
        self.exchanges = 0
        self._numbers = count()
        self._agenda: list[tuple[datetime, int, Callable[[], Awaitable[None]]]] = []

    def now(self) -> datetime:
        return self.at

    def plan(self, at: datetime, deed: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), deed))

    def seconds(self, least: float, most: float) -> timedelta:
        return timedelta(seconds=self.chance.uniform(least, most))

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    async def run(self, *, until: datetime, calls: int) -> None:
        """Let things happen until then, or until so many calls were seen."""
        while self._agenda and len(self.seen) < calls:
            at, _, deed = heapq.heappop(self._agenda)
            if at > until:
                return
            self.at = max(self.at, at)
            await deed()


@dataclass(slots=True, eq=False)
class Client:
    """One process: it takes what it can use, as long as the world turns."""

    world: World
    purses: Sequence[Purse]
    most: int  # calls at once
    gate: Gate = field(init=False)
    back: list[Return] = field(default_factory=list)
    flying: int = 0
    life: int = 0
    _next: datetime | None = None
    _thaws: datetime = EPOCH

    def __post_init__(self) -> None:
        self.gate = self.world.books.gate(self.world.now)

    def come(self, at: datetime) -> None:
        """Plan the next turn, unless an earlier one is planned."""
        at = max(at, self._thaws)
        if self._next is not None and self._next <= at:
            return
        self._next, life = at, self.life

        async def turn() -> None:
            if life == self.life and self._next == at:
                self._next = None
                await self._turn()

        self.world.plan(at, turn)

    async def _turn(self) -> None:
        world, habits = self.world, self.world.habits
        if world.happens(habits.crash):
            self._crash()
            return
        if world.happens(habits.wrong_day) and isinstance(self.gate, RedisGate):
            self.gate._now = world.at + world.seconds(-1, 1) * 400_000
        want = self.most - self.flying
        world.exchanges += 1
        grant = await self.gate.exchange(self.purses, back=self.back, want=want, lease=LEASE)
        if world.happens(habits.lose_answer):
            self.come(world.at + world.seconds(0.1, 5))
            return
        self.back = []
        if world.happens(habits.stand_still):
            self._thaws = world.at + world.seconds(0, 40)
        for permit in grant.permits:
            self._begin(permit)
        if grant.wait is not None and not (grant.permits or self.flying):
            self.come(world.at + grant.wait + world.seconds(0, habits.late))

    def _crash(self) -> None:
        """Forget everything; the calls that have left are at the provider all the same."""
        self.life, self.flying, self.back, self._next = self.life + 1, 0, [], None
        self.gate = self.world.books.gate(self.world.now)
        self.come(self.world.at + self.world.seconds(0, 20))

    def _begin(self, permit: Permit) -> None:
        world, taken = self.world, self.world.at
        self.flying += 1
        leaves = max(taken + world.seconds(0, world.habits.prepare), self._thaws)
        unused = world.happens(world.habits.unused) or leaves - taken > LEASE - TIMEOUT
        lands = leaves if unused else leaves + world.seconds(*world.habits.latency)
        lands = min(lands, leaves + TIMEOUT)
        if not unused:
            share = world.chance.random()
            at = leaves + (lands - leaves) * share
            world.seen.append(Seen(purses=permit.purses, at=at, ended=lands))
        life = self.life

        async def land() -> None:
            if life == self.life:
                self.flying -= 1
                self.back.append(Return(permit=permit, used=not unused))
                self.come(world.at)

        world.plan(lands, land)
