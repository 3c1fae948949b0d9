"""Acceptance point 7: workers that are killed in the middle lose nothing and double nothing."""

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.site import Site
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.number(7)

CHILDREN = {"tasks": 2, "comments": 1}
SLOWLY = 'limits = { windows = [[1000000, "60s"]], per_day = 1000000, in_flight = 4 }'
"""With it a job is still at work when it is killed, however late that is noticed to be due."""


@pytest.mark.timeout(1800)
def test_jobs_whose_workers_are_killed_end_as_if_nothing_had_been(
    site: Site, other_site: Site, full: bool
) -> None:
    kills = 5 if full else 1
    projects = 500 if full else 50
    stack = site.stack
    site.configure(SLOWLY)
    job = site.planned(site.seed(projects, **CHILDREN))
    stack.control.latency(0.1, jitter=0.05)
    ids = other_site.seed(60, **CHILDREN)
    planning = other_site.submit(ids, "--cascade", "all", "--no-wait-plan").json
    site.confirm(job)

    _kill_again_and_again(site, job, kills)

    ended = site.ended(job, within=180)
    planned = other_site.has_plan(planning, within=90)
    lost = [entry for entry in site.audit(job) if entry["event"] == "attempt.lost"]
    assert ended["state"] == "succeeded"
    assert ended["counts"]["total"] == 4 * projects
    assert len(lost) >= kills
    site.judge(job)
    assert planned["plan"]["items"] == 4 * len(ids)
    assert other_site.deletions() == []
    other_site.confirm(planned, wait="2m")
    other_site.judge(planned)


def _kill_again_and_again(site: Site, job: Reply, kills: int) -> None:
    """End all workers with SIGKILL, at places spread over the job, and start new ones."""
    for number in range(1, kills + 1):
        wanted = job["plan"]["items"] * number // (kills + 2)
        eventually(
            lambda wanted=wanted: len(site.deletions()) > wanted,  # type: ignore[misc]  # a default for the loop's variable
            within=120,
            what=f"{wanted} deletions",
        )
        site.stack.kill_workers()
        site.stack.start_workers(2)
