"""The contract of the gate, for every implementation: Redis, Valkey, fakeredis, and the double."""

import asyncio
import random
import secrets
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import fakeredis
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from redis.asyncio import Redis

from tests.conformance.valkey import start_valkey, stop_valkey
from tests.services import need_redis
from worker.domain.limits import Grant, Permit, Purse, Quota, Return, WaitReason, Window
from worker.ratelimit.connection import connect, redis_url
from worker.ratelimit.port import Gate, GateClosed, GateEmpty
from worker.ratelimit.redis_gate import RedisGate
from worker.testing.gate import CountingGate

LEASE = timedelta(seconds=30)
EPOCH = datetime(2026, 11, 21, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)
VALKEY = pytest.param("valkey")
REDIS = pytest.param("redis", marks=[pytest.mark.integration, pytest.mark.enable_socket])


@dataclass(slots=True, kw_only=True)
class Bench:
    """One implementation: a gate, another process' gate on the same books, and time."""

    gate: Gate
    other: Gate
    now: Callable[[], datetime]
    pass_time: Callable[[timedelta], Awaitable[None]]
    lose: Callable[[], Awaitable[None]]
    cut: Callable[[], None] | None = None

    async def of(self, **limits: object) -> Purse:
        purse = Purse(name="acme", rate_share=1.0, day_share=1.0, **limits)  # type: ignore[arg-type]  # the tests' own words
        await self.gate.rebuild(purse, ages=(), used_today=0)
        return purse

    async def take(self, *purses: Purse, want: int = 1, lease: timedelta = LEASE) -> Grant:
        return await self.gate.exchange(purses, back=(), want=want, lease=lease)

    async def give(self, purse: Purse, *permits: Permit, used: bool = True) -> None:
        back = [Return(permit=permit, used=used) for permit in permits]
        await self.gate.exchange([purse], back=back, want=0, lease=LEASE)

    async def call(self, purse: Purse, *, times: int = 1) -> None:
        grant = await self.take(purse, want=times)
        assert len(grant.permits) == times
        await self.give(purse, *grant.permits)


@dataclass(slots=True)
class Clock:
    """Shows the time it was told."""

    at: datetime = field(default=EPOCH)

    def now(self) -> datetime:
        return self.at

    async def pass_time(self, duration: timedelta) -> None:
        self.at += duration


@asynccontextmanager
async def redis_bench(make_client: Callable[[], Redis]) -> AsyncGenerator[Bench]:
    prefix = f"gate-test-{secrets.token_hex(4)}"
    gate, other = RedisGate(make_client, prefix=prefix), RedisGate(make_client, prefix=prefix)

    async def lose() -> None:
        client = make_client()
        keys = [key async for key in client.scan_iter(match=f"{{{prefix}}}:*")]
        await client.unlink(*keys, "and-one-that-is-never-there")
        await client.aclose()

    yield Bench(
        gate=gate,
        other=other,
        now=lambda: datetime.now(UTC),  # noqa: TID251 - where the server's clock is real, so is this
        pass_time=lambda duration: asyncio.sleep(duration.total_seconds()),
        lose=lose,
    )
    await lose()
    await gate.aclose()
    await other.aclose()


@asynccontextmanager
async def bench_of(kind: str, request: pytest.FixtureRequest) -> AsyncGenerator[Bench]:
    match kind:
        case "counting":
            clock = Clock()
            gate = CountingGate(clock.now)

            async def lose() -> None:
                gate.forget()

            bench = Bench(
                gate=gate, other=gate, now=clock.now, pass_time=clock.pass_time, lose=lose
            )
            bench.cut = lambda: setattr(gate, "is_reachable", False)
            yield bench
        case "fakeredis":
            server = fakeredis.FakeServer()

            def make_client() -> Redis:
                return fakeredis.FakeAsyncRedis(server=server, decode_responses=True)

            async with redis_bench(make_client) as bench:
                bench.cut = lambda: setattr(server, "connected", False)
                yield bench
                server.connected = True
        case _:
            url = need_redis() if kind == "redis" else request.getfixturevalue("valkey_url")
            async with redis_bench(lambda: connect(url)) as bench:
                yield bench


@pytest.fixture(params=["counting", "fakeredis", VALKEY, REDIS])
async def bench(request: pytest.FixtureRequest) -> AsyncGenerator[Bench]:
    async with bench_of(request.param, request) as bench:
        yield bench


