"""No limit is ever passed, whatever eight clients do; and hardly a place stays empty."""

import heapq
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from random import Random

import pytest

from tests.conformance.gate_world import CLIENTS, EPOCH, Client, Habits, RedisBooks, World
from tests.services import need_redis
from worker.domain.limits import Purse, Window
from worker.ratelimit.connection import connect

KINDS = [
    pytest.param("valkey", 5, id="valkey"),
    pytest.param(
        "redis", 500, id="redis", marks=[pytest.mark.integration, pytest.mark.enable_socket]
    ),
]
"""Where the books are kept, and how many seeds of each of the two kinds run at full length."""
SHORT = 10
LATE = timedelta(minutes=30)
PERFECT = 0.99

pytestmark = [pytest.mark.number("pace-2"), pytest.mark.timeout(3600)]


@pytest.fixture
async def books(request: pytest.FixtureRequest, kind: str) -> AsyncIterator[RedisBooks]:
    """Empty books on a real server."""
    url = need_redis() if kind == "redis" else request.getfixturevalue("valkey_url")
    redis = connect(url)
    books = await RedisBooks.on(redis)
    yield books
    await books.clear()
    await redis.aclose()


async def a_world(books: RedisBooks, habits: Habits, chance: Random, *purses: Purse) -> World:
    """Eight clients, who share the first purse; of a second kind each half has its own."""
    world = World(books, habits, chance)
    for purse in purses:
        await books.gate(world.now).rebuild(purse, ages=(), used_today=0)
    first, *own = purses
    most = max(1, first.in_flight // chance.choice((1, 2, 4)))
    for number in range(CLIENTS):
        paying = (own[number % len(own)], first) if own else (first,)
        client = Client(world=world, purses=paying, most=most)
        client.come(EPOCH + world.seconds(0, habits.late))
    return world


# --- what a provider would count ---------------------------------------------------------------


def passed(world: World, purse: Purse) -> list[str]:
    """Every limit of a purse that the provider saw passed."""
    seen = [call for call in world.seen if purse.name in call.purses]
    at = sorted(call.at for call in seen)
    found = [
        f"{purse.name}: {most} calls in {window.per}, {limit} allowed"
        for limit, window in zip(purse.window_limits(), purse.windows, strict=True)
        if (most := most_in_any_stretch(at, window.per)) > limit
    ]
    flying = most_at_once((call.at, call.ended) for call in seen)
    if flying > purse.in_flight:
        found.append(f"{purse.name}: {flying} in flight, {purse.in_flight} allowed")
    of_days = (at[i:j] for i, j in by_day(at, purse))
    limit = purse.day_limit()
    return found + [
        f"{purse.name}: {len(day)} calls on the day of {day[0]}, {limit} allowed"
        for day in of_days
        if limit is not None and len(day) > limit
    ]


def most_in_any_stretch(at: Sequence[datetime], length: timedelta) -> int:
    """The most instants, of some in order, in any closed stretch of time of this length."""
    most = first = 0
    for last, instant in enumerate(at):
        while at[first] < instant - length:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_at_once(calls: Iterable[tuple[datetime, datetime]]) -> int:
    """The most calls under way at any time."""
    ends: list[datetime] = []
    most = 0
    for began, ended in sorted(calls):
        while ends and ends[0] <= began:
            heapq.heappop(ends)
        heapq.heappush(ends, ended)
        most = max(most, len(ends))
    return most


def by_day(at: Sequence[datetime], purse: Purse) -> list[tuple[int, int]]:
    """Where each day of a purse begins and ends among instants in order."""
    resets = [bisect_left(at, reset) for reset in purse.resets_around(EPOCH)]
    return list(zip([0, *resets], [*resets, len(at)], strict=True))


# --- never over --------------------------------------------------------------------------------


def a_rough_life(chance: Random) -> tuple[Habits, tuple[Purse, ...]]:
    habits = Habits(
        latency=(0.01, chance.choice((0.1, 2, 12))),
        prepare=chance.choice((0.01, 1)),
        late=chance.choice((0.01, 1)),
        unused=chance.choice((0.02, 0.3)),
        crash=chance.choice((0, 0.005, 0.05)),
        stand_still=chance.choice((0, 0.005, 0.05)),
        lose_answer=chance.choice((0, 0.005, 0.05)),
        wrong_day=0.02,
    )
    names = chance.choice((("acme",), ("token", "acme", "crm")))
    return habits, tuple(a_purse(name, chance) for name in names)


def a_purse(name: str, chance: Random) -> Purse:
    lengths = chance.sample((1, 2, 5, 10, 30, 60), chance.randint(1, 2))
    reset = EPOCH + timedelta(seconds=chance.uniform(1, 60))
    return Purse(
        name=name,
        windows=tuple(
            Window(calls=chance.randint(3, 60), per=timedelta(seconds=length))
            for length in lengths
        ),
        per_day=chance.choice((None, chance.randint(20, 300))),
        day_reset=reset.time(),
        in_flight=chance.randint(1, 12),
        rate_share=chance.choice((1.0, 0.9)),
        day_share=chance.choice((1.0, 0.8)),
    )


@pytest.mark.parametrize(("kind", "seeds"), KINDS)
async def test_no_limit_is_passed_whatever_clients_do(
    books: RedisBooks, seeds: int, full: bool
) -> None:
    for seed in range(seeds if full else min(seeds, SHORT)):
        world, purses = await play_roughly(books, seed)

        assert [one for purse in purses for one in passed(world, purse)] == [], f"{seed=}"


async def play_roughly(books: RedisBooks, seed: int) -> tuple[World, tuple[Purse, ...]]:
    chance = Random(seed)
    habits, purses = a_rough_life(chance)
    world = await a_world(books, habits, chance, *purses)
    await world.run(until=EPOCH + LATE, calls=chance.randint(50, 500))
    await books.clear()
    return world, purses


# --- hardly a place stays empty ----------------------------------------------------------------


def a_calm_life(chance: Random) -> tuple[Habits, Purse]:
    """Windows that bind, latencies as they are, and sometimes a day that is spent in between."""
    windows = [Window(calls=chance.randint(30, 150), per=timedelta(seconds=60))]
    if chance.random() < 0.5:
        calls = max(5, windows[0].calls // chance.randint(3, 5))
        windows.append(Window(calls=calls, per=timedelta(seconds=chance.choice((15, 20)))))
    purse = Purse(
        name="acme",
        windows=tuple(windows),
        per_day=chance.choice((None, 2 * windows[0].calls)),
        day_reset=(EPOCH + timedelta(seconds=chance.uniform(60, 300))).time(),
        in_flight=chance.randint(4, 20),
        rate_share=1.0,
        day_share=1.0,
    )
    return Habits(), purse


def perfect(purse: Purse, calls: int, latency: timedelta) -> list[datetime]:
    """When so many calls leave, if each does so the moment the provider allows it."""
    made: list[datetime] = []
    ends: list[datetime] = []
    at, day, today = EPOCH, purse.day_start(EPOCH), 0
    limits = list(zip(purse.window_limits(), purse.windows, strict=True))
    for number in range(calls):
        opens = [made[-limit] + window.per for limit, window in limits if number >= limit]
        if len(ends) >= purse.in_flight:
            opens.append(heapq.heappop(ends))
        at = max(at, *opens) if opens else at
        if today == purse.day_limit() and purse.day_start(at) == day:
            at = purse.next_reset(at)
        if purse.day_start(at) != day:
            day, today = purse.day_start(at), 0
        today += 1
        made.append(at)
        heapq.heappush(ends, at + latency)
    return made


def pace(made: Iterable[datetime], best: Sequence[datetime], until: datetime) -> float:
    """How many calls were made at any time until then, on average, against the best."""
    done, possible = (
        sum((max(until - at, timedelta()) for at in each), start=timedelta())
        for each in (made, best)
    )
    return done / possible


@pytest.mark.parametrize(("kind", "seeds"), KINDS)
async def test_hardly_a_place_stays_empty(books: RedisBooks, seeds: int, full: bool) -> None:
    for seed in range(seeds if full else min(seeds, SHORT)):
        chance = Random(seed)
        habits, purse = a_calm_life(chance)
        world = await a_world(books, habits, chance, purse)
        calls = (5 if purse.per_day is None else 3) * purse.windows[0].calls

        await world.run(until=EPOCH + LATE, calls=calls)

        best = perfect(purse, calls, timedelta(seconds=sum(habits.latency) / 2))
        made = sorted(call.at for call in world.seen)[:calls]
        assert pace(made, best, best[-1] + purse.longest_window()) >= PERFECT, f"{seed=}"
        assert passed(world, purse) == [], f"{seed=}"
        await books.clear()


# --- slowed down -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["valkey"])
async def test_what_was_halved_comes_back_by_a_tenth_a_minute(books: RedisBooks) -> None:
    world = World(books, Habits(), Random(0))
    gate = books.gate(world.now)
    purse = Purse(
        name="acme",
        windows=(Window(calls=20, per=timedelta(seconds=60)),),
        rate_share=1.0,
        in_flight=99,
    )
    await gate.rebuild(purse, ages=(), used_today=0)
    await gate.close("acme", until=timedelta(), reason="429", ease=True)

    seen = []
    for _ in range(4):
        world.at += timedelta(minutes=2)
        grant = await gate.exchange([purse], back=(), want=99, lease=timedelta(seconds=1))
        seen.append(len(grant.permits))

    assert seen == [14, 18, 20, 20]


# --- and this test would notice ----------------------------------------------------------------

BUGS = {
    "what came back is forgotten": (
        "ZADD', purse.log, text(now), id",
        "ZADD', purse.log, '0', id",
    ),
    "what is out is free": (
        "eased(purse, window.calls) - used - out",
        "eased(purse, window.calls) - used",
    ),
    "a lost lease is no call": (
        "purse.used = purse.used + 1\n    end\n  end\n  if purse.is_told",
        "end\n  end\n  if purse.is_told",
    ),
    "no limit in flight": ("free = at_once - out", "free = at_once"),
    "the day is not read": ("free = purse.per_day - purse.used", "free = purse.per_day"),
}


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("kind", ["valkey"])
async def test_a_gate_with_a_bug_is_found_out(books: RedisBooks, bug: str) -> None:
    await books.wreck(*BUGS[bug])

    for seed in range(20):
        world, purses = await play_roughly(books, seed)
        if any(passed(world, purse) for purse in purses):
            return
    pytest.fail(f"nothing noticed: {bug}")
