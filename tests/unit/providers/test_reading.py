"""What the documented bodies show, and that nothing odd is ever taken for "empty"."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.calls import PROJECT, Action, Call, Reading, Seen, Target
from worker.providers.dialect import Cursors, Envelope, Listing
from worker.providers.reading import Unreadable, one_line, parse, plain, read
from worker.providers.truto import UNIFIED
from worker.providers.zoho_books import V4

PROJECT_ID = "460000000044019"
BODIES = Path(__file__).with_name("bodies")
LIST = Call(action=Action.LIST)
READ = Call(
    action=Action.READ, targets=(Target(kind=PROJECT, external_id=PROJECT_ID),), source=PROJECT
)
COMMENTS = replace(READ, source="comment")

SHOWN_BESIDE = (
    (
        "description",
        "This project is about the distribution of network devices across the city.",
    ),
    ("billing_type", "based_on_project_hours"),
    ("budget_type", "total_project_cost"),
    ("customer_id", "460000000044001"),
)

Body = dict[str, Any]
Key = Any  # of an object or of a list


def body_of(name: str) -> Body:
    return parse((BODIES / f"{name}.json").read_bytes())


def a_child(
    kind: str, external_id: str, name: str, status: str = "", *, goes_with_parent: bool = False
) -> Seen:
    target = Target(kind=kind, external_id=external_id, parent_external_id=PROJECT_ID)
    return Seen(target=target, name=name, status=status, goes_with_parent=goes_with_parent)


def test_a_page_shows_its_projects_and_ends_the_list() -> None:
    reading = read(V4, LIST, body_of("projects"))

    assert reading == Reading(
        projects=(
            Seen(
                target=Target(kind=PROJECT, external_id=PROJECT_ID),
                name="Network Distribution",
                status="active",
                created="2025-08-06T10:05:43+0530",
                modified="2025-08-06T10:05:43+0530",
                beside=SHOWN_BESIDE,
            ),
        ),
    )


@pytest.mark.parametrize("shown", [None, 7, "", True, "46", {}, {"customer_id": None}, []])
def test_what_filters_alone_are_about_never_makes_a_page_unreadable(shown: object) -> None:
    body = body_of("projects")
    for key in ("customer", "description", "billing_type", "budget_type"):
        body["projects"][0][key] = shown

    (seen,) = read(V4, LIST, body).projects

    assert seen.target.external_id == PROJECT_ID
    assert all(isinstance(text, str) for _, text in seen.beside)


def test_what_is_shown_to_be_empty_is_told_from_what_is_left_out() -> None:
    body = body_of("projects")
    shown = body["projects"][0]
    shown |= {"project_name": "", "description": None, "customer": {"customer_id": ""}}
    del shown["billing_type"]

    (seen,) = read(V4, LIST, body).projects

    assert dict(seen.beside) == {
        "name": "",
        "description": "",
        "customer_id": "",
        "budget_type": "total_project_cost",
    }


def test_each_of_several_tags_is_shown_by_id_and_by_name() -> None:
    body = {"result": [{"id": "1", "tags": [{"id": 7, "name": "red"}, {"id": "8"}]}]}

    (seen,) = read(UNIFIED, LIST, body).projects

    assert seen.beside == (("tags", "7"), ("tags", "8"), ("tags", "red"))


def test_a_project_shows_itself_and_its_inline_children() -> None:
    reading = read(V4, READ, body_of("project"))

    assert reading.kinds == {"document", "task", "user"}
    assert [seen.target.external_id for seen in reading.projects] == [PROJECT_ID]
    assert reading.projects[0].name == "Network Distribution"
    assert reading.projects[0].created == "2025-08-06T10:05:43+0530"
    assert reading.projects[0].modified == ""
    assert reading.children == (
        a_child("document", "460000000038034", name="proposal.pdf"),
        a_child("task", "50000000012345", name="Design Website", status="completed"),
        a_child("user", "5000000003159", name="John Doe", status="active", goes_with_parent=True),
    )
    assert reading.next_cursor == ""


def test_a_document_of_a_comment_is_still_a_document() -> None:
    body = body_of("project")
    assert body["project"]["documents"][0]["comment"]["comment_id"] == "460000000038035"

    children = read(V4, READ, body).children

    assert [seen.target.kind for seen in children].count("document") == 1
    assert "comment" not in {seen.target.kind for seen in children}


def test_comments_are_a_list_of_their_own_and_system_comments_go_with_their_project() -> None:
    reading = read(V4, COMMENTS, body_of("comments"))

    assert reading.kinds == {"comment"}
    assert reading.projects == ()
    assert reading.children == (
        a_child("comment", "460000000044027", name="The site is ready for review."),
        a_child(
            "comment", "460000000044028", name="Project marked as active", goes_with_parent=True
        ),
    )


def test_a_colleague_is_deleted_by_himself() -> None:
    body = body_of("project")
    body["project"]["users"][0]["user"]["is_current_user"] = "false"

    assert not read(V4, READ, body).children[2].goes_with_parent


def test_empty_lists_are_empty() -> None:
    body = body_of("project")
    body["project"].update(documents=[], tasks=[], users=[])

    reading = read(V4, READ, body)

    assert reading.children == ()
    assert reading.kinds == {"document", "task", "user"}


def test_a_project_that_does_not_mention_documents_has_none() -> None:
    body = body_of("project")
    del body["project"]["documents"]

    reading = read(V4, READ, body)

    assert {child.target.kind for child in reading.children} == {"task", "user"}
    assert reading.kinds == {"document", "task", "user"}


def test_a_project_may_leave_out_when_it_was_created() -> None:
    body = body_of("projects")
    del body["projects"][0]["created_time"]

    assert read(V4, LIST, body).projects[0].fingerprint == ("Network Distribution", "")


def test_a_page_names_the_next_one() -> None:
    body = body_of("projects")
    body["page_context"].update(page=3, has_more_page=True)

    assert read(V4, replace(LIST, cursor="3"), body).next_cursor == "4"


def test_ids_stay_text_whatever_json_makes_of_them() -> None:
    body = body_of("projects")
    body["projects"][0]["project_id"] = 9_223_372_036_854_775_807

    seen = read(V4, LIST, body).projects[0]

    assert seen.target.external_id == "9223372036854775807"


def test_a_child_shown_twice_is_one_child() -> None:
    body = body_of("project")
    body["project"]["tasks"] *= 2

    assert len(read(V4, READ, body).children) == 3


def test_a_name_cannot_break_a_database_or_steer_a_terminal() -> None:
    body = body_of("projects")
    body["projects"][0]["project_name"] = "a\x00b\x1b[31m\u202ec\ud800 \u00e9"

    assert read(V4, LIST, body).projects[0].name == "ab[31mc \u00e9"


def _put(*keys: Key, value: object) -> Callable[[Body], None]:
    def put(body: Body) -> None:
        *path, last = keys
        for key in path:
            body = body[key]
        body[last] = value

    return put


def _drop(*keys: Key) -> Callable[[Body], None]:
    def drop(body: Body) -> None:
        *path, last = keys
        for key in path:
            body = body[key]
        del body[last]

    return drop


SPOILED: list[tuple[str, Call, Callable[[Body], None]]] = [
    ("projects", LIST, _drop("projects")),
    ("projects", LIST, _put("projects", value=None)),
    ("projects", LIST, _put("projects", value={})),
    ("projects", LIST, _put("projects", value=[None])),
    ("projects", LIST, _put("projects", value=["460000000044019"])),
    ("projects", LIST, _drop("page_context")),
    ("projects", LIST, _put("page_context", value=[])),
    ("projects", LIST, _drop("page_context", "has_more_page")),
    ("projects", LIST, _put("page_context", "has_more_page", value=None)),
    ("projects", LIST, _put("page_context", "has_more_page", value=0)),
    ("projects", LIST, _put("page_context", "page", value=2)),
    ("projects", LIST, _drop("projects", 0, "project_id")),
    ("projects", LIST, _put("projects", 0, "project_id", value="")),
    ("projects", LIST, _put("projects", 0, "project_id", value="1/2")),
    ("projects", LIST, _put("projects", 0, "project_id", value=None)),
    ("projects", LIST, _put("projects", 0, "project_id", value=True)),
    ("projects", LIST, _put("projects", 0, "project_id", value=4.6e14)),
    ("projects", LIST, _put("projects", 0, "project_id", value=-1)),
    ("projects", LIST, _put("projects", 0, "project_id", value=10**5000)),
    ("projects", LIST, _put("projects", 0, "project_name", value=7)),
    ("projects", LIST, _put("projects", 0, "created_time", value=1754455543)),
    ("projects", LIST, _put("projects", 0, "status", value=1)),
    ("project", READ, _drop("project")),
    ("project", READ, _put("project", value=[])),
    ("project", READ, _put("project", value={})),
    ("project", READ, _put("project", "project_id", value="460000000044020")),
    ("project", READ, _drop("project", "tasks")),
    ("project", READ, _drop("project", "users")),
    ("project", READ, _put("project", "documents", value=None)),
    ("project", READ, _put("project", "tasks", value=None)),
    ("project", READ, _put("project", "tasks", value={"0": {}})),
    ("project", READ, _put("project", "tasks", value=[{}])),
    ("project", READ, _put("project", "users", value=[{"user_id": "1"}])),
    ("project", READ, _put("project", "users", value=[{"user": None}])),
    ("project", READ, _put("project", "users", 0, "user", "is_current_user", value="maybe")),
    ("project", READ, _put("project", "users", 0, "user", "is_current_user", value=1)),
    ("comments", COMMENTS, _drop("comments")),
    ("comments", COMMENTS, _put("comments", value="")),
    ("comments", COMMENTS, _put("comments", 0, "comment_type", value=3)),
    ("comments", COMMENTS, _drop("comments", 1, "comment_id")),
]


@pytest.mark.parametrize(("name", "call", "spoil"), SPOILED)
def test_a_body_that_is_not_as_it_should_be_is_unreadable(
    name: str, call: Call, spoil: Callable[[Body], None]
) -> None:
    body = copy.deepcopy(body_of(name))
    spoil(body)

    with pytest.raises(Unreadable):
        read(V4, call, body)


@pytest.mark.parametrize(
    "spoil",
    [
        _drop("projects", 0, "project_name"),
        _put("projects", 0, "project_name", value=None),
        _put("projects", 0, "project_name", value=""),
    ],
    ids=["missing", "null", "empty"],
)
def test_a_project_that_shows_no_name_spoils_no_list(spoil: Callable[[Body], None]) -> None:
    body = body_of("projects")
    spoil(body)

    first, *others = read(V4, LIST, body).projects

    assert first.name == ""
    assert all(other.name for other in others)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
PLACES = ["projects", "project", "page_context", "comments", "tasks", "users", "documents"]


@given(
    body=st.dictionaries(st.sampled_from(PLACES), ANY_JSON),
    call=st.sampled_from([LIST, READ, COMMENTS]),
)
def test_whatever_a_body_holds_it_is_read_or_unreadable(body: Body, call: Call) -> None:
    try:
        reading = read(V4, call, body)
    except Unreadable:
        return

    assert isinstance(reading, Reading)


@given(content=st.binary())
def test_whatever_the_bytes_are_they_are_an_object_or_unreadable(content: bytes) -> None:
    try:
        body = parse(content)
    except Unreadable:
        return

    assert isinstance(body, dict)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'"code"',
        b'{"code": 0',
        b'{"code": NaN}',
        b'{"code": 0}{}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"code": ' + b"1" * 5_000 + b"}",
    ],
)
def test_rubbish_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(content)


@pytest.mark.parametrize(
    ("body", "envelope"),
    [
        ({"code": 0, "message": "success"}, Envelope(code="0", message="success")),
        ({"code": 1002, "message": "no"}, Envelope(code="1002", message="no")),
        ({"code": -1}, Envelope(code="-1")),
        ({"error": "invalid_code"}, Envelope(code="invalid_code", message="invalid_code")),
        (
            {"error": "Access Denied", "error_description": "Too many requests."},
            Envelope(code="Access Denied", message="Too many requests."),
        ),
        ({"error": "Not Found", "status": 404}, Envelope(message="Not Found")),
        ({"code": "0"}, Envelope()),
        ({"code": False}, Envelope()),
        ({"code": 0.0}, Envelope()),
        ({"code": None, "message": None}, Envelope()),
        ({"code": [0], "message": {}}, Envelope()),
        ({}, Envelope()),
    ],
)
def test_a_code_is_a_whole_number_or_a_word_we_know(body: Body, envelope: Envelope) -> None:
    assert V4.envelope(body) == envelope


def test_a_provider_with_cursors_is_read_to_its_last_page() -> None:
    listing = Listing(path="/crm", items=("result",), paging=Cursors())
    paged = replace(V4, listing=listing)

    following = read(paged, LIST, {"result": [], "next_cursor": "abc"})
    last = read(paged, replace(LIST, cursor="abc"), {"result": [], "next_cursor": None})

    assert following.next_cursor == "abc"
    assert last.next_cursor == ""


@pytest.mark.parametrize("following", [7, "abc", []])
def test_a_cursor_that_leads_nowhere_is_unreadable(following: object) -> None:
    paged = replace(V4, listing=Listing(path="/crm", items=("result",), paging=Cursors()))

    with pytest.raises(Unreadable):
        read(paged, replace(LIST, cursor="abc"), {"result": [], "next_cursor": following})


def test_a_deletion_shows_nothing() -> None:
    call = replace(READ, action=Action.DELETE)

    assert read(V4, call, json.loads('{"code": 0}')) == Reading()


@given(text=st.text())
def test_plain_text_can_be_written_anywhere(text: str) -> None:
    assert "\x00" not in plain(text)
    assert len(plain(text).encode()) >= len(plain(text))


@given(text=st.text(), length=st.integers(min_value=1, max_value=400))
def test_one_line_is_one_line_and_not_too_long(text: str, length: int) -> None:
    line = one_line(text, length)

    assert len(line) <= length
    assert len(line.splitlines()) <= 1


def test_one_line_does_not_repeat_a_secret() -> None:
    said = one_line("bad token 1000.abcdef!", 300, secret="1000.abcdef")

    assert said == "bad token [secret]!"