@pytest.fixture(params=["fakeredis", VALKEY, REDIS])
async def shared(request: pytest.FixtureRequest) -> AsyncGenerator[Bench]:
    """Like `bench`, only where time is real and books are shared by processes."""
    async with bench_of(request.param, request) as bench:
        yield bench


def windows(calls: int, per: timedelta = timedelta(minutes=1)) -> tuple[Window, ...]:
    return (Window(calls=calls, per=per),)


# --- books that are lost ----------------------------------------------------------------------


async def test_an_empty_gate_grants_nothing_until_it_is_rebuilt(bench: Bench) -> None:
    purse = Purse(name="acme")
    await bench.gate.begin()

    with pytest.raises(GateEmpty) as caught:
        await bench.take(purse)

    assert caught.value.purses == ("acme",)
    assert await bench.gate.rebuild(purse, ages=(), used_today=0)
    assert len((await bench.take(purse)).permits) == 1


async def test_lost_books_are_noticed(bench: Bench) -> None:
    purse = await bench.of()
    grant = await bench.take(purse)
    await bench.lose()

    with pytest.raises(GateEmpty):
        await bench.give(purse, *grant.permits)

    (book,) = await bench.gate.books([purse])
    assert not book.is_current


async def test_what_is_rebuilt_counts(bench: Bench) -> None:
    purse = Purse(
        name="acme", windows=windows(4), rate_share=1, per_day=100, day_share=1, in_flight=9
    )

    await bench.gate.rebuild(purse, ages=[timedelta(), 59 * 1000 * MS, LEASE * 3], used_today=97)

    (book,) = await bench.gate.books([purse])
    assert (book.used_windows, book.used_today) == ((2,), 97)
    assert book.corrected_at is not None
    grant = await bench.take(purse, want=9)
    assert len(grant.permits) == 2


async def test_only_the_first_rebuilds(bench: Bench) -> None:
    purse = await bench.of(windows=windows(5))
    await bench.take(purse, want=5)

    rebuilt = await bench.other.rebuild(purse, ages=(), used_today=0)

    assert not rebuilt
    assert not (await bench.take(purse)).permits


async def test_a_permit_of_lost_books_counts_when_it_comes_back(bench: Bench) -> None:
    purse = await bench.of(windows=windows(5), per_day=9)
    grant = await bench.take(purse, want=2)
    await bench.lose()
    await bench.gate.rebuild(purse, ages=(), used_today=0)

    await bench.give(purse, grant.permits[0], used=True)
    await bench.give(purse, grant.permits[1], used=False)

    (book,) = await bench.gate.books([purse])
    assert (book.used_windows, book.used_today, book.in_flight) == ((1,), 1, 0)


async def test_a_rebuilding_keeps_what_closed_the_purse(bench: Bench) -> None:
    purse = Purse(name="acme")
    await bench.gate.close("acme", until=timedelta(minutes=1), reason="429")

    await bench.gate.rebuild(purse, ages=(), used_today=0)

    assert (await bench.take(purse)).reason is WaitReason.CLOSED


# --- in flight --------------------------------------------------------------------------------


async def test_no_more_are_out_than_may_be(bench: Bench) -> None:
    purse = await bench.of(in_flight=3)

    first = await bench.take(purse, want=5)
    second = await bench.other.exchange([purse], back=(), want=1, lease=LEASE)

    assert len({permit.id for permit in first.permits}) == 3
    assert first.reason is WaitReason.IN_FLIGHT
    assert (second.permits, second.wait) == ((), 50 * MS)


async def test_who_gets_what_was_wanted_waits_for_nothing(bench: Bench) -> None:
    purse = await bench.of(in_flight=3)

    grant = await bench.take(purse, want=3)

    assert (len(grant.permits), grant.wait, grant.reason) == (3, None, None)


async def test_an_exchange_hands_back_before_it_takes(bench: Bench) -> None:
    purse = await bench.of(in_flight=1)
    (permit,) = (await bench.take(purse)).permits

    back = [Return(permit=permit, used=True)]
    grant = await bench.gate.exchange([purse], back=back, want=1, lease=LEASE)

    assert len(grant.permits) == 1


