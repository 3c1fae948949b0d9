"""Acceptance point systems-4: Zoho Books v3, its children and its published requests."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.conftest import ON_SERVICES, a_site
from tests.acceptance.site import Site
from tests.acceptance.stack import Stack
from tests.acceptance.systems import ZOHO_V3

pytestmark = [pytest.mark.number("systems-4"), ON_SERVICES]

ID = "[1-9][0-9]{0,18}"
PUBLISHED = (
    ("GET", "/projects", r"&sort_column=created_time&page=[0-9]+&per_page=200"),
    ("GET", f"/projects/{ID}", ""),
    ("GET", f"/projects/{ID}/comments", ""),
    ("DELETE", f"/projects/{ID}", ""),
    ("DELETE", f"/projects/{ID}/(tasks|users|comments)/{ID}", ""),
)
"""What v3 has for this job: method, path, and the query behind the organisation."""


@pytest.fixture
def old(stack: Stack) -> Iterator[Site]:
    """An account of Zoho Books v3."""
    yield from a_site(stack, ZOHO_V3)


@pytest.mark.timeout(1800)
def test_a_cascade_of_v3_deletes_every_child_by_published_requests_alone(
    old: Site, full: bool
) -> None:
    projects = 200 if full else 10
    ids = old.seed(projects, tasks=2, users=2, comments=2)
    job = old.planned(ids)

    ended = old.confirm(job, wait="30m").json

    assert ended["state"] == "succeeded"
    assert ended["counts"]["by_outcome"] == {"deleted": 7 * projects}
    each = dict.fromkeys(("task", "user", "comment"), 2 * projects)
    assert job["plan"]["by_kind"] == {"project": projects, **each}
    assert Counter(row["kind"] for row in old.deletions()) == {"project": projects, **each}
    assert old.stack.control.state(old.organization) == {}
    assert [row for row in old.ledger() if not _is_published(old, row)] == []
    old.judge(job)
    if full:
        old.judge_as_told(job)


def _is_published(site: Site, row: Reply) -> bool:
    organization = re.escape(f"organization_id={site.organization}")
    return any(
        row["method"] == method
        and re.fullmatch(f"/books/v3{path}", row["path"])
        and re.fullmatch(organization + query, row["query"])
        for method, path, query in PUBLISHED
    )
