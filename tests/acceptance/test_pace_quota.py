"""PACE 5: a job larger than today's quota rests until the day turns, and says when that is."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.acceptance.conftest import ON_SERVICES
from tests.acceptance.pace import Limits, passed, pause
from tests.acceptance.site import Site
from tests.acceptance.waiting import eventually

pytestmark = [pytest.mark.number("pace-5"), pytest.mark.timeout(900), ON_SERVICES]

ZONE = ZoneInfo("Asia/Kathmandu")
"""Its clock is 5:45 ahead of UTC, so hours and minutes both show whose time was meant."""
PER_DAY = 15
MINUTE = 60
ENOUGH = 25
"""Seconds that are left of the day when the job begins, at least."""


def next_turn() -> float:
    """The next whole minute that leaves enough of the day before it; both days turn then."""
    now = time.time()
    turn = now - now % MINUTE + MINUTE
    return turn if turn - now >= ENOUGH else turn + MINUTE


def test_a_job_larger_than_the_days_quota_goes_on_when_the_day_turns(site: Site) -> None:
    at = next_turn()
    turns = datetime.fromtimestamp(at, UTC)
    there = turns.astimezone(ZONE)
    limits = Limits(
        windows=[(1000, 60)],
        per_day=PER_DAY,
        day_resets=f"{there:%H:%M} {ZONE.key}",
        of_sandbox={"day_seconds": MINUTE},
    )
    limits.set(site)
    job = site.planned(site.seed(PER_DAY + 10), "--cascade", "none")
    site.confirm(job)

    eventually(lambda: waits(site, job["id"]) == "quota_reset", within=60, what="the quota")
    shown = site.show(job)["waiting_on"]
    explained = " ".join(site.stack.run("explain", job["id"]).ended(0).stdout.split())
    listed = site.stack.run("accounts").ended(0).stdout
    ended = site.ended(job, within=120)

    said = f"{there:%Y-%m-%d %H:%M} {ZONE.key} ({turns:%H:%M} UTC)"
    assert datetime.fromisoformat(shown["next_wake"]) == turns
    assert f"resets at {said}" in shown["sentence"]
    assert f"resets at {said}" in explained
    (line,) = (one for one in listed.splitlines() if one.startswith(f"{site.account} "))
    assert f"{PER_DAY}/{PER_DAY}" in line
    assert line.endswith(f"day used until {said}")
    assert ended["state"] == "succeeded"
    assert len([row for row in site.ledger() if row["started"] < at]) == PER_DAY
    assert pause(site, at) < 1
    assert passed(site, limits) == []
    site.judge(job)


@pytest.mark.number("pace-5", full=True)
def test_a_quota_that_answers_alone_tell_of_is_kept(site: Site) -> None:
    at = next_turn()
    limits = Limits(windows=[(1000, 60)], per_day=PER_DAY, of_sandbox={"day_seconds": MINUTE})
    replace(limits, per_day=1_000_000).set(site)
    site.stack.control.limits(
        site.organization, windows=[], per_day=PER_DAY, in_flight=5, day_seconds=MINUTE
    )
    site.stack.control.organization(site.organization, quota_headers=True)
    job = site.planned(site.seed(PER_DAY + 10), "--cascade", "none")
    site.confirm(job)

    ended = site.ended(job, within=150)

    assert ended["state"] == "succeeded"
    assert len([row for row in site.ledger() if row["started"] < at]) == PER_DAY
    assert passed(site, limits) == []
    site.judge(job)


def waits(site: Site, job_id: str) -> str:
    """What a job waits on, straight from the database."""
    ((code,),) = site.sql("SELECT waiting_code FROM jobs WHERE id = :job", job=job_id)
    return str(code)