async def test_an_unused_permit_leaves_no_trace(bench: Bench) -> None:
    purse = await bench.of(in_flight=2, windows=windows(2), per_day=2)
    grant = await bench.take(purse, want=2)

    await bench.give(purse, *grant.permits, used=False)

    (book,) = await bench.gate.books([purse])
    assert (book.used_windows, book.used_today, book.in_flight) == ((0,), 0, 0)
    assert len((await bench.take(purse, want=2)).permits) == 2


async def test_handing_back_twice_counts_once(bench: Bench) -> None:
    purse = await bench.of(windows=windows(5), per_day=5)
    grant = await bench.take(purse)

    await bench.give(purse, *grant.permits)
    await bench.give(purse, *grant.permits)
    await bench.give(purse, *grant.permits, used=False)

    (book,) = await bench.gate.books([purse])
    assert (book.used_windows, book.used_today) == ((1,), 1)


async def test_a_lease_that_runs_out_is_a_call_made_at_its_end(bench: Bench) -> None:
    purse = await bench.of(windows=windows(1, 400 * MS), per_day=9)
    await bench.take(purse, lease=100 * MS)

    await bench.pass_time(150 * MS)
    early = await bench.take(purse)
    (book,) = await bench.gate.books([purse])
    await bench.pass_time(400 * MS)
    late = await bench.take(purse)

    assert (early.permits, early.reason) == ((), WaitReason.RATE)
    assert (book.used_windows, book.used_today, book.in_flight) == ((1,), 1, 0)
    assert len(late.permits) == 1


async def test_a_call_answered_after_its_lease_is_dated_by_its_answer(bench: Bench) -> None:
    purse = await bench.of(windows=windows(1, 400 * MS), per_day=9)
    grant = await bench.take(purse, lease=20 * MS)
    await bench.pass_time(300 * MS)
    await bench.take(purse)

    await bench.give(purse, *grant.permits)

    await bench.pass_time(150 * MS)
    (book,) = await bench.gate.books([purse])
    assert (book.used_windows, book.used_today) == ((1,), 1)


# --- windows ----------------------------------------------------------------------------------


async def test_what_is_out_counts_against_the_window(bench: Bench) -> None:
    purse = await bench.of(windows=windows(3))

    grant = await bench.take(purse, want=5)

    assert len(grant.permits) == 3
    assert (grant.reason, grant.wait) == (WaitReason.IN_FLIGHT, timedelta(seconds=1))


async def test_a_place_in_the_window_is_dated_by_the_answer(bench: Bench) -> None:
    purse = await bench.of(windows=windows(1, 400 * MS))
    (permit,) = (await bench.take(purse)).permits
    await bench.pass_time(300 * MS)
    await bench.give(purse, permit)

    await bench.pass_time(200 * MS)
    by_the_permit = await bench.take(purse)
    await bench.pass_time(240 * MS)
    by_the_answer = await bench.take(purse)

    assert not by_the_permit.permits
    assert len(by_the_answer.permits) == 1


async def test_who_waits_as_told_gets_a_useful_batch(bench: Bench) -> None:
    purse = await bench.of(windows=windows(20, 300 * MS), in_flight=20)
    await bench.call(purse)
    await bench.pass_time(40 * MS)
    await bench.call(purse)
    await bench.pass_time(40 * MS)
    await bench.call(purse, times=18)

    full = await bench.take(purse, want=9)
    assert full.wait is not None
    assert (full.permits, full.reason, full.purse) == ((), WaitReason.RATE, "acme")
    assert timedelta() < full.wait <= 261 * MS
    await bench.pass_time(full.wait)
    batch = await bench.take(purse, want=2)

    assert len(batch.permits) == 2


async def test_who_wants_none_is_told_how_long_there_is_none(bench: Bench) -> None:
    purse = await bench.of(windows=windows(3, 300 * MS), in_flight=3)
    await bench.call(purse, times=2)

    roomy = await bench.take(purse, want=0)
    await bench.call(purse)
    full = await bench.take(purse, want=0)

    assert (roomy.wait, roomy.reason) == (None, None)
    assert full.wait is not None
    assert (full.permits, full.reason) == ((), WaitReason.RATE)
    await bench.pass_time(full.wait)
    assert (await bench.take(purse, want=0)).wait is None


