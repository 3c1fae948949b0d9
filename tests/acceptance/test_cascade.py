"""Acceptance point 3: a cascade deletes all children first, at the price of its plan."""

import pytest

from tests.acceptance.site import CHILDREN, Site

pytestmark = pytest.mark.number(3)


@pytest.mark.timeout(1800)
def test_a_cascade_deletes_children_first_at_the_price_of_its_plan(site: Site, full: bool) -> None:
    projects = 1000 if full else 60
    job = site.planned(site.seed(projects, **CHILDREN))
    planning = len(site.ledger())

    ended = site.confirm(job, wait="30m").json

    calls = len(site.ledger()) - planning
    plan, counts = job["plan"], ended["counts"]
    assert ended["state"] == "succeeded"
    assert counts["total"] == counts["by_outcome"]["deleted"] == plan["items"] == 11 * projects
    assert calls == pytest.approx(plan["calls"], rel=0.01)
    assert planning == pytest.approx(plan["calls_spent"], rel=0.01)
    site.judge(job)
    site.judge_as_told(job)
