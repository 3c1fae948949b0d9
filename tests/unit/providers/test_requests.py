"""What a call looks like on its way out, for every endpoint, and what never gets out."""

from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import a_connection
from worker.domain.calls import PROJECT, TIMER, Action, Call, Target
from worker.domain.catalogue import Catalogue, Kind
from worker.domain.errors import InvalidInput
from worker.providers.base_url import check_base_url
from worker.providers.dialect import Cursors, Listing, Source
from worker.providers.requests import build
from worker.providers.zoho_books import V4

ORGANIZATION = "organization-id=10234695"
PROJECT_ID = "460000000044019"
CHILD_ID = "460000000044027"
CHILDREN = ("comment", "document", "task", "user")
LISTED = f"/projects?{ORGANIZATION}&sort_column=created_time"


def a_target(kind: str, external_id: str = CHILD_ID, parent: str = PROJECT_ID) -> Target:
    parent = "" if kind == PROJECT else parent
    return Target(kind=kind, external_id=external_id, parent_external_id=parent)


def a_delete(kind: str, external_id: str = CHILD_ID, parent: str = PROJECT_ID) -> Call:
    return Call(action=Action.DELETE, targets=(a_target(kind, external_id, parent),))


def a_read(source: str = PROJECT, project_id: str = PROJECT_ID) -> Call:
    return Call(action=Action.READ, targets=(a_target(PROJECT, project_id),), source=source)


ENDPOINTS = [
    (Call(action=Action.LIST), "GET", f"{LISTED}&page=1&per_page=200"),
    (Call(action=Action.LIST, cursor="17"), "GET", f"{LISTED}&page=17&per_page=200"),
    (a_read(), "GET", f"/projects/{PROJECT_ID}?{ORGANIZATION}"),
    (a_read("comment"), "GET", f"/projects/{PROJECT_ID}/comments?{ORGANIZATION}"),
    (a_delete(PROJECT, PROJECT_ID), "DELETE", f"/projects/{PROJECT_ID}?{ORGANIZATION}"),
    (
        a_delete("comment"),
        "DELETE",
        f"/projects/{PROJECT_ID}/comments/{CHILD_ID}?{ORGANIZATION}",
    ),
    (a_delete("task"), "DELETE", f"/projects/{PROJECT_ID}/tasks/{CHILD_ID}?{ORGANIZATION}"),
    (a_delete("user"), "DELETE", f"/projects/{PROJECT_ID}/users/{CHILD_ID}?{ORGANIZATION}"),
    (
        a_delete("document"),
        "DELETE",
        f"/projects/{PROJECT_ID}/documents/{CHILD_ID}?{ORGANIZATION}",
    ),
    (a_delete(TIMER, "current", ""), "DELETE", f"/projects/timer?{ORGANIZATION}"),
]


@pytest.mark.parametrize(("call", "method", "target"), ENDPOINTS)
def test_every_endpoint_is_asked_for_as_documented(call: Call, method: str, target: str) -> None:
    request = build(a_connection(), call)

    assert (request.method, request.target) == (method, target)


def test_every_kind_of_the_catalogue_has_a_way_to_delete_it_and_a_read_that_lists_it() -> None:
    kinds = {kind.name: kind for kind in (V4.catalogue.project, *V4.catalogue.children)}
    listed = {(inline.kind, source.name) for source in V4.sources for inline in source.children}

    assert set(V4.deletes) == {*kinds, TIMER}
    assert listed == {(kind.name, kind.source) for kind in V4.catalogue.children}


def test_a_child_may_stand_for_its_project_in_a_read() -> None:
    look = Call(action=Action.READ, targets=(a_target("comment"),), source="comment")

    assert build(a_connection(), look).path == f"/projects/{PROJECT_ID}/comments"


def test_the_name_of_the_selector_is_a_setting() -> None:
    request = build(a_connection(selector="organization_id"), a_read())

    assert request.query == (("organization_id", "10234695"),)


def test_an_account_without_its_organisation_asks_for_nothing() -> None:
    with pytest.raises(InvalidInput, match="names no organization-id"):
        build(a_connection(selector_value=" "), a_read())


RUBBISH = [
    "",
    " ",
    ".",
    "..",
    "timer",
    "1/2",
    "../users/7",
    "42/../../users/7",
    "42%2F..%2F..%2Fusers%2F7",
    "%2e%2e",
    "42?x=1",
    "42#",
    "42\n",
    "42\r\nHost: evil",
    "42\x00",
    "-1",
    "1.0",
    "1e3",
    "\u0664\u0662",  # digits to Python, not to Zoho
    "1" * 20,
]