async def test_calls_that_were_answered_together_are_waited_for_together(bench: Bench) -> None:
    window = timedelta(seconds=100)
    purse = await bench.of(windows=windows(10, window), in_flight=10)
    out = (await bench.take(purse, want=10)).permits
    await bench.give(purse, *out[:4])
    await bench.pass_time(100 * MS)
    near = bench.now()
    await bench.give(purse, *out[4:6])
    await bench.pass_time(700 * MS)
    far = bench.now()
    await bench.give(purse, *out[6:])

    grant = await bench.take(purse, want=1)

    assert purse.useful_batch() == 1
    assert grant.wait is not None
    assert near + window <= bench.now() + grant.wait < far + window


async def test_every_window_of_a_purse_holds(bench: Bench) -> None:
    both = (Window(calls=2, per=150 * MS), Window(calls=3, per=timedelta(minutes=1)))
    purse = await bench.of(windows=both)
    await bench.call(purse, times=2)
    await bench.pass_time(200 * MS)

    grant = await bench.take(purse, want=2)

    assert len(grant.permits) == 1


# --- days -------------------------------------------------------------------------------------


async def test_a_spent_day_waits_for_its_reset(bench: Bench) -> None:
    reset = bench.now() + 400 * MS
    purse = await bench.of(per_day=2, day_reset=reset.time())
    await bench.call(purse, times=2)

    spent = await bench.take(purse)
    assert spent.wait is not None
    assert (spent.permits, spent.reason) == ((), WaitReason.DAY)
    assert timedelta() < spent.wait <= 400 * MS
    await bench.pass_time(spent.wait)
    fresh = await bench.take(purse, want=9)

    (book,) = await bench.gate.books([purse])
    assert len(fresh.permits) == 2
    assert book.resets_at == reset + timedelta(days=1)


async def test_a_call_out_at_the_reset_counts_for_the_new_day(bench: Bench) -> None:
    reset = bench.now() + 400 * MS
    purse = await bench.of(per_day=2, day_reset=reset.time())
    await bench.call(purse)
    (permit,) = (await bench.take(purse)).permits

    await bench.pass_time(450 * MS)
    await bench.give(purse, permit)

    (book,) = await bench.gate.books([purse])
    assert book.used_today == 1


async def test_a_day_held_by_permits_that_are_out_is_not_spent(bench: Bench) -> None:
    purse = await bench.of(per_day=2)

    grant = await bench.take(purse, want=3)

    assert len(grant.permits) == 2
    assert (grant.reason, grant.wait) == (WaitReason.IN_FLIGHT, timedelta(seconds=1))


async def test_a_reset_moved_by_the_configuration_gives_no_second_quota(bench: Bench) -> None:
    now = bench.now()
    late = await bench.of(per_day=2, day_reset=(now - timedelta(hours=1)).time())
    await bench.call(late, times=2)

    early = await bench.of(per_day=2, day_reset=(now - timedelta(hours=2)).time())

    assert not (await bench.take(early)).permits


# --- closings ---------------------------------------------------------------------------------


async def test_a_closed_purse_grants_nothing_and_says_why(bench: Bench) -> None:
    purse = await bench.of()
    await bench.gate.close("acme", until=150 * MS, reason="429: code 44")

    shut = await bench.other.exchange([purse], back=(), want=1, lease=LEASE)
    await bench.pass_time(200 * MS)
    again = await bench.take(purse)
    (book,) = await bench.gate.books([purse])

    assert (book.closed_until, book.closed_reason) == (None, "")
    assert shut.wait is not None
    assert timedelta() < shut.wait <= 150 * MS
    assert (shut.permits, shut.reason) == ((), WaitReason.CLOSED)
    assert (shut.purse, shut.detail) == ("acme", "429: code 44")
    assert len(again.permits) == 1


async def test_a_closed_purse_takes_permits_back(bench: Bench) -> None:
    purse = await bench.of(windows=windows(5))
    grant = await bench.take(purse)
    await bench.gate.close("acme", until=timedelta(minutes=1), reason="429")

    await bench.give(purse, *grant.permits)

    (book,) = await bench.gate.books([purse])
    assert (book.used_windows, book.in_flight) == ((1,), 0)


