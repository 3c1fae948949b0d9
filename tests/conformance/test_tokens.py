"""The contract of the shared tokens, for Redis and for fakeredis."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from functools import partial

import fakeredis
import pytest
from redis.asyncio import Redis

from tests.services import need_redis
from worker.domain.errors import Unreachable
from worker.ports import Hold, RefreshRules, SharedToken, Standing, TokenBooks, TokenStore
from worker.ratelimit.connection import connect
from worker.ratelimit.tokens import RedisTokens

REDIS = pytest.param("redis", marks=[pytest.mark.integration, pytest.mark.enable_socket])
RULES = RefreshRules(most=3, window=timedelta(seconds=0.6), lease=timedelta(seconds=0.3))
LONG = RefreshRules(most=3, window=timedelta(minutes=10), lease=timedelta(seconds=20))
HOUR = timedelta(hours=1)
HOLD = Hold(why="down", said="HTTP 503", first=timedelta(seconds=1), longest=timedelta(seconds=3))


@pytest.fixture(params=["fakeredis", REDIS])
async def make(request: pytest.FixtureRequest) -> AsyncGenerator[Callable[[], RedisTokens]]:
    prefix = f"tokens-test-{secrets.token_hex(4)}"
    made: list[RedisTokens] = []
    if request.param == "redis":
        client: Callable[[], Redis] = partial(connect, need_redis())
    else:
        server = fakeredis.FakeServer()
        client = partial(fakeredis.FakeAsyncRedis, server=server, decode_responses=True)

    def one() -> RedisTokens:
        made.append(RedisTokens(client, prefix=prefix))
        return made[-1]

    yield one
    for store in made:
        await store.aclose()
    last = client()
    keys = [key async for key in last.scan_iter(match=f"{{{prefix}}}:*")]
    await last.unlink(*keys, "and-one-that-is-never-there")
    await last.aclose()


@pytest.fixture
def store(make: Callable[[], RedisTokens]) -> TokenStore:
    return make()


@pytest.fixture
def books() -> TokenBooks:
    return TokenBooks(book=secrets.token_hex(8), log=secrets.token_hex(8))


def a_token(
    name: str = "one", *, fresh_for: timedelta = HOUR, good_for: timedelta = HOUR
) -> SharedToken:
    return SharedToken(id=name, sealed=f"sealed {name}", fresh_for=fresh_for, good_for=good_for)


async def refresh(store: TokenStore, books: TokenBooks, token: SharedToken) -> None:
    turn = await store.begin(books, token.id, LONG)
    assert turn.standing is Standing.YOURS
    await store.finish(books, token.id, token)


async def test_a_token_is_read_by_all_until_it_ends(
    make: Callable[[], RedisTokens], books: TokenBooks
) -> None:
    one, other = make(), make()
    assert await one.read(books) is None

    await refresh(one, books, a_token(good_for=timedelta(seconds=0.3)))
    there = await other.read(books)
    await asyncio.sleep(0.35)

    assert there is not None
    assert (there.id, there.sealed, there.is_suspect) == ("one", "sealed one", False)
    assert timedelta() < there.good_for <= timedelta(seconds=0.3)
    assert await other.read(books) is None


async def test_one_refreshes_at_a_time(make: Callable[[], RedisTokens], books: TokenBooks) -> None:
    stores = [make() for _ in range(8)]

    turns = await asyncio.gather(
        *(store.begin(books, f"owner {n}", LONG) for n, store in enumerate(stores))
    )

    standings = sorted(turn.standing for turn in turns)
    assert standings == [Standing.BUSY] * 7 + [Standing.YOURS]


async def test_who_comes_after_a_refresh_finds_it_done(
    store: TokenStore, books: TokenBooks
) -> None:
    await refresh(store, books, a_token())

    assert (await store.begin(books, "late", LONG)).standing is Standing.DONE


async def test_an_old_token_that_is_still_good_may_be_refreshed(
    store: TokenStore, books: TokenBooks
) -> None:
    await refresh(store, books, a_token(fresh_for=timedelta()))

    assert (await store.begin(books, "next", LONG)).standing is Standing.YOURS
    assert await store.read(books) is not None


async def test_a_refresher_that_died_holds_nobody_up_and_counts(
    store: TokenStore, books: TokenBooks
) -> None:
    assert (await store.begin(books, "dead", RULES)).standing is Standing.YOURS
    await asyncio.sleep(0.35)

    assert (await store.begin(books, "next", RULES)).standing is Standing.YOURS
    await store.finish(books, "next", a_token(fresh_for=timedelta()))
    await refresh_with(store, books, "third")
    assert (await store.begin(books, "fourth", RULES)).standing is Standing.FULL


async def refresh_with(store: TokenStore, books: TokenBooks, owner: str) -> None:
    assert (await store.begin(books, owner, RULES)).standing is Standing.YOURS
    await store.finish(books, owner, a_token(owner, fresh_for=timedelta()))


async def test_the_window_never_holds_more_than_its_refreshes(
    store: TokenStore, books: TokenBooks
) -> None:
    for owner in ("one", "two", "three"):
        await refresh_with(store, books, owner)

    full = await store.begin(books, "four", RULES)
    assert full.standing is Standing.FULL
    assert timedelta() < full.wait <= RULES.window + timedelta(milliseconds=1)
    await asyncio.sleep(full.wait.total_seconds())
    assert (await store.begin(books, "four", RULES)).standing is Standing.YOURS


async def test_logins_with_one_refresh_token_share_its_refreshes(
    store: TokenStore, books: TokenBooks
) -> None:
    for owner in ("one", "two", "three"):
        await refresh_with(store, books, owner)

    other = TokenBooks(book="another", log=books.log)
    assert (await store.begin(other, "four", RULES)).standing is Standing.FULL
    stranger = TokenBooks(book="another", log="another")
    assert (await store.begin(stranger, "four", RULES)).standing is Standing.YOURS


async def test_a_failure_is_a_pause_that_doubles_for_all(
    store: TokenStore, books: TokenBooks
) -> None:
    assert (await store.begin(books, "one", LONG)).standing is Standing.YOURS
    pauses = [await store.fail(books, "one", HOLD)]
    held = await store.begin(books, "two", LONG)

    assert held.standing is Standing.HELD
    assert (held.why, held.said) == ("down", "HTTP 503")
    assert timedelta() < held.wait <= timedelta(seconds=1)
    assert pauses == [timedelta(seconds=1)]


async def test_a_refresh_that_never_left_does_not_count(
    store: TokenStore, books: TokenBooks
) -> None:
    unsent = Hold(why="unsent", first=timedelta(), longest=timedelta(), counts=False)
    for owner in ("one", "two", "three", "four", "five"):
        assert (await store.begin(books, owner, LONG)).standing is Standing.YOURS
        await store.fail(books, owner, unsent)

    assert (await store.begin(books, "six", LONG)).standing is Standing.YOURS


async def test_who_lost_his_turn_does_not_overwrite_the_next_ones_token(
    store: TokenStore, books: TokenBooks
) -> None:
    await store.begin(books, "slow", RULES)
    await asyncio.sleep(0.35)
    await refresh(store, books, a_token("quick"))

    await store.finish(books, "slow", a_token("slow"))
    assert await store.fail(books, "slow", HOLD) == timedelta()

    there = await store.read(books)
    assert there is not None
    assert there.id == "quick"
    assert (await store.begin(books, "next", LONG)).standing is Standing.DONE


async def test_a_refused_token_is_dropped_once(store: TokenStore, books: TokenBooks) -> None:
    await refresh(store, books, a_token("one"))

    assert await store.forget(books, "one")
    assert await store.read(books) is None
    await refresh(store, books, a_token("two"))
    assert await store.forget(books, "one")  # the old one again: another one is there already

    there = await store.read(books)
    assert there is not None
    assert (there.id, there.is_suspect) == ("two", True)


async def test_a_new_token_refused_at_once_ends_it(store: TokenStore, books: TokenBooks) -> None:
    await refresh(store, books, a_token("one"))
    await store.forget(books, "one")
    await refresh(store, books, a_token("two"))

    assert not await store.forget(books, "two")


async def test_a_token_that_went_well_may_end_again(store: TokenStore, books: TokenBooks) -> None:
    await refresh(store, books, a_token("one"))
    await store.forget(books, "one")
    await refresh(store, books, a_token("two"))
    await store.accept(books, "two")

    there = await store.read(books)
    assert there is not None
    assert not there.is_suspect
    assert await store.forget(books, "two")


async def test_tokens_refused_again_and_again_are_not_at_fault(
    store: TokenStore, books: TokenBooks
) -> None:
    rules = RefreshRules(most=9, window=timedelta(minutes=10), lease=timedelta(seconds=20))
    helped = []
    for token_id in ("one", "two", "three", "four", "five"):
        await store.begin(books, token_id, rules)
        await store.finish(books, token_id, a_token(token_id))
        await store.accept(books, token_id)
        helped.append(await store.forget(books, token_id))

    assert helped == [True, True, True, True, False]


@pytest.mark.enable_socket
async def test_without_redis_everything_is_unreachable(books: TokenBooks) -> None:
    store = RedisTokens.at("redis://127.0.0.1:1/0")

    with pytest.raises(Unreachable):
        await store.read(books)
    with pytest.raises(Unreachable):
        await store.begin(books, "one", LONG)
    await store.aclose()
