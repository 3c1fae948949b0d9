"""OPERATE, point 5: pausing and cancelling at any moment stops calls and repeats none."""

import random
from collections import Counter
from datetime import datetime
from threading import Event

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.conftest import Stacks
from tests.acceptance.judge import target_of
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, Stack
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.number("operate-5")

STOPS_WITHIN = 5.0
"""Seconds after which no new call may leave for a job that was stopped."""
LATENCY = 0.05
SLOW = 0.5
"""Seconds a call takes while a job is paused again and again, so that it outlasts that."""


@pytest.fixture(
    params=[Kind.SQLITE, pytest.param(Kind.POSTGRES, marks=pytest.mark.number(full=True))], ids=str
)
def stack(request: pytest.FixtureRequest, stacks: Stacks) -> Stack:
    return stacks.running(request.param)


@pytest.mark.timeout(1800)
def test_pauses_at_random_moments_repeat_nothing(site: Site, full: bool) -> None:
    moments = 25 if full else 2
    chance = random.Random(5)
    site.configure("canary = { above = 1000000 }")
    job = site.planned(site.seed(100 * moments, tasks=2))
    site.stack.control.latency(SLOW)
    site.confirm(job)

    for _ in range(moments):
        Event().wait(chance.uniform(0, 0.8))
        eventually(lambda: site.state(job) == "running", within=30, what="a running job")
        _paused(site, job)
        site.stack.run("resume", job["id"]).ended(0)
    site.stack.control.latency(0)

    ended = site.ended(job, within=300)
    asked = Counter(target_of(row) for row in site.deletions())
    assert ended["counts"]["by_outcome"] == {"deleted": 300 * moments}
    assert set(asked.values()) == {1}
    site.judge(job)


def _paused(site: Site, job: Reply) -> None:
    """Pause a job; once it stands, nothing has left later than the promise allows."""
    site.stack.run("pause", job["id"], "--json").ended(0)
    eventually(lambda: _all_answered(site), within=15, what="the end of the calls in flight")
    assert _last_call(site) - _said_at(site, job) < STOPS_WITHIN
    counts = site.show(job)["counts"]
    assert counts["open"] + counts["succeeded"] == counts["total"]


@pytest.mark.timeout(1800)
def test_cancels_at_random_moments_leave_sums_that_add_up(site: Site, full: bool) -> None:
    chance = random.Random(6)
    site.configure("canary = { above = 1000000 }")
    site.stack.control.latency(LATENCY)

    for _ in range(25 if full else 2):
        job = site.planned(site.seed(60, tasks=2))
        site.confirm(job)
        Event().wait(chance.uniform(0, 1.2))
        said = site.stack.run("cancel", job["id"], "--json").ended(0, 5)
        ended = site.ended(job, within=60)

        counts = ended["counts"]
        assert counts["open"] == counts["unknown"] == counts["failed"] == 0
        assert counts["succeeded"] + counts["unprocessed"] == counts["total"] == 180
        if said.code == 0:
            assert ended["state"] == "cancelled"
            assert _last_call(site) - _said_at(site, job, "job.changed") < STOPS_WITHIN
        asked = Counter(target_of(row) for row in site.deletions())
        assert set(asked.values()) <= {1}


def _said_at(site: Site, job: Reply, event: str = "job.moved") -> float:
    """When the last such entry of a job was written, in seconds since the epoch."""
    asked = "SELECT at FROM audit_entries WHERE job_id = :job AND event = :event ORDER BY id"
    (at,) = site.sql(asked, job=job["id"], event=event)[-1]
    when = at if isinstance(at, datetime) else datetime.fromisoformat(f"{at}+00:00")
    return when.timestamp()


def _last_call(site: Site) -> float:
    return max((float(row["started"]) for row in site.ledger()), default=0.0)


def _all_answered(site: Site) -> bool:
    return all(row["ended"] is not None for row in site.ledger())