async def test_a_closing_is_shortened_only_when_asked(bench: Bench) -> None:
    purse = await bench.of()
    until = bench.now() + timedelta(hours=1)
    await bench.gate.close("acme", until=until, reason="first")

    await bench.gate.close("acme", until=timedelta(seconds=1), reason="second")
    (book,) = await bench.gate.books([purse])
    await bench.gate.close("acme", until=timedelta(), reason="opened by hand", shorten=True)
    grant = await bench.take(purse)

    assert (book.closed_until, book.closed_reason) == (until, "first")
    assert len(grant.permits) == 1


async def test_a_refusal_without_a_time_halves_the_windows_once_for_a_wave(bench: Bench) -> None:
    purse = await bench.of(windows=windows(20), in_flight=30)

    await bench.gate.close("acme", until=50 * MS, reason="429", ease=True)
    await bench.other.close("acme", until=50 * MS, reason="429", ease=True)
    await bench.pass_time(60 * MS)
    grant = await bench.take(purse, want=20)

    (book,) = await bench.gate.books([purse])
    assert len(grant.permits) == 10
    assert 0.5 <= book.pace < 0.51


async def test_halvings_add_up_and_leave_a_little(bench: Bench) -> None:
    purse = await bench.of(windows=windows(100), in_flight=200)

    for _ in range(6):
        await bench.gate.close("acme", until=5 * MS, reason="429", ease=True)
        await bench.pass_time(10 * MS)
    grant = await bench.take(purse, want=100)

    assert len(grant.permits) == 6


async def test_a_refusal_with_a_time_halves_nothing(bench: Bench) -> None:
    purse = await bench.of(windows=windows(20), in_flight=30)

    await bench.gate.close("acme", until=5 * MS, reason="429")
    await bench.pass_time(10 * MS)

    assert len((await bench.take(purse, want=20)).permits) == 20


async def test_without_windows_the_places_in_flight_are_halved(bench: Bench) -> None:
    purse = await bench.of(in_flight=8)

    await bench.gate.close("acme", until=5 * MS, reason="429", ease=True)
    await bench.pass_time(10 * MS)

    assert len((await bench.take(purse, want=8)).permits) == 4


async def test_what_was_halved_comes_back_by_a_tenth_a_minute() -> None:
    clock = Clock()
    gate = CountingGate(clock.now)
    purse = Purse(name="acme", windows=windows(20), rate_share=1.0, in_flight=99)
    await gate.rebuild(purse, ages=(), used_today=0)
    await gate.close("acme", until=timedelta(), reason="429", ease=True)

    seen = []
    for _ in range(4):
        clock.at += timedelta(minutes=2)
        grant = await gate.exchange([purse], back=(), want=99, lease=timedelta(seconds=1))
        seen.append(len(grant.permits))

    assert seen == [14, 18, 20, 20]


# --- what answers say is left -----------------------------------------------------------------


def told(permit: Permit, left: int, resets_in: timedelta) -> Return:
    return Return(permit=permit, used=True, quota=Quota(left=left, resets_in=resets_in))


async def test_no_more_is_granted_than_an_answer_says_is_left(bench: Bench) -> None:
    purse = await bench.of(windows=windows(50), in_flight=20)
    (permit,) = (await bench.take(purse)).permits

    back = [told(permit, 2, 400 * MS)]
    few = await bench.gate.exchange([purse], back=back, want=5, lease=LEASE)
    none = await bench.take(purse)
    await bench.pass_time(450 * MS)
    many = await bench.take(purse, want=5)

    assert (len(few.permits), len(none.permits), len(many.permits)) == (2, 0, 5)
    assert (await bench.gate.books([purse]))[0].corrected_at is not None


@pytest.mark.parametrize(
    ("resets_in", "reason"),
    [(timedelta(minutes=1), WaitReason.RATE), (timedelta(hours=9), WaitReason.DAY)],
)
async def test_nothing_left_waits_for_what_is_given_anew(
    bench: Bench, resets_in: timedelta, reason: WaitReason
) -> None:
    purse = await bench.of(windows=windows(50), in_flight=20)
    (permit,) = (await bench.take(purse)).permits

    grant = await bench.gate.exchange(
        [purse], back=[told(permit, 0, resets_in)], want=5, lease=LEASE
    )

    assert grant.wait is not None
    assert (grant.permits, grant.reason) == ((), reason)
    assert resets_in - timedelta(seconds=1) < grant.wait <= resets_in


