"""Access tokens: one for all, refreshed once, and given up when a person must help."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

import fakeredis
import httpx
import pytest

from worker.domain.calls import PROJECT, Action, Call, Target
from worker.domain.errors import CredentialsMissing
from worker.domain.outcomes import Verdict
from worker.ports import RefreshRules
from worker.providers.http import HttpProvider
from worker.providers.login import Login
from worker.providers.oauth import OAuthTokens, early
from worker.providers.requests import Connection
from worker.providers.token_server import Denied, Granted, Why
from worker.providers.tokens import NotNow
from worker.providers.zoho_books import V4
from worker.ratelimit.tokens import RedisTokens

HOUR = timedelta(hours=1)
LOGIN = Login(
    token_url="https://accounts.zoho.com/oauth/v2/token",
    client_id="1000.canary.client",
    client_secret="canary.secret",
    refresh_token="1000.canary.refresh",
)
DELETE = Call(action=Action.DELETE, targets=(Target(kind=PROJECT, external_id="460000000044019"),))
READ_DENIED = {"code": 57, "message": "You are not authorized to perform this operation"}
EXPIRED = {"code": 14, "message": "Invalid value passed for authtoken."}
DELETED = {"code": 0, "message": "The project has been deleted."}


@dataclass
class Office:
    """A token server in memory: what it says, how often it was asked, which tokens are good."""

    lifetime: timedelta = HOUR
    denial: Denied | None = None
    asked: list[Login] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def refresh(self, login: Login) -> Granted | Denied:
        self.asked.append(login)
        number = len(self.asked)
        await self.open.wait()
        if self.denial is not None:
            return self.denial
        token = f"1000.token.{number}"
        self.good.add(token)
        return Granted(token=token, lifetime=self.lifetime)

    async def aclose(self) -> None:
        pass


@dataclass
class Bench:
    """Processes that share one Redis and one token server."""

    office: Office
    server: fakeredis.FakeServer
    login: Login = LOGIN
    made: list[OAuthTokens] = field(default_factory=list)
    stores: list[RedisTokens] = field(default_factory=list)

    def process(self, **rules: int) -> OAuthTokens:
        make = partial(fakeredis.FakeAsyncRedis, server=self.server, decode_responses=True)
        store = RedisTokens(make)
        some = RefreshRules(
            most=rules.get("most", 9),
            window=timedelta(minutes=10),
            lease=timedelta(seconds=20),
        )
        tokens = OAuthTokens(
            lambda: self.login, store, self.office, where="env:ACME_REFRESH", rules=some
        )
        self.made.append(tokens)
        self.stores.append(store)
        return tokens


@pytest.fixture
async def bench() -> AsyncGenerator[Bench]:
    there = Bench(office=Office(), server=fakeredis.FakeServer())
    yield there
    there.office.open.set()
    for tokens in there.made:
        await tokens.aclose()
    for store in there.stores:
        await store.aclose()


async def trouble_of(tokens: OAuthTokens) -> NotNow | CredentialsMissing:
    with pytest.raises((NotNow, CredentialsMissing)) as raised:
        await tokens.token()
    assert isinstance(raised.value, NotNow | CredentialsMissing)
    return raised.value


def test_a_token_is_refreshed_early_but_not_by_much_of_its_life() -> None:
    assert early(HOUR) == timedelta(minutes=5)
    assert early(timedelta(seconds=20)) == timedelta(seconds=2)


async def test_all_processes_share_one_token(bench: Bench) -> None:
    processes = [bench.process() for _ in range(8)]

    tokens = await asyncio.gather(*(each.token() for each in processes for _ in range(5)))

    assert set(tokens) == {"1000.token.1"}
    assert len(bench.office.asked) == 1


async def test_a_process_that_comes_later_asks_nobody(bench: Bench) -> None:
    await bench.process().token()

    assert await bench.process().token() == "1000.token.1"
    assert len(bench.office.asked) == 1


async def test_an_ended_token_is_replaced_once(bench: Bench) -> None:
    bench.office.lifetime = timedelta(seconds=0.2)
    one, other = bench.process(), bench.process()
    await asyncio.gather(one.token(), other.token())
    await asyncio.sleep(0.25)

    assert set(await asyncio.gather(one.token(), other.token())) == {"1000.token.2"}


async def test_while_a_token_is_good_nobody_waits_for_its_refresh(bench: Bench) -> None:
    bench.office.lifetime = timedelta(seconds=2)
    tokens = bench.process()
    await tokens.token()
    bench.office.open.clear()
    await asyncio.sleep(1.85)

    assert await tokens.token() == "1000.token.1"
    assert await tokens.token() == "1000.token.1"
    bench.office.open.set()
    await asyncio.wait(tokens._tasks)
    assert await tokens.token() == "1000.token.2"
    assert len(bench.office.asked) == 2


async def test_a_refused_token_brings_exactly_one_refresh(bench: Bench) -> None:
    one, other = bench.process(), bench.process()
    old = await one.token()
    assert await other.token() == old

    helps = [await process.reject(old, "14") for process in (one, one, other, other)]
    tokens = await asyncio.gather(one.token(), other.token(), one.token())

    assert helps == [True] * 4
    assert set(tokens) == {"1000.token.2"}
    assert len(bench.office.asked) == 2


async def test_a_fresh_token_that_is_refused_is_not_replaced_for_ever(bench: Bench) -> None:
    one, other = bench.process(), bench.process()
    assert await one.reject(await one.token(), "14")

    assert not await other.reject(await other.token(), "14")


async def test_a_token_that_went_well_is_replaced_again(bench: Bench) -> None:
    one, other = bench.process(), bench.process()
    await one.reject(await one.token(), "14")
    await one.accept(await one.token())

    assert await other.reject(await other.token(), "14")


async def test_a_missing_right_is_no_matter_of_the_token(bench: Bench) -> None:
    tokens = bench.process()

    assert not await tokens.reject(await tokens.token(), "57")
    assert await tokens.token() == "1000.token.1"


async def test_a_dead_refresh_token_is_for_a_person_and_asked_for_once(bench: Bench) -> None:
    bench.office.denial = Denied(why=Why.DEAD, said="invalid_code")
    one, other = bench.process(), bench.process()
    troubles = [await trouble_of(one), await trouble_of(other), await trouble_of(one)]

    assert [type(trouble) for trouble in troubles] == [CredentialsMissing] * 3
    first = troubles[0]
    assert isinstance(first, CredentialsMissing)
    assert first.what == "the refresh token is dead (invalid_code)"
    assert first.fix == "consent again, and put the new refresh token in env:ACME_REFRESH"
    assert len(bench.office.asked) == 1


async def test_a_replaced_refresh_token_works_at_once(bench: Bench) -> None:
    bench.office.denial = Denied(why=Why.DEAD, said="invalid_code")
    tokens = bench.process()
    await trouble_of(tokens)
    bench.office.denial = None
    bench.login = replace(LOGIN, refresh_token="1000.another")

    assert await tokens.token() == "1000.token.2"


@pytest.mark.parametrize(
    ("why", "least"),
    [
        (Why.TOO_OFTEN, timedelta(minutes=2)),
        (Why.DOWN, timedelta(seconds=5)),
        (Why.UNSENT, timedelta(seconds=1)),
    ],
)
async def test_what_passes_is_waited_for(bench: Bench, why: Why, least: timedelta) -> None:
    bench.office.denial = Denied(why=why, said="its word")
    one, other = bench.process(), bench.process()
    first, second = await trouble_of(one), await trouble_of(other)

    assert isinstance(first, NotNow)
    assert isinstance(second, NotNow)
    assert least - timedelta(milliseconds=100) <= first.after <= least
    assert "its word" in second.what
    assert len(bench.office.asked) == 1


async def test_an_outage_is_no_matter_while_the_token_is_good(bench: Bench) -> None:
    bench.office.lifetime = timedelta(seconds=2)
    tokens = bench.process()
    await tokens.token()
    bench.office.denial = Denied(why=Why.DEAD, said="invalid_code")
    await asyncio.sleep(1.85)

    assert await tokens.token() == "1000.token.1"
    await asyncio.wait(tokens._tasks)
    assert await tokens.token() == "1000.token.1"
    await asyncio.sleep(0.2)
    assert isinstance(await trouble_of(tokens), CredentialsMissing)


async def test_used_up_refreshes_are_waited_for_until_one_leaves_the_window(bench: Bench) -> None:
    tokens = bench.process(most=2)
    await tokens.reject(await tokens.token(), "14")
    await tokens.reject(await tokens.token(), "14")
    trouble = await trouble_of(tokens)

    assert isinstance(trouble, NotNow)
    assert timedelta(minutes=9) < trouble.after <= timedelta(minutes=10, seconds=1)
    assert trouble.what == "no access token: 2 refreshes in 10 min are all we may"
    assert len(bench.office.asked) == 2


async def test_without_redis_nobody_is_asked(bench: Bench) -> None:
    bench.server.connected = False
    trouble = await trouble_of(bench.process())

    assert isinstance(trouble, NotNow)
    assert not bench.office.asked


async def test_redis_holds_nothing_that_can_be_read(bench: Bench) -> None:
    token = await bench.process().token()
    client = fakeredis.FakeRedis(server=bench.server)
    kept = repr([(key, client.dump(key)) for key in client.keys("*")])

    assert "canary" not in kept
    assert token not in kept


# --- with the calls -----------------------------------------------------------


def provider_of(
    tokens: OAuthTokens, answer: Callable[[httpx.Request], httpx.Response]
) -> HttpProvider:
    connection = Connection(
        name="acme",
        base_url="https://www.zohoapis.com/books/v4",
        dialect=V4,
        selector_value="10234695",
        token=tokens,
        in_flight=5,
    )
    return HttpProvider(connection, transport=httpx.MockTransport(answer))


def books_of(office: Office) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Zoho-oauthtoken ")
        if token in office.good:
            return httpx.Response(200, json=DELETED)
        return httpx.Response(401, json=EXPIRED)

    return answer


async def test_a_call_with_an_ended_token_is_no_attempt_and_goes_again(bench: Bench) -> None:
    tokens = bench.process()
    provider = provider_of(tokens, books_of(bench.office))
    await tokens.token()
    bench.office.good.clear()
    first = await provider.perform(DELETE)
    second = await provider.perform(DELETE)

    assert first.verdict is Verdict.TOKENLESS
    assert not first.verdict.is_attempt
    assert (first.http_status, first.error_class, first.retry_after) == (401, "", None)
    assert second.verdict is Verdict.DELETED
    assert len(bench.office.asked) == 2


async def test_a_second_refusal_in_a_row_is_for_a_person(bench: Bench) -> None:
    tokens = bench.process()
    provider = provider_of(tokens, lambda _: httpx.Response(401, json=EXPIRED))
    verdicts = [(await provider.perform(DELETE)).verdict for _ in range(2)]

    assert verdicts == [Verdict.TOKENLESS, Verdict.UNAUTHORISED]
    assert len(bench.office.asked) == 2


async def test_a_missing_scope_is_for_a_person_at_once(bench: Bench) -> None:
    provider = provider_of(bench.process(), lambda _: httpx.Response(401, json=READ_DENIED))

    assert (await provider.perform(DELETE)).verdict is Verdict.UNAUTHORISED


async def test_a_call_that_has_to_wait_for_a_token_never_leaves(bench: Bench) -> None:
    bench.office.denial = Denied(why=Why.DOWN, said="HTTP 503")
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=DELETED)

    answered = await provider_of(bench.process(), answer).perform(DELETE)

    assert answered.verdict is Verdict.TOKENLESS
    assert answered.error_class == "credentials"
    assert answered.retry_after == timedelta(seconds=5)
    assert not sent


async def test_a_dead_refresh_token_stops_the_account_with_the_fix(bench: Bench) -> None:
    bench.office.denial = Denied(why=Why.DEAD, said="invalid_code")
    provider = provider_of(bench.process(), books_of(bench.office))
    answered = await provider.perform(DELETE)

    assert answered.verdict is Verdict.UNAUTHORISED
    assert answered.error_class == "credentials"
    assert "consent again, and put the new refresh token in env:ACME_REFRESH" in answered.message
