"""The requests and bodies of Zoho Books v3, as they are published."""

import pytest

from tests.builders import a_connection
from worker.domain.calls import PROJECT, TIMER, Action, Call, Target
from worker.domain.errors import InvalidInput
from worker.providers.reading import Unreadable, read
from worker.providers.requests import build
from worker.providers.zoho_books import V3, V4

pytestmark = pytest.mark.number("systems-4")

PROJECT_ID = "460000000044019"
CHILD_ID = "460000000044027"
ORGANIZATION = "organization_id=10234695"
ACCOUNT = a_connection(name="old", base_url="https://www.zohoapis.com/books/v3", dialect=V3)
THE_PROJECT = Target(kind=PROJECT, external_id=PROJECT_ID)


def a_child(kind: str) -> Target:
    return Target(kind=kind, external_id=CHILD_ID, parent_external_id=PROJECT_ID)


def a_delete(*targets: Target) -> Call:
    return Call(action=Action.DELETE, targets=targets)


def a_read(source: str) -> Call:
    return Call(action=Action.READ, targets=(THE_PROJECT,), source=source)


SHAPES = [
    (
        Call(action=Action.LIST),
        "GET",
        "/projects",
        "&sort_column=created_time&page=1&per_page=200",
    ),
    (
        Call(action=Action.LIST, cursor="2", filters=(("filter_by", "Status.Inactive"),)),
        "GET",
        "/projects",
        "&sort_column=created_time&filter_by=Status.Inactive&page=2&per_page=200",
    ),
    (
        Call(action=Action.LIST, filters=(("customer_id", "460000000044001"),)),
        "GET",
        "/projects",
        "&sort_column=created_time&customer_id=460000000044001&page=1&per_page=200",
    ),
    (a_read(PROJECT), "GET", f"/projects/{PROJECT_ID}", ""),
    (a_read("comment"), "GET", f"/projects/{PROJECT_ID}/comments", ""),
    (a_delete(THE_PROJECT), "DELETE", f"/projects/{PROJECT_ID}", ""),
    (a_delete(a_child("task")), "DELETE", f"/projects/{PROJECT_ID}/tasks/{CHILD_ID}", ""),
    (a_delete(a_child("user")), "DELETE", f"/projects/{PROJECT_ID}/users/{CHILD_ID}", ""),
    (a_delete(a_child("comment")), "DELETE", f"/projects/{PROJECT_ID}/comments/{CHILD_ID}", ""),
    (a_delete(Target(kind=TIMER, external_id="current")), "DELETE", "/projects/timer", ""),
]


@pytest.mark.parametrize(("call", "method", "path", "more"), SHAPES)
def test_every_request_has_its_published_shape(
    call: Call, method: str, path: str, more: str
) -> None:
    request = build(ACCOUNT, call)

    assert (request.method, request.path) == (method, path)
    assert request.target == f"{path}?{ORGANIZATION}{more}"


def test_every_request_of_the_dialect_is_in_the_table() -> None:
    paths = {path for _, _, path, _ in SHAPES}
    said = {
        template.format(id=CHILD_ID if "parent" in template else PROJECT_ID, parent=PROJECT_ID)
        for template in V3.deletes.values()
    }

    assert said <= paths
    assert {source.path.format(project=PROJECT_ID) for source in V3.sources} <= paths
    sent = {name for call, *_ in SHAPES for name, _ in call.filters}
    assert {spec.wire_name for spec in V3.filters} - {""} == sent


@pytest.mark.parametrize(
    "call", [a_delete(a_child("document")), a_delete(THE_PROJECT, a_child("project"))]
)
def test_v3_has_neither_documents_nor_a_bulk_delete(call: Call) -> None:
    with pytest.raises(InvalidInput):
        build(ACCOUNT, call)


def a_body() -> dict[str, object]:
    return {
        "code": 0,
        "message": "success",
        "project": {
            "project_id": PROJECT_ID,
            "project_name": "REAL TIME TRAFFIC FLUX",
            "customer_id": "460000000044001",
            "status": "active",
            "created_time": "2013-09-18T18:05:27+0530",
            "tasks": [{"task_id": "460000000044009", "task_name": "Analysis"}],
            "users": [
                {"user_id": "460000000024003", "is_current_user": True, "user_name": "John"},
                {"user_id": "460000000024004", "is_current_user": False, "user_name": "Jane"},
            ],
        },
    }


def test_people_of_v3_are_flat() -> None:
    reading = read(V3, a_read(PROJECT), a_body())

    people = [seen for seen in reading.children if seen.target.kind == "user"]
    assert reading.kinds == {"task", "user"}
    assert [(seen.target.external_id, seen.goes_with_parent) for seen in people] == [
        ("460000000024003", True),
        ("460000000024004", False),
    ]


def test_a_body_of_one_version_is_unreadable_to_the_other() -> None:
    with pytest.raises(Unreadable):
        read(V4, a_read(PROJECT), a_body())


def test_the_kinds_of_v3_are_those_of_v4_without_documents() -> None:
    kinds = [kind.name for kind in V3.catalogue.children]

    assert kinds == [kind.name for kind in V4.catalogue.children if kind.name != "document"]
    assert V3.catalogue.has_timer
    assert V3.rows == V4.rows