async def test_the_newest_word_counts_and_of_several_the_least(bench: Bench) -> None:
    purse = await bench.of(windows=windows(50), in_flight=20)
    first, second, third = (await bench.take(purse, want=3)).permits
    long = timedelta(minutes=1)

    back = [told(first, 9, long), told(second, 4, long)]
    some = await bench.gate.exchange([purse], back=back, want=20, lease=LEASE)
    await bench.give(purse, *some.permits, used=False)
    back = [told(third, 7, long)]
    more = await bench.gate.exchange([purse], back=back, want=20, lease=LEASE)

    assert (len(some.permits), len(more.permits)) == (3, 7)


async def test_calls_whose_answers_tell_nothing_take_from_what_is_left(bench: Bench) -> None:
    purse = await bench.of(windows=windows(50), in_flight=20)
    (permit,) = (await bench.take(purse)).permits

    back = [told(permit, 3, timedelta(minutes=1))]
    some = await bench.gate.exchange([purse], back=back, want=2, lease=LEASE)
    await bench.give(purse, *some.permits)
    await bench.give(purse, *some.permits)
    more = await bench.take(purse, want=5)

    assert (len(some.permits), len(more.permits)) == (2, 1)


async def test_a_permit_that_never_came_back_takes_from_what_is_left(bench: Bench) -> None:
    purse = await bench.of(windows=windows(50), in_flight=20)
    (permit,) = (await bench.take(purse)).permits

    back = [told(permit, 3, timedelta(minutes=1))]
    await bench.gate.exchange([purse], back=back, want=2, lease=100 * MS)
    await bench.pass_time(150 * MS)
    more = await bench.take(purse, want=5)

    assert len(more.permits) == 1


async def test_what_is_left_is_said_of_the_first_purse_alone(bench: Bench) -> None:
    own = await bench.of()
    token = Purse(name="token", in_flight=20)
    await bench.gate.rebuild(token, ages=(), used_today=0)
    (permit,) = (await bench.take(own, token)).permits

    back = [told(permit, 0, timedelta(minutes=1))]
    await bench.gate.exchange([own, token], back=back, want=0, lease=LEASE)

    assert not (await bench.take(own)).permits
    assert len((await bench.take(token, want=3)).permits) == 3


# --- several purses ---------------------------------------------------------------------------


async def test_two_purses_grant_what_the_poorer_has(bench: Bench) -> None:
    rich = await bench.of(in_flight=9)
    poor = Purse(name="token", windows=windows(2), rate_share=1.0)
    await bench.gate.rebuild(poor, ages=(), used_today=0)

    grant = await bench.take(rich, poor, want=5)

    books = await bench.gate.books([rich, poor])
    assert {permit.purses for permit in grant.permits} == {("acme", "token")}
    assert [book.in_flight for book in books] == [2, 2]
    assert grant.purse == "token"


async def test_a_permit_goes_back_to_all_its_purses(bench: Bench) -> None:
    one = await bench.of(windows=windows(5))
    two = Purse(name="token", windows=windows(5))
    await bench.gate.rebuild(two, ages=(), used_today=0)
    (both,) = (await bench.take(one, two)).permits
    (single,) = (await bench.take(one)).permits

    back = [Return(permit=both, used=True), Return(permit=single, used=True)]
    await bench.gate.exchange([one, two], back=back, want=0, lease=LEASE)

    books = await bench.gate.books([one, two])
    assert [book.used_windows for book in books] == [(2,), (1,)]
    assert [book.in_flight for book in books] == [0, 0]


async def test_one_lost_purse_stops_the_whole_exchange(bench: Bench) -> None:
    known = await bench.of()
    grant = await bench.take(known)

    with pytest.raises(GateEmpty) as caught:
        await bench.gate.exchange(
            [known, Purse(name="token")],
            back=[Return(permit=permit, used=True) for permit in grant.permits],
            want=1,
            lease=LEASE,
        )

    (book,) = await bench.gate.books([known])
    assert caught.value.purses == ("token",)
    assert (book.in_flight, book.used_today) == (1, 0)


