from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from worker.sandbox.oauth import Denial, Grant, Holder, OAuth
from worker.sandbox.server import Sandbox

Ask = Callable[..., Awaitable[tuple[int, Any]]]
Tell = Callable[..., Awaitable[Any]]
Refresh = Callable[..., Awaitable[tuple[int, Any]]]
CLIENT = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}

pytestmark = pytest.mark.enable_socket


def a_grant(**given: Any) -> Grant:  # noqa: ANN401 - whatever a grant takes
    return Grant(organization_ids=("1",), **{**CLIENT, **given})


@pytest.fixture
def refresh(sandbox: Sandbox, wire: aiohttp.ClientSession) -> Refresh:
    async def call(**given: str) -> tuple[int, Any]:
        form = {"grant_type": "refresh_token", **CLIENT, **given}
        async with wire.post(sandbox.token_url, data=form) as answer:
            return answer.status, await answer.json()

    return call


def test_a_token_lives_as_long_as_it_is_said_to() -> None:
    oauth = OAuth()
    oauth.register(a_grant(lifetime=20))
    holder = oauth.holder("c", "s", "r")
    assert isinstance(holder, Holder)

    token = holder.refresh(100.0)

    asked = [oauth.caller(token, "1", now) for now in (100.0, 119.9, 120.0)]
    assert asked == ["r", "r", None]
    assert oauth.caller(token, "2", 100.0) is None


def test_one_token_too_many_ends_the_oldest() -> None:
    holder = Holder(grant=a_grant(refreshes=100))

    tokens = [holder.refresh(float(n)) for n in range(16)]

    assert list(holder.ends_by_token) == tokens[1:]


def test_no_window_holds_more_refreshes_than_allowed() -> None:
    holder = Holder(grant=a_grant())

    answers = [holder.refresh(now) for now in (*range(11), 599.0, 600.0)]

    assert [isinstance(answer, Denial) for answer in answers] == [*[False] * 10, True, True, False]
    stats = holder.stats(600.0)
    assert (stats["refreshes"], stats["peak"]) == (11, 10)
    assert [one["error"] for one in stats["denied"]] == ["Access Denied", "Access Denied"]


async def test_a_refresh_gives_a_token_that_is_good_and_the_fixed_one_is_not(
    ask: Ask, refresh: Refresh, tell: Tell
) -> None:
    await tell("oauth", ["1"], **CLIENT, lifetime=20)

    status, body = await refresh()

    token = body.pop("access_token")
    assert (status, body) == (
        200,
        {"api_domain": "https://www.zohoapis.com", "token_type": "Bearer", "expires_in": 20},
    )
    assert (await ask("GET", "/projects", token=token))[0] == 200
    assert (await ask("GET", "/projects"))[0] == 401


async def test_the_fixed_token_may_be_kept(ask: Ask, tell: Tell) -> None:
    await tell("oauth", ["1"], **CLIENT, keep_static=True)

    assert (await ask("GET", "/projects"))[0] == 200


async def test_a_token_that_has_ended_is_refused(ask: Ask, refresh: Refresh, tell: Tell) -> None:
    await tell("oauth", ["1"], **CLIENT)
    _, body = await refresh()

    ended = await tell("expire")
    status, said = await ask("GET", "/projects", token=body["access_token"])

    assert (ended, status, said["code"]) == (1, 401, 14)


@pytest.mark.parametrize(
    "given, status, error",
    [
        ({"refresh_token": "other"}, 200, "invalid_code"),
        ({"client_id": "other"}, 200, "invalid_client"),
        ({"client_secret": "other"}, 200, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_a_wrong_refresh_is_refused_in_a_word(
    refresh: Refresh, tell: Tell, given: dict[str, str], status: int, error: str
) -> None:
    await tell("oauth", ["1"], **CLIENT)

    assert await refresh(**given) == (status, {"error": error})


async def test_too_many_refreshes_are_denied_under_a_200(refresh: Refresh, tell: Tell) -> None:
    await tell("oauth", ["1"], **CLIENT, refreshes=2)

    answers = [await refresh() for _ in range(3)]

    assert [status for status, _ in answers] == [200, 200, 200]
    assert answers[-1][1] == {"error": "Access Denied"}
    [grant] = await tell("grants")
    assert (grant["refreshes"], grant["peak"], len(grant["denied"])) == (2, 2, 1)
    assert grant["refreshed_at"] == sorted(grant["refreshed_at"])
    assert (await tell("stats"))["oauth"] == [grant]


@pytest.mark.parametrize("tokens_too, expected", [(True, 401), (False, 200)])
async def test_a_revoked_refresh_token_is_dead_and_another_may_follow(
    ask: Ask, refresh: Refresh, tell: Tell, *, tokens_too: bool, expected: int
) -> None:
    await tell("oauth", ["1"], **CLIENT)
    _, body = await refresh()

    await tell("revoke", "r", tokens_too=tokens_too)
    dead = await refresh()
    old = await ask("GET", "/projects", token=body["access_token"])
    await tell("oauth", ["1"], **{**CLIENT, "refresh_token": "r2"})
    new = await refresh(refresh_token="r2")

    assert dead == (200, {"error": "invalid_code"})
    assert old[0] == expected
    assert (await ask("GET", "/projects", token=new[1]["access_token"]))[0] == 200


async def test_a_refresh_is_in_the_ledger_without_its_secrets(
    refresh: Refresh, tell: Tell
) -> None:
    await tell("oauth", ["1"], **CLIENT)
    await refresh()

    [row] = await tell("ledger")

    assert (row["method"], row["path"], row["query"]) == ("POST", "/oauth/v2/token", "")
    assert (row["effect"], row["organization_id"], row["status"]) == ("granted", "1", 200)


async def test_a_refresh_costs_nothing_of_the_organisations_limits(
    refresh: Refresh, ask: Ask, tell: Tell
) -> None:
    await tell("oauth", ["1"], **CLIENT)
    await tell("limits", "1", windows=[[1, 60]])
    _, body = await refresh()

    assert (await ask("GET", "/projects", token=body["access_token"]))[0] == 200


async def test_the_token_endpoint_can_go_wrong_too(refresh: Refresh, tell: Tell) -> None:
    await tell("oauth", ["1"], **CLIENT)
    await tell("faults", [{"kind": "error_before", "match": {"path_regex": "^/oauth/"}}])

    assert await refresh() == (500, {"error": "internal_error"})
    [grant] = await tell("grants")
    assert grant["refreshes"] == 0


async def test_only_a_post_gives_a_token(sandbox: Sandbox, wire: aiohttp.ClientSession) -> None:
    async with wire.get(sandbox.token_url) as answer:
        assert answer.status == 405
    async with wire.post(f"{sandbox.origin}/oauth/v2/other") as answer:
        assert answer.status == 404


async def test_a_timer_belongs_to_who_consented_not_to_one_token(
    ask: Ask, refresh: Refresh, tell: Tell
) -> None:
    await tell("oauth", ["1"], **CLIENT)
    await tell("timer", "1")
    _, body = await refresh()

    assert (await ask("DELETE", "/projects/timer", token=body["access_token"]))[0] == 200
