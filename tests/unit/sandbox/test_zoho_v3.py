from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from worker.sandbox.server import Sandbox

Ask = Callable[..., Awaitable[tuple[int, Any]]]
ORG = "organization_id=1"

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def ask_v3(sandbox: Sandbox, wire: aiohttp.ClientSession) -> Ask:
    async def call(method: str, path: str, query: str = ORG) -> tuple[int, Any]:
        url = URL(f"{sandbox.url_v3}{path}?{query}", encoded=True)
        async with wire.request(method, url) as answer:
            return answer.status, await answer.json()

    return call


async def test_people_and_customers_are_flat_and_there_are_no_documents(ask_v3: Ask) -> None:
    _, body = await ask_v3("GET", "/projects/100")

    project = body["project"]
    assert [user["is_current_user"] for user in project["users"]] == [True, False]
    assert all(user["user_id"] and "user" not in user for user in project["users"])
    assert project["customer_id"] == "5000000005007"
    assert len(project["tasks"]) == 2
    assert "documents" not in project


async def test_a_list_has_pages_and_filters(ask_v3: Ask) -> None:
    _, body = await ask_v3("GET", "/projects", f"{ORG}&per_page=2&filter_by=Status.Active")

    assert [project["project_id"] for project in body["projects"]] == ["100", "101"]
    assert body["page_context"]["has_more_page"] is True


@pytest.mark.parametrize("kind", ["comment", "task", "user"])
async def test_a_child_is_deleted_in_other_words_than_in_v4(
    ask: Ask, ask_v3: Ask, sandbox: Sandbox, kind: str
) -> None:
    children = sandbox.world.organization("1").projects
    first = next(iter(children["100"].children[kind]))  # type: ignore[index] # a kind is its own word
    other = next(iter(children["101"].children[kind]))  # type: ignore[index] # a kind is its own word

    old = await ask_v3("DELETE", f"/projects/100/{kind}s/{first}")
    new = await ask("DELETE", f"/projects/101/{kind}s/{other}")

    assert (old[0], new[0], old[1]["code"], new[1]["code"]) == (200, 200, 0, 0)
    assert old[1]["message"] != new[1]["message"]
    assert (await ask_v3("DELETE", f"/projects/100/{kind}s/{first}"))[1]["code"] == 1002


async def test_a_project_is_deleted_once(ask_v3: Ask) -> None:
    first = await ask_v3("DELETE", "/projects/100")
    again = await ask_v3("DELETE", "/projects/100")

    assert first == (200, {"code": 0, "message": "The project has been deleted successfully."})
    text = "The project you are looking for does not exist"
    assert again == (404, {"code": 1002, "message": text})


async def test_comments_have_a_list_of_their_own(ask_v3: Ask) -> None:
    _, body = await ask_v3("GET", "/projects/100/comments")

    assert len(body["comments"]) == 3


@pytest.mark.parametrize(
    "method, path, query, expected",
    [
        ("DELETE", "/projects", f"{ORG}&project_ids=100", (405, 37)),
        ("DELETE", "/projects/100/documents/1", ORG, (404, 5)),
        ("GET", "/projects", "organization-id=1", (400, 2)),
        ("GET", "/nothing", ORG, (404, 5)),
    ],
)
async def test_what_v3_does_not_have_is_refused(
    ask_v3: Ask, sandbox: Sandbox, method: str, path: str, query: str, expected: tuple[int, int]
) -> None:
    status, body = await ask_v3(method, path, query)

    assert (status, body["code"]) == expected
    assert len(sandbox.world.organization("1").projects) == 5