@pytest.mark.parametrize(
    ("names", "want", "lease"),
    [
        ((), 1, LEASE),
        (("acme", "acme"), 1, LEASE),
        (("acme",), -1, LEASE),
        (("acme",), 1, timedelta()),
        (("token",), 1, LEASE),
    ],
)
async def test_an_exchange_that_makes_no_sense_is_refused(
    bench: Bench, names: tuple[str, ...], want: int, lease: timedelta
) -> None:
    back = [Return(permit=Permit(id="p", purses=("acme",)), used=True)]

    with pytest.raises(ValueError, match="cannot be exchanged"):
        await bench.gate.exchange(
            [Purse(name=name) for name in names], back=back, want=want, lease=lease
        )


# --- a gate that cannot be asked --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["counting", "fakeredis"])  # servers are stopped further below
async def test_a_gate_that_cannot_be_asked_says_so(
    kind: str, request: pytest.FixtureRequest
) -> None:
    async with bench_of(kind, request) as bench:
        await _cannot_be_asked(bench)


async def _cannot_be_asked(bench: Bench) -> None:
    assert bench.cut is not None
    purse = await bench.of()
    bench.cut()

    with pytest.raises(GateClosed):
        await bench.gate.begin()
    with pytest.raises(GateClosed):
        await bench.take(purse)
    with pytest.raises(GateClosed):
        await bench.gate.close("acme", until=LEASE, reason="429")


async def test_a_redis_that_is_not_there_closes_the_gate(tmp_path: Path) -> None:
    gate = RedisGate.at(f"unix://{tmp_path}/nobody")

    with pytest.raises(GateClosed):
        await gate.begin()

    await gate.aclose()


async def test_a_redis_that_is_silent_closes_the_gate() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with tempfile.TemporaryDirectory(prefix="gate") as home:
        async with await asyncio.start_unix_server(say_nothing, f"{home}/s"):
            gate = RedisGate.at(f"unix://{home}/s", timeout=100 * MS)

            with pytest.raises(GateClosed):
                await asyncio.wait_for(gate.begin(), timeout=5)

            await gate.aclose()


async def test_a_restarted_redis_is_noticed_though_it_kept_its_data() -> None:
    with tempfile.TemporaryDirectory(prefix="gate") as home:
        process = start_valkey(Path(home))
        gate = RedisGate.at(f"redis+socket://{home}/s")
        purse = Purse(name="acme", windows=windows(9), rate_share=1.0)
        await gate.rebuild(purse, ages=(), used_today=0)
        grant = await gate.exchange([purse], back=(), want=5, lease=LEASE)
        back = [Return(permit=permit, used=True) for permit in grant.permits[:3]]
        await gate.exchange([purse], back=back, want=0, lease=LEASE)

        stop_valkey(process)
        with pytest.raises(GateClosed):
            await gate.exchange([purse], back=(), want=1, lease=LEASE)
        process = start_valkey(Path(home))
        with pytest.raises(GateEmpty):
            await gate.exchange([purse], back=(), want=1, lease=LEASE)

        # What was out is out still, the window is the record's, the day the worse of the two.
        await gate.rebuild(purse, ages=[timedelta()] * 4, used_today=2)
        (book,) = await gate.books([purse])
        assert (book.used_windows, book.used_today, book.in_flight) == ((4,), 3, 2)
        await gate.aclose()
        stop_valkey(process)


async def test_a_client_that_slept_for_days_learns_which_day_it_is(shared: Bench) -> None:
    assert isinstance(shared.gate, RedisGate)
    purse = await shared.of(per_day=3)
    await shared.call(purse)
    shared.gate._now = EPOCH - timedelta(days=9)

    grant = await shared.take(purse, want=5)

    assert len(grant.permits) == 2


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("redis://127.0.0.1:6379/3", "redis://127.0.0.1:6379/3"),
        ("rediss://:secret@cache.example/0", "rediss://:secret@cache.example/0"),
        ("unix:///run/s?db=2", "unix:///run/s?db=2"),
        ("redis+socket:///run/s", "unix:///run/s"),
        ("redis+socket:///run/s?virtual_host=/2", "unix:///run/s?db=2"),
    ],
)
def test_every_form_of_url_is_understood(given: str, meant: str) -> None:
    assert redis_url(given) == meant


@pytest.mark.parametrize("prefix", ["", "a{b"])
def test_a_prefix_that_would_split_the_keys_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        RedisGate.at("redis://127.0.0.1", prefix=prefix)


# --- the one promise: no sliding window is ever passed ----------------------------------------