@pytest.mark.parametrize("rubbish", RUBBISH)
@pytest.mark.parametrize("kind", [PROJECT, *CHILDREN])
def test_an_id_that_is_none_is_refused_before_anything_is_built(kind: str, rubbish: str) -> None:
    with pytest.raises(InvalidInput, match="not a"):
        build(a_connection(), a_delete(kind, rubbish))


@pytest.mark.parametrize("rubbish", RUBBISH)
@pytest.mark.parametrize("kind", CHILDREN)
def test_a_parent_that_is_no_id_is_refused_too(kind: str, rubbish: str) -> None:
    with pytest.raises(InvalidInput, match="not a project id"):
        build(a_connection(), a_delete(kind, parent=rubbish))


@given(
    kind=st.sampled_from([PROJECT, *CHILDREN]),
    external_id=st.one_of(st.text(), st.from_regex(r"[0-9./%\\;?#]{1,24}", fullmatch=True)),
    parent=st.one_of(st.just(PROJECT_ID), st.text()),
)
@example(kind="task", external_id="7", parent="..")
def test_no_id_takes_a_request_out_of_its_place(kind: str, external_id: str, parent: str) -> None:
    try:
        request = build(a_connection(), a_delete(kind, external_id, parent))
    except InvalidInput:
        return
    ids = [part for part in request.path.split("/") if part.isdigit()]

    assert request.path.startswith("/projects/")
    assert ids == ([external_id] if kind == PROJECT else [parent, external_id])
    assert request.query == (("organization-id", "10234695"),)


@given(external_id=st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
@example(external_id="..")
@example(external_id="a/b")
def test_an_id_stays_one_segment_even_where_a_provider_allows_any_text(external_id: str) -> None:
    loose = replace(
        V4, catalogue=Catalogue(provider="x", project=Kind(name=PROJECT, id_pattern="(?s:.*)"))
    )
    try:
        request = build(a_connection(dialect=loose), a_delete(PROJECT, external_id))
    except InvalidInput:
        assert external_id in {".", ".."}
        return
    _, projects, segment = request.path.split("/")

    assert projects == "projects"
    assert segment not in {"", ".", ".."}
    assert unquote(segment) == external_id
    assert request.path.isascii()


@pytest.mark.parametrize("cursor", ["0", "-1", "x", "1.5", "01", "1&page=2", "99999999", "\u0661"])
def test_a_cursor_that_is_no_page_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="not a page"):
        build(a_connection(), Call(action=Action.LIST, cursor=cursor))


@pytest.mark.parametrize(
    "call",
    [
        Call(action=Action.READ),
        Call(action=Action.DELETE),
        Call(action=Action.DELETE, targets=(a_target("task"), a_target("user"))),
        Call(action=Action.DELETE, targets=(a_target("invoice"),)),
        a_read("invoice"),
    ],
)
def test_what_the_dialect_does_not_know_is_refused(call: Call) -> None:
    with pytest.raises(InvalidInput):
        build(a_connection(), call)


def test_a_provider_with_cursors_is_asked_by_cursor_and_escapes_it() -> None:
    paged = replace(
        V4, selector="", listing=Listing(path="/crm", items=("result",), paging=Cursors())
    )
    account = a_connection(dialect=paged)

    first = build(account, Call(action=Action.LIST))
    second = build(account, Call(action=Action.LIST, cursor="a b&c=/+"))

    assert first.target == "/crm?limit=100"
    assert second.target == "/crm?limit=100&next_cursor=a%20b%26c%3D%2F%2B"


def test_a_template_may_name_the_project_of_a_child() -> None:
    sources = (Source(name="task", path="/tasks/of/{project}/all"),)
    call = Call(action=Action.READ, targets=(a_target("task"),), source="task")

    request = build(a_connection(dialect=replace(V4, sources=sources)), call)

    assert request.path == f"/tasks/of/{PROJECT_ID}/all"


@pytest.mark.parametrize(
    "base_url",
    [
        "https://www.zohoapis.com/books/v4",
        "https://www.zohoapis.eu/books/v4/",
        "http://127.0.0.1:8080/books/v4",
        "http://localhost:8080",
        "http://[::1]:8080/books/v4",
    ],
)
def test_https_and_loopback_are_good_enough_for_a_token(base_url: str) -> None:
    check_base_url(base_url)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "www.zohoapis.com",
        "http://www.zohoapis.com/books/v4",
        "http://127.0.0.1.evil.example/books/v4",
        "ftp://127.0.0.1/books/v4",
        "https://me:secret@www.zohoapis.com/books/v4",
        "https://www.zohoapis.com/books/v4?",
        "https://www.zohoapis.com/books/v4?authtoken=secret",
        "https://www.zohoapis.com/books/v4#x",
        "https:///books",
    ],
)
def test_any_other_base_url_is_refused_without_repeating_a_secret(base_url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_base_url(base_url)

    assert "secret@" not in refused.value.what
    assert "=secret" not in refused.value.what
