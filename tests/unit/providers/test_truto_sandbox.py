"""Our side of Truto against the sandbox's, over the real wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.domain.calls import CAPABILITIES, PROJECT, Action, Answer, Call, Target
from worker.domain.outcomes import Verdict
from worker.providers.http import HttpProvider
from worker.providers.requests import Connection
from worker.providers.truto import UNIFIED
from worker.sandbox.client import Control
from worker.sandbox.server import Sandbox

ACCOUNT_ID = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
SECRET = "canary-7c1-9d"
ALL = (("truto_ignore_remote_data", "true"), ("truto_exclude_fields", "name,status"))

pytestmark = pytest.mark.enable_socket


def connected(base_url: str) -> HttpProvider:
    return HttpProvider(
        Connection(
            name="crm",
            base_url=base_url,
            dialect=UNIFIED,
            selector_value=ACCOUNT_ID,
            token=lambda: "t",
            in_flight=5,
            deadline=timedelta(seconds=5),
            options=(("remote_query.foo", "bar"),),
        )
    )


@asynccontextmanager
async def an_account(**rules: object) -> AsyncIterator[tuple[HttpProvider, Sandbox]]:
    async with Sandbox() as sandbox:
        control = Control(sandbox.url)
        given = {"token": "t", "remote_secret": SECRET, **rules}
        await asyncio.to_thread(lambda: control.truto(ACCOUNT_ID, **given))
        await asyncio.to_thread(lambda: control.seed(ACCOUNT_ID, projects=3, first_id=100))
        provider = connected(sandbox.truto_url)
        try:
            yield provider, sandbox
        finally:
            await provider.aclose()


async def ask(provider: HttpProvider, action: Action, word: str = "unified") -> Answer:
    options = (("truto_response_format", word), *ALL) if action is Action.DELETE else ()
    target = Target(kind=PROJECT, external_id="100")
    return await provider.perform(Call(action=action, targets=(target,), options=options))


@pytest.mark.parametrize("word", ["unified", "raw", "normalized", "stream", "debug"])
@pytest.mark.parametrize("behind", ["capsule", "pipeliner"])
async def test_a_project_is_seen_deleted_and_gone_in_every_format(word: str, behind: str) -> None:
    async with an_account(provider=behind) as (provider, _):
        seen = await ask(provider, Action.READ)
        deleted = await ask(provider, Action.DELETE, word)
        again = await ask(provider, Action.DELETE, word)

    assert [one.verdict for one in (seen, deleted, again)] == [
        Verdict.SEEN,
        Verdict.DELETED,
        Verdict.ABSENT,
    ]
    assert SECRET not in repr((seen, deleted, again))


async def test_the_bytes_on_the_wire_are_those_of_the_documents() -> None:
    lines: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        lines.append(f"{request.method} {request.raw_path}")
        return web.Response(status=204)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        provider = connected(f"http://127.0.0.1:{server.port}")
        deleted = await ask(provider, Action.DELETE, "raw")
        await provider.aclose()

    assert deleted.verdict is Verdict.DELETED
    target = (
        f"/unified/crm/projects/100?integrated_account_id={ACCOUNT_ID}"
        "&truto_response_format=raw&truto_ignore_remote_data=true"
        "&truto_exclude_fields[]=name&truto_exclude_fields[]=status&remote_query[foo]=bar"
    )
    assert lines == [f"DELETE {target}"]


async def test_a_list_with_an_empty_page_is_read_to_its_end() -> None:
    async with an_account(empty_pages=[1]) as (provider, _):
        first = await provider.perform(Call(action=Action.LIST))
        cursor = first.reading.next_cursor
        second = await provider.perform(Call(action=Action.LIST, cursor=cursor))

    assert (first.verdict, first.reading.projects) == (Verdict.SEEN, ())
    assert [seen.target.external_id for seen in second.reading.projects] == ["100", "101", "102"]
    assert second.reading.next_cursor == ""


@pytest.mark.parametrize(
    ("state", "verdict", "said"),
    [
        ("blocked", Verdict.UNAUTHORISED, "blocked"),
        ("sandbox", Verdict.REFUSED, "read-only"),
        ("reauth", Verdict.UNAUTHORISED, "re-authorisation"),
    ],
)
async def test_an_account_that_does_not_stand_well_deletes_nothing(
    state: str, verdict: Verdict, said: str
) -> None:
    async with an_account(state=state) as (provider, _):
        answer = await ask(provider, Action.DELETE)

    assert answer.verdict is verdict
    assert said in answer.message


async def test_an_empty_message_is_read_from_the_provider() -> None:
    async with an_account(empty_message=True) as (provider, _):
        await ask(provider, Action.DELETE)
        answer = await ask(provider, Action.DELETE)

    assert (answer.verdict, answer.message) == (Verdict.ABSENT, "could not find resource")


async def test_an_account_says_what_it_can_do() -> None:
    async with an_account(capabilities=["list", "get"]) as (provider, _):
        answer = await provider.perform(Call(action=Action.READ, source=CAPABILITIES))

    assert answer.verdict is Verdict.SEEN
    assert answer.reading.methods == {"list", "get"}
