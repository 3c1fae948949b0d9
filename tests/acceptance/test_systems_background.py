"""Acceptance point systems-9: background against foreground, on the same projects."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.conftest import ON_SERVICES, a_site
from tests.acceptance.site import ITEMS, Site
from tests.acceptance.stack import Stack

pytestmark = [pytest.mark.number("systems-9"), ON_SERVICES]

CHILDREN = ("comment", "document", "task", "user")
FIRST_ID = 100_000_000


@pytest.fixture
def twins(stack: Stack) -> Iterator[tuple[Site, Site]]:
    """Two accounts, for the same projects in both."""
    for one in a_site(stack):
        for other in a_site(stack):
            yield one, other


@pytest.mark.timeout(1800)
def test_background_ends_the_same_set_at_a_lower_price(
    twins: tuple[Site, Site], full: bool
) -> None:
    projects = 500 if full else 10
    one_each = dict.fromkeys(("comments", "documents", "tasks", "users"), 1)
    fore, back = twins
    seeded = [site.seed(projects, first_id=FIRST_ID, **one_each) for site in twins]
    assert seeded[0] == seeded[1]

    front = _done(fore, seeded[0], "foreground")
    behind = _done(back, seeded[1], "background")

    assert _gone(fore, front) == _gone(back, behind)
    assert len(_gone(fore, front)) == 5 * projects
    assert fore.stack.control.state(fore.organization) == {}
    assert back.stack.control.state(back.organization) == {}
    # Each child and project has its call, and each project is read and its comments listed again.
    assert front["plan"]["calls"] == _made(fore, front) == (5 + 2) * projects
    assert behind["plan"]["calls"] == _made(back, behind) == projects
    assert front["plan"]["by_kind"] == behind["plan"]["by_kind"]
    assert front["counts"]["by_outcome"] == {"deleted": 5 * projects}
    assert behind["counts"]["by_outcome"] == {
        "deleted": projects,
        "deleted_with_parent": 4 * projects,
    }
    every = (*CHILDREN, "project")
    assert _settling(fore, front) == {("call", kind): projects for kind in every}
    assert _settling(back, behind) == {("call", "project"): projects} | {
        ("item.settled", kind): projects for kind in CHILDREN
    }
    for site, job in ((fore, front), (back, behind)):
        site.judge(job)
        if full:
            site.judge_as_told(job)


def _done(site: Site, ids: list[str], mode: str) -> Reply:
    job = site.planned(ids, "--cascade", "all", "--cascade-mode", mode)
    ended = site.confirm(job, wait="30m").json
    assert ended["state"] == "succeeded"
    return {**ended, "spent": job["plan"]["calls_spent"]}


def _made(site: Site, job: Reply) -> int:
    """The calls of a job after its plan."""
    return len(site.ledger()) - int(job["spent"])


def _gone(site: Site, job: Reply) -> set[tuple[str, str, str]]:
    return {
        (item.kind, item.external_id, item.parent_external_id)
        for item in site.sql(ITEMS, job=job["id"])
        if item.outcome in {"deleted", "deleted_with_parent"}
    }


def _settling(site: Site, job: Reply) -> Counter[tuple[str, str]]:
    """The entries that give an item its outcome, by event and kind."""
    return Counter((e["event"], e["kind"]) for e in site.audit(job) if e["outcome"])
