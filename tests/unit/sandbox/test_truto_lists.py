from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from yarl import URL

from worker.sandbox.client import ControlRefused
from worker.sandbox.server import Sandbox

Tell = Callable[..., Awaitable[Any]]
Look = Callable[..., Awaitable[tuple[int, Any]]]
ACCOUNT = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
GIVEN = {
    "project_id": "9",
    "project_name": "Zebra",
    "status": "CLOSED",
    "created_time": "2001-01-01T00:00:00Z",
    "last_modified_time": "2002-01-01T00:00:00Z",
    "owner": "o9",
    "stage": "s9",
    "account": "a9",
    "tags": ["red", "blue"],
    "rate": 5.0,
}

pytestmark = pytest.mark.enable_socket


@pytest.fixture
async def look(sandbox: Sandbox, wire: aiohttp.ClientSession, tell: Tell) -> Look:
    await tell("truto", ACCOUNT, token="t")
    await tell("seed", ACCOUNT, projects=5, first_id=100, owner=["o1", "o2"], tags=[["green"]])

    async def call(query: str = "") -> tuple[int, Any]:
        asked = f"integrated_account_id={ACCOUNT}&{query}"
        url = URL(f"{sandbox.truto_url}/unified/crm/projects?{asked}", encoded=True)
        async with wire.get(url, headers={"Authorization": "Bearer t"}) as answer:
            return answer.status, await answer.json()

    return call


async def pages(look: Look, query: str) -> list[list[str]]:
    found: list[list[str]] = []
    cursor = ""
    for _ in range(20):
        _, body = await look(f"{query}&next_cursor={cursor}" if cursor else query)
        assert body["result_count"] == len(body["result"])
        found.append([project["id"] for project in body["result"]])
        cursor = body["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the list never ends")


async def test_a_list_is_read_from_cursor_to_cursor(look: Look) -> None:
    _, whole = await look()

    assert await pages(look, "limit=2") == [["100", "101"], ["102", "103"], ["104"]]
    assert (whole["next_cursor"], whole["prev_cursor"], whole["result_count"]) == (None, None, 5)


async def test_a_page_may_be_empty_and_still_carry_a_cursor(look: Look, tell: Tell) -> None:
    await tell("truto", ACCOUNT, empty_pages=[1, 3])

    assert await pages(look, "limit=3") == [[], ["100", "101", "102"], [], ["103", "104"]]


async def test_a_list_says_how_to_go_back(look: Look) -> None:
    _, first = await look("limit=2")
    _, second = await look(f"limit=2&next_cursor={first['next_cursor']}")
    _, back = await look(f"limit=2&next_cursor={second['prev_cursor']}")

    assert (first["prev_cursor"], back["result"]) == (None, first["result"])


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "next_cursor=x", "next_cursor=%25", "sort_by=x", "created_at=x"],
)
async def test_a_value_nobody_can_read_is_refused(look: Look, query: str) -> None:
    status, body = await look(query)

    assert (status, body["error"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    "filters, expected",
    [
        ([("name", "Zebra")], ["9"]),
        ([("status", "closed")], ["9"]),
        ([("status", "open")], ["100", "101", "102", "103", "104"]),
        ([("status", "OPEN")], []),
        ([("search_term", "zeb")], ["9"]),
        ([("owner[id]", "o9")], ["9"]),
        ([("owner[id]", "o2")], ["101", "103"]),
        ([("stage[id]", "s9")], ["9"]),
        ([("account[id]", "a9")], ["9"]),
        ([("tags[]", "red")], ["9"]),
        ([("tags[]", "blue"), ("tags[]", "nothing")], ["9"]),
        ([("tags[]", "green"), ("owner[id]", "o2")], ["101", "103"]),
        ([("created_at[lt]", "2001-01-01T00:00:00.001Z")], ["9"]),
        ([("updated_at[lte]", "2002-01-01T00:00:00Z")], ["9"]),
        ([("updated_at", "2002-01-01T00:00:00Z"), ("status", "closed")], ["9"]),
        ([("updated_at[gt]", "2002-01-01T00:00:00Z"), ("status", "closed")], []),
        ([("created_at[gte]", "2001-01-01T00:00:00Z"), ("name", "Zebra")], ["9"]),
    ],
)
async def test_a_list_and_the_judge_choose_alike(
    look: Look, tell: Tell, filters: list[tuple[str, str]], expected: list[str]
) -> None:
    await tell("projects", ACCOUNT, [GIVEN])
    values: dict[str, list[str]] = {}
    for name, value in filters:
        values.setdefault(name, []).append(value)

    _, body = await look(urlencode(filters))

    assert [project["id"] for project in body["result"]] == expected
    assert sorted(await tell("select", ACCOUNT, values)) == sorted(expected)


async def test_a_pipeliner_account_has_its_own_states(look: Look, tell: Tell) -> None:
    await tell("truto", ACCOUNT, provider="pipeliner")
    await tell("projects", ACCOUNT, [{**GIVEN, "status": "completed"}])

    _, busy = await look("status=in%20progress")
    _, done = await look("status=completed")

    assert (busy["result_count"], [one["id"] for one in done["result"]]) == (5, ["9"])


@pytest.mark.parametrize("column", ["amount", "created_at", "name", "updated_at"])
async def test_a_list_is_sorted_by_each_column(look: Look, tell: Tell, column: str) -> None:
    await tell("projects", ACCOUNT, [GIVEN])

    _, body = await look(f"sort_by={column}")

    shown = [project[column] for project in body["result"]]
    assert shown == sorted(shown)


async def test_an_unknown_filter_is_refused_by_the_judge(look: Look, tell: Tell) -> None:
    status, body = await look("filter_by=Status.Active")

    assert (status, body["result_count"]) == (200, 5)
    with pytest.raises(ControlRefused, match="no filter filter_by"):
        await tell("select", ACCOUNT, {"filter_by": "Status.Active"})
