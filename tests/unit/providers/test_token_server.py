"""What a token server's answer means, and that nothing else than the form says who asks."""

import json
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from worker.providers.login import Login
from worker.providers.token_server import (
    HOLDS,
    Denied,
    Granted,
    TokenServer,
    Why,
    answer_of,
)

LOGIN = Login(
    token_url="https://accounts.zoho.eu/oauth/v2/token",
    client_id="1000.canary.client",
    client_secret="canary&secret=1",
    refresh_token="1000.canary+refresh/",
)


def said(body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("body", "lifetime"),
    [
        ({"access_token": "1000.a.b", "expires_in": 3600}, timedelta(hours=1)),
        ({"access_token": "1000.a.b", "expires_in": 20}, timedelta(seconds=20)),
        ({"access_token": "1000.a.b", "expires_in": 0.5}, timedelta(seconds=0.5)),
        (
            {"access_token": "1000.a.b", "expires_in": 3600000, "expires_in_sec": 3600},
            timedelta(hours=1),
        ),
        ({"access_token": "1000.a.b", "expires_in": 10**300}, timedelta(hours=1)),
        ({"access_token": "1000.a.b", "expires_in": -1}, timedelta(hours=1)),
        ({"access_token": "1000.a.b", "expires_in": True}, timedelta(hours=1)),
        ({"access_token": "1000.a.b"}, timedelta(hours=1)),
    ],
)
def test_a_token_lives_as_long_as_is_said_and_an_hour_at_most(
    body: object, lifetime: timedelta
) -> None:
    assert answer_of(200, said(body)) == Granted(token="1000.a.b", lifetime=lifetime)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, {"error": "invalid_code"}, Why.DEAD),
        (400, {"error": "invalid_code"}, Why.DEAD),
        (200, {"error": "Access Denied"}, Why.TOO_OFTEN),
        (400, {"error": "Access Denied", "status": "failure"}, Why.TOO_OFTEN),
        (429, {}, Why.TOO_OFTEN),
        (200, {"error": "invalid_client"}, Why.CLIENT),
        (401, {"error": "invalid_client"}, Why.CLIENT),
        (200, {"error": "invalid_client_secret"}, Why.CLIENT),
        (400, {"error": "some_new_word"}, Why.REFUSED),
        (200, {"error": "general_error"}, Why.DOWN),
        (500, {"error": "invalid_code"}, Why.DOWN),
        (503, {"access_token": "1000.a.b"}, Why.DOWN),
        (302, {"access_token": "1000.a.b"}, Why.DOWN),
        (200, {"access_token": ""}, Why.DOWN),
        (200, {"access_token": "two words"}, Why.DOWN),
        (200, {"access_token": 7}, Why.DOWN),
        (200, [], Why.DOWN),
    ],
)
def test_what_is_no_token_has_a_reason(status: int, body: object, why: Why) -> None:
    answer = answer_of(status, said(body))

    assert isinstance(answer, Denied)
    assert answer.why is why


def test_a_page_of_a_proxy_is_an_outage() -> None:
    assert answer_of(502, b"<html>") == Denied(why=Why.DOWN, said="HTTP 502")
    assert answer_of(429, b"<html>") == Denied(why=Why.TOO_OFTEN, said="HTTP 429")


def test_waits_of_an_outage_are_longer_than_the_window_of_the_refreshes() -> None:
    hold = HOLDS[Why.DOWN]
    waits = [min(hold.first * 2**n, hold.longest) for n in range(9)]

    assert sum(waits, timedelta()) >= timedelta(minutes=10)
    assert not HOLDS[Why.UNSENT].counts


async def test_secrets_are_in_the_form_alone() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"access_token": "1000.a.b", "expires_in": 3600})

    server = TokenServer(transport=httpx.MockTransport(answer))
    granted = await server.refresh(LOGIN)
    await server.aclose()

    assert isinstance(granted, Granted)
    assert [(one.method, str(one.url)) for one in asked] == [("POST", LOGIN.token_url)]
    assert parse_qs(asked[0].content.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": [LOGIN.refresh_token],
        "client_id": [LOGIN.client_id],
        "client_secret": [LOGIN.client_secret],
    }
    assert "canary" not in str(asked[0].headers)
    assert "canary" not in repr(LOGIN)
    assert "1000.a.b" not in repr(granted)


@pytest.mark.enable_socket
async def test_a_server_that_is_not_there_was_never_asked() -> None:
    server = TokenServer()
    login = Login(
        token_url="http://127.0.0.1:1/oauth/v2/token",
        client_id="id",
        client_secret="secret",
        refresh_token="refresh",
    )
    answer = await server.refresh(login)
    await server.aclose()

    assert answer == Denied(why=Why.UNSENT, said="refused")
