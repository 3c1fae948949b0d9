from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from worker.sandbox.limits import Limits
from worker.sandbox.seeding import GivenChild, GivenProject, Seed, put
from worker.sandbox.server import Sandbox
from worker.sandbox.state import Rules

Ask = Callable[..., Awaitable[tuple[int, Any]]]
ORG = "organization-id=1"

pytestmark = pytest.mark.enable_socket


def ids(page: Any) -> list[str]:  # noqa: ANN401 - a JSON body
    return [project["project_id"] for project in page["projects"]]


async def test_pages_are_cut_and_say_whether_more_follow(ask: Ask) -> None:
    status, first = await ask("GET", "/projects", f"{ORG}&page=1&per_page=2")
    _, last = await ask("GET", "/projects", f"{ORG}&page=3&per_page=2")
    _, beyond = await ask("GET", "/projects", f"{ORG}&page=4&per_page=2")

    assert (status, first["code"]) == (200, 0)
    assert ids(first) == ["100", "101"]
    assert first["page_context"]["page"] == 1
    assert first["page_context"]["per_page"] == 2
    assert first["page_context"]["has_more_page"] is True
    assert ids(last) == ["104"]
    assert last["page_context"]["has_more_page"] is False
    assert ids(beyond) == []


async def test_a_page_holds_two_hundred_at_most(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.seed(Seed(organization_id="1", projects=300))

    _, page = await ask("GET", "/projects", f"{ORG}&per_page=1000")
    _, default = await ask("GET", "/projects")

    assert len(page["projects"]) == len(default["projects"]) == 200


async def test_a_list_is_sorted_as_asked(ask: Ask, sandbox: Sandbox) -> None:
    organization = sandbox.world.organization("1")
    early = GivenProject(
        project_id="9", project_name="Zebra", created_time="2001-01-01T00:00:00+0530"
    )
    put(organization, early, now=0.0)

    _, by_time = await ask("GET", "/projects", f"{ORG}&sort_column=created_time")
    _, by_name = await ask("GET", "/projects", f"{ORG}&sort_column=project_name")
    _, down = await ask("GET", "/projects", f"{ORG}&sort_column=created_time&sort_order=D")

    assert ids(by_time)[0] == ids(by_name)[-1] == ids(down)[-1] == "9"
    assert by_time["projects"][0]["created_time"] == "2001-01-01T00:00:00+0530"


@pytest.mark.parametrize(
    "filter_, expected",
    [
        ("status=inactive", ["9"]),
        ("filter_by=Status.Active", ["100", "101", "102", "103", "104"]),
        ("filter_by=Status.All", ["9", "100", "101", "102", "103", "104"]),
        ("project_name_startswith=Zeb", ["9"]),
        ("project_name_contains=0002", ["101"]),
        ("created_time_millis_less_than=1000000000000", ["9"]),
        ("created_time_millis_less_equals=978287400000", ["9"]),
        ("last_modified_time_millis_greater_than=978287400000&status=inactive", []),
    ],
)
async def test_a_list_is_filtered_as_asked(
    ask: Ask, sandbox: Sandbox, filter_: str, expected: list[str]
) -> None:
    inactive = GivenProject(
        project_id="9",
        project_name="Zebra",
        status="inactive",
        created_time="2001-01-01T00:00:00+0530",
    )
    put(sandbox.world.organization("1"), inactive, now=0.0)

    _, page = await ask("GET", "/projects", f"{ORG}&{filter_}")

    assert ids(page) == expected


async def test_a_project_shows_its_children_but_not_its_comments(ask: Ask) -> None:
    _, body = await ask("GET", "/projects/100")

    project = body["project"]
    assert project["project_name"] == "Project 0001"
    assert project["created_time"] == "2025-01-06T10:05:43+0530"
    assert len(project["tasks"]) == len(project["users"]) == 2
    assert [row["user"]["is_current_user"] for row in project["users"]] == [True, False]
    assert project["documents"][0]["file_name"] == "document-1.pdf"
    assert project["documents"][0]["document_id"]
    assert "comments" not in project


async def test_comments_have_a_list_of_their_own(ask: Ask) -> None:
    _, body = await ask("GET", "/projects/100/comments")

    assert [row["comment_type"] for row in body["comments"]] == ["internal", "internal", "system"]
    assert all(row["comment_id"] and row["description"] for row in body["comments"])


@pytest.mark.parametrize(
    "kind, message",
    [
        ("comments", "The comment has been deleted."),
        ("tasks", "The task has been deleted."),
        ("users", "The staff has been removed"),
        ("documents", "The attachment has been removed from the project."),
    ],
)
async def test_a_child_is_deleted_once(
    ask: Ask, sandbox: Sandbox, kind: str, message: str
) -> None:
    children = sandbox.world.organization("1").projects["100"].children
    child_id = next(iter(children[kind.removesuffix("s")]))  # type: ignore[index] # a kind is its own word

    first = await ask("DELETE", f"/projects/100/{kind}/{child_id}")
    status, again = await ask("DELETE", f"/projects/100/{kind}/{child_id}")

    assert first == (200, {"code": 0, "message": message})
    assert (status, again["code"]) == (404, 1002)


async def test_a_user_taken_off_one_project_stays_on_the_next(ask: Ask, sandbox: Sandbox) -> None:
    projects = sandbox.world.organization("1").projects
    user_id = next(iter(projects["100"].children["user"]))  # type: ignore[index] # a kind is its own word

    await ask("DELETE", f"/projects/100/users/{user_id}")

    assert user_id not in projects["100"].children["user"]  # type: ignore[index] # as above
    assert user_id in projects["101"].children["user"]  # type: ignore[index] # as above


async def test_a_deleted_project_takes_its_children_with_it(ask: Ask, sandbox: Sandbox) -> None:
    task_id = next(iter(sandbox.world.organization("1").projects["100"].children["task"]))  # type: ignore[index] # a kind is its own word

    gone = await ask("DELETE", "/projects/100")

    assert gone == (200, {"code": 0, "message": "The project has been deleted."})
    assert (await ask("DELETE", f"/projects/100/tasks/{task_id}"))[0] == 404
    assert (await ask("GET", "/projects/100"))[1]["code"] == 1002
    assert (await ask("GET", "/projects/100/comments"))[1]["code"] == 1002
    assert "100" not in ids((await ask("GET", "/projects"))[1])


async def test_deleting_a_child_modifies_its_project(ask: Ask, sandbox: Sandbox) -> None:
    task_id = next(iter(sandbox.world.organization("1").projects["100"].children["task"]))  # type: ignore[index] # a kind is its own word

    await ask("DELETE", f"/projects/100/tasks/{task_id}")

    _, body = await ask("GET", "/projects/100")
    assert body["project"]["last_modified_time"] != body["project"]["created_time"]


@pytest.mark.parametrize(
    "method, path, expected",
    [
        ("GET", "/nothing", (404, 5)),
        ("DELETE", "/users/7", (404, 5)),
        ("DELETE", "/projects/", (404, 5)),
        ("DELETE", "/projects/timer/tasks/1", (404, 5)),
        ("GET", "/projects/timer", (405, 37)),
        ("DELETE", "/projects/100/../../users/7", (404, 5)),
        ("DELETE", "/projects/%2e%2e/users/7", (404, 1002)),
        ("POST", "/projects", (405, 37)),
        ("DELETE", "/projects", (405, 37)),
        ("GET", "/projects/100/tasks/1", (405, 37)),
        ("GET", "/projects/999", (404, 1002)),
        ("DELETE", "/projects/999/tasks/1", (404, 1002)),
    ],
)
async def test_a_bad_address_is_answered_and_written_down_as_it_came(
    ask: Ask, sandbox: Sandbox, method: str, path: str, expected: tuple[int, int]
) -> None:
    status, body = await ask(method, path)

    assert (status, body["code"]) == expected
    [entry] = sandbox.ledger.since(0, 10)
    assert (entry.path, entry.query) == (f"/books/v4{path}", ORG)
    assert entry.effect == "none"


@pytest.mark.parametrize("query", ["", "organization-id=2", "organization_id=1"])
async def test_an_organisation_that_is_missing_or_wrong_is_refused(ask: Ask, query: str) -> None:
    status, body = await ask("DELETE", "/projects/100", query)

    assert (status, body["code"]) == (400, 2)


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=0"])
async def test_a_parameter_that_cannot_be_read_is_refused(ask: Ask, query: str) -> None:
    status, body = await ask("GET", "/projects", f"{ORG}&{query}")

    assert (status, body["code"]) == (400, 2)


async def test_a_wrong_token_is_refused(ask: Ask) -> None:
    status, body = await ask("DELETE", "/projects/100", token="wrong")

    assert (status, body["code"]) == (401, 14)


async def test_a_missing_scope_is_refused(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.world.organization("1").rules = Rules(scopes=frozenset({"READ"}))

    status, body = await ask("DELETE", "/projects/100")

    assert (status, body["code"]) == (401, 57)
    assert (await ask("GET", "/projects/100"))[0] == 200


async def test_the_status_of_what_does_not_exist_is_a_setting(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.world.organization("1").rules = Rules(absent_status=400)

    status, body = await ask("DELETE", "/projects/999")

    assert (status, body["code"]) == (400, 1002)


async def test_whether_the_days_quota_is_shown_is_a_setting(
    sandbox: Sandbox, wire: aiohttp.ClientSession
) -> None:
    organization = sandbox.world.organization("1")
    organization.meter.set(Limits(per_day=10))
    url = f"{sandbox.url}/projects?{ORG}"

    async with wire.get(url) as answer:
        hidden = answer.headers
    organization.rules = Rules(quota_headers=True)
    async with wire.get(url) as answer:
        shown = answer.headers

    assert "X-Rate-Limit-Limit" not in hidden
    assert (shown["X-Rate-Limit-Limit"], shown["X-Rate-Limit-Remaining"]) == ("10", "8")
    assert 0 <= int(shown["X-Rate-Limit-Reset"]) <= 86_400


async def test_whether_comments_are_listed_is_a_setting(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.world.organization("1").rules = Rules(comments_listed=False)

    status, body = await ask("GET", "/projects/100/comments")

    assert (status, body["code"]) == (404, 5)


async def test_two_organisations_may_hold_the_same_ids(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.seed(Seed(organization_id="2", projects=1, first_id=100, token="other"))

    crossed = await ask("DELETE", "/projects/100", "organization-id=2")
    deleted = await ask("DELETE", "/projects/100", "organization-id=2", token="other")

    assert (crossed[0], deleted[0]) == (401, 200)
    assert (await ask("GET", "/projects/100"))[0] == 200
    assert sandbox.ledger.since(0, 9)[1].organization_id == "2"


async def test_a_project_given_by_hand_is_found_with_its_children(
    ask: Ask, sandbox: Sandbox
) -> None:
    given = GivenProject(project_id="77", comments=(GivenChild(id="5", is_system=True),))
    put(sandbox.world.organization("1"), given, now=1_000_000_000.0)

    _, body = await ask("GET", "/projects/77/comments")

    assert body["comments"][0] == {
        "comment_id": "5",
        "description": "comment 5",
        "commented_by": "John Doe",
        "comment_type": "system",
    }