def most_in_any_stretch(instants: list[float], length: float) -> int:
    ordered = sorted(instants)
    return max(
        (sum(start <= at <= start + length for at in ordered) for start in ordered), default=0
    )


async def test_no_window_is_passed_by_many_processes(shared: Bench) -> None:
    purse = await shared.of(windows=windows(20, 200 * MS), in_flight=8)
    loop, chance, seen = asyncio.get_running_loop(), random.Random(7), list[float]()
    ends = loop.time() + 2

    async def work(gate: Gate) -> None:
        back: list[Return] = []
        for _ in range(10_000):
            if loop.time() > ends:
                break
            want = chance.randint(1, 4)
            grant = await gate.exchange([purse], back=back, want=want, lease=LEASE)
            asked = loop.time()
            wait = min(grant.wait or timedelta(), 20 * MS).total_seconds()
            await asyncio.sleep(chance.uniform(0, 0.04) if grant.permits else wait)
            back = [Return(permit=each, used=chance.random() < 0.8) for each in grant.permits]
            sent = sum(each.used for each in back)
            # The provider sees a call at any time between the permit and its return.
            seen.extend(chance.uniform(asked, loop.time()) for _ in range(sent))

    await asyncio.gather(*(work(gate) for gate in [shared.gate, shared.other] * 3))

    assert most_in_any_stretch(seen, 0.2) <= 20
    assert len(seen) > 80


class AnyOrder(RuleBasedStateMachine):
    """Takes, calls, loses permits and lets time pass, in any order."""

    limits = (3, 5)
    per = (100 * MS, 250 * MS)
    lease = 80 * MS

    @initialize(day=st.integers(min_value=4, max_value=12))
    def begin(self, day: int) -> None:
        self.runner, self.clock = asyncio.Runner(), Clock()
        self.gate = CountingGate(self.clock.now)
        both = (Window(calls=3, per=self.per[0]), Window(calls=5, per=self.per[1]))
        self.purse = Purse(
            name="acme", windows=both, per_day=day, in_flight=4, rate_share=1.0, day_share=1.0,
            day_reset=time(12, 0, 1),
        )  # fmt: skip
        self.out: list[tuple[datetime, Permit]] = []
        self.seen: list[datetime] = []
        self.runner.run(self.gate.rebuild(self.purse, ages=(), used_today=0))

    @rule(want=st.integers(min_value=0, max_value=6))
    def take(self, want: int) -> None:
        exchange = self.gate.exchange([self.purse], back=(), want=want, lease=self.lease)
        grant = self.runner.run(exchange)
        if want:
            assert (grant.wait is None) == (len(grant.permits) == want)
            self.out += [(self.clock.at, permit) for permit in grant.permits]
        else:
            there_were = len(self.out)
            self.take(want=1)
            assert (grant.wait is None) == (len(self.out) > there_were)

    @precondition(lambda self: bool(self.out))
    @rule(which=st.integers(min_value=0), used=st.booleans(), when=st.floats(0, 1))
    def come_back(self, which: int, used: bool, when: float) -> None:
        taken, permit = self.out.pop(which % len(self.out))
        back = [Return(permit=permit, used=used)]
        self.runner.run(self.gate.exchange([self.purse], back=back, want=0, lease=self.lease))
        # A call is given up when its lease ends, so nobody sees it later.
        last = min(self.clock.at, taken + self.lease)
        self.seen += [taken + (last - taken) * when] * used

    @rule(millis=st.integers(min_value=1, max_value=120))
    def time_passes(self, millis: int) -> None:
        self.clock.at += millis * MS

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        self.runner.close()
        # What never came back may have been sent too, at the latest when its lease ended.
        self.seen += [min(self.clock.at, taken + self.lease) for taken, _ in self.out]
        seen = [(at - EPOCH).total_seconds() for at in self.seen]
        for limit, per in zip(self.limits, self.per, strict=True):
            assert most_in_any_stretch(seen, per.total_seconds()) <= limit
        reset = EPOCH + timedelta(seconds=1)
        day_limit = self.purse.day_limit() or 0
        assert sum(at < reset for at in self.seen) <= day_limit
        assert sum(at >= reset for at in self.seen) <= day_limit


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestNoWindowIsPassedInAnyOrder = AnyOrder.TestCase
