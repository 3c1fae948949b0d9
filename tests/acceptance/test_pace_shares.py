"""A share that is set holds at once, in workers that were running before, and is audited."""

import time

import pytest

from tests.acceptance.conftest import ON_SERVICES
from tests.acceptance.pace import Limits, passed
from tests.acceptance.site import Site
from tests.acceptance.waiting import eventually

pytestmark = [pytest.mark.timeout(300), ON_SERVICES]

LIMITS = Limits(windows=[(20, 2)])
SLOW_FOR = 6.0
"""Seconds, of which the first two still hold calls from before."""


def test_a_share_that_is_set_holds_for_running_workers_at_once(site: Site) -> None:
    LIMITS.set(site)
    job = site.planned(site.seed(150), "--cascade", "none")
    site.confirm(job)
    eventually(lambda: len(site.deletions()) > 40, within=60, what="40 deletions")

    site.stack.run("set", job["id"], "--rate-share", "0.1").ended(0)
    slowed = time.time()
    eventually(lambda: time.time() > slowed + SLOW_FOR, within=30, what="a while")
    site.stack.run("set", job["id"], "--rate-share", "default").ended(0)
    freed = time.time()
    ended = site.ended(job, within=120)

    starts = [row["started"] for row in site.ledger()]
    calls = sum(slowed + 2 <= at <= slowed + SLOW_FOR for at in starts)
    assert 1 <= calls <= 6, calls  # two in any two seconds, instead of twenty
    assert any(freed < at < freed + 2 for at in starts)
    assert ended["state"] == "succeeded"
    changes = [one["message"] for one in site.audit(job) if one["event"] == "job.changed"]
    assert changes == ["set rate share default to 0.1", "set rate share 0.1 to default"]
    assert passed(site, LIMITS) == []
