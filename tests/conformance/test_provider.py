"""What every dialect must keep to, ours and those of installed packages, over the real wire.

A dialect says by its own rows what its answers mean; these tests ask for what no provider's data
may change: a port that never raises, deletions that are confirmed in one way only, ids that stay
in their place, and a catalogue without gaps.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.plugins.installing import installed
from worker.domain.calls import CAPABILITIES, PROJECT, TIMER, Action, Answer, Call, Target
from worker.domain.outcomes import Verdict
from worker.providers.dialect import Dialect
from worker.providers.http import HttpProvider
from worker.providers.registry import OURS, dialect_of
from worker.providers.requests import Connection
from worker.providers.verdicts import LOST, NO_ANSWER, NOT_SENT, classify

if TYPE_CHECKING:
    from worker.ports import Provider

pytestmark = pytest.mark.enable_socket

WORDS = ["ok", "gone", "truto", "remote", "object"]
CODES = [
    "",
    "0",
    *WORDS,
    *map(str, (1, 2, 4, 5, 14, 37, 43, 44, 45, 57, 1000, 1002, 1025, 1070, 4083)),
]
UNCLEAR = [500, 502, 504, 599]
# Ids that fit the kinds of a provider; a new provider with other ids adds its own.
IDS = {
    "zoho_books": ("460000000044019", "460000000044027"),
    "truto": ("62f44730-dd91-461e-bd6a-aedd9e0ad79d", ""),
    "trackly": ("b_7f3k", "c_0001"),
}
ALL = [*((one.provider, one.name) for one in OURS), ("trackly", "v1")]


@pytest.fixture(scope="module", autouse=True)
def _trackly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site"), {"trackly": "trackly:BOARDS"}):
        yield


@pytest.fixture(params=ALL, ids="-".join)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    provider, name = request.param
    return dialect_of(provider, name)


def calls(dialect: Dialect) -> Iterator[Call]:
    an_id, child_id = IDS[dialect.provider]
    project = Target(kind=PROJECT, external_id=an_id)
    yield Call(action=Action.LIST)
    if dialect.capabilities is not None:
        yield Call(action=Action.READ, source=CAPABILITIES)
    if dialect.catalogue.has_timer:
        timer = Target(kind=TIMER, external_id="current")
        yield Call(action=Action.DELETE, targets=(timer,))
    if dialect.bulk is not None:
        other = Target(kind=PROJECT, external_id=child_id)
        yield Call(action=Action.DELETE, targets=(project, other))
    for source in dialect.sources:
        yield Call(action=Action.READ, targets=(project,), source=source.name)
    yield Call(action=Action.DELETE, targets=(project,))
    for kind in dialect.catalogue.children:
        child = Target(kind=kind.name, external_id=child_id, parent_external_id=an_id)
        yield Call(action=Action.DELETE, targets=(child,))


@asynccontextmanager
async def provider_at(dialect: Dialect, base_url: str) -> AsyncIterator["Provider"]:
    provider: Provider = HttpProvider(
        Connection(
            name="acme",
            base_url=base_url,
            dialect=dialect,
            selector_value="10234695",
            token=lambda: "1000.abc",
            in_flight=5,
            deadline=timedelta(seconds=5),
            bulk=dialect.bulk,
        )
    )
    try:
        yield provider
    finally:
        await provider.aclose()


async def ask_all(
    dialect: Dialect, status: int, content: bytes = b"", content_type: str = "application/json"
) -> tuple[list[tuple[Call, Answer]], list[str]]:
    """Every call of the dialect, answered alike; the request lines as the server saw them."""
    lines: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        lines.append(f"{request.method} {request.raw_path}")
        return web.Response(status=status, body=content, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with (
        TestServer(app, host="127.0.0.1") as server,
        provider_at(dialect, f"http://127.0.0.1:{server.port}/some/base") as provider,
    ):
        answers = [(call, await provider.perform(call)) for call in calls(dialect)]
    return answers, lines


def test_each_kind_can_be_found_and_deleted(dialect: Dialect) -> None:
    catalogue = dialect.catalogue
    found = {
        (inline.kind, source.name) for source in dialect.sources for inline in source.children
    }

    timer = {TIMER} if catalogue.has_timer else set()
    kinds = {PROJECT, *(kind.name for kind in catalogue.children)}
    assert set(dialect.deletes) == kinds | timer
    assert found == {(kind.name, kind.source) for kind in catalogue.children}
    assert dialect.source(PROJECT) is not None
    assert "{token}" in dialect.authorization
    assert dialect.provider == catalogue.provider


def test_every_answer_has_a_verdict_that_its_action_can_have(dialect: Dialect) -> None:
    for action in Action:
        never = (
            {Verdict.SEEN, Verdict.UNAVAILABLE, Verdict.ACCEPTED}
            if action is Action.DELETE
            else {Verdict.DELETED, Verdict.AMBIGUOUS, Verdict.ACCEPTED}
        )
        given = {
            classify(dialect.rows, action, status, code)
            for status in range(1000)
            for code in CODES
        }
        assert not given & never


def test_no_row_of_a_provider_reaches_what_the_wire_says(dialect: Dialect) -> None:
    sent = [classify(dialect.rows, action, NO_ANSWER, NOT_SENT) for action in Action]

    assert sent == [Verdict.NOT_SENT] * len(Action)
    assert classify(dialect.rows, Action.DELETE, NO_ANSWER, LOST) is Verdict.AMBIGUOUS


def test_only_a_2xx_confirms_a_deletion(dialect: Dialect) -> None:
    confirming = {
        status
        for status in range(1000)
        for code in CODES
        if classify(dialect.rows, Action.DELETE, status, code) is Verdict.DELETED
    }

    assert confirming
    assert confirming <= set(range(200, 300))


@pytest.mark.parametrize("status", UNCLEAR)
async def test_a_server_error_settles_no_deletion(dialect: Dialect, status: int) -> None:
    answers, lines = await ask_all(dialect, status, b"<html>", "text/html")

    verdicts = {(call.action, answer.verdict) for call, answer in answers}
    assert verdicts == {
        (Action.LIST, Verdict.UNAVAILABLE),
        (Action.READ, Verdict.UNAVAILABLE),
        (Action.DELETE, Verdict.AMBIGUOUS),
    }
    assert len(lines) == len(answers)


async def test_a_body_that_says_nothing_shows_nothing(dialect: Dialect) -> None:
    answers, _ = await ask_all(dialect, 200, b"{}")

    assert {answer.verdict for _, answer in answers} <= {Verdict.UNAVAILABLE, Verdict.AMBIGUOUS}


async def test_every_call_stays_below_the_base_url_and_carries_no_secret(
    dialect: Dialect,
) -> None:
    _, lines = await ask_all(dialect, 401)

    assert all(line.split(" ")[1].startswith("/some/base/") for line in lines)
    assert not [line for line in lines if "1000.abc" in line]
    assert {line.split(" ")[0] for line in lines} == {"GET", "DELETE"}


async def test_bad_credentials_are_never_an_attempt(dialect: Dialect) -> None:
    answers, _ = await ask_all(dialect, 401, b"{}")

    assert {answer.verdict for _, answer in answers} == {Verdict.UNAUTHORISED}
    assert not [answer for _, answer in answers if answer.verdict.is_attempt]


async def test_a_redirect_is_never_followed(dialect: Dialect) -> None:
    answers, lines = await ask_all(dialect, 302)

    assert {answer.verdict for _, answer in answers} == {Verdict.INVALID}
    assert len(lines) == len(answers)


def test_what_selects_is_sent_or_held_against_the_list(dialect: Dialect) -> None:
    names = [spec.name for spec in dialect.filters]
    sides = [spec for spec in dialect.filters if spec.client_side]

    assert len(set(names)) == len(names)
    assert {"created_before", "created_after"} <= set(names)
    assert {"last_modified_before", "last_modified_after"} <= set(names)
    assert all(spec.moment and spec.side for spec in sides)
    assert all(spec.wire_name for spec in dialect.filters if not spec.client_side)


def test_a_bulk_delete_proves_nothing_about_a_single_id(dialect: Dialect) -> None:
    rows = dialect.bulk.rows if dialect.bulk is not None else ()
    given = {
        classify(rows, Action.DELETE, status, code) for status in range(1000) for code in CODES
    }

    assert not given & {Verdict.DELETED, Verdict.ABSENT, Verdict.SEEN}


def test_each_provider_has_at_most_one_default(dialect: Dialect) -> None:
    assert dialect_of(dialect.provider, dialect.name) is dialect
    assert dialect.name
