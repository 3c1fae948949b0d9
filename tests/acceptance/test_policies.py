"""Policies by real beats and workers: each slot one job or one miss, whatever beats do."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.conftest import a_site
from tests.acceptance.site import FINAL, Site
from tests.acceptance.stack import Kind, a_stack
from tests.acceptance.waiting import eventually
from worker.domain.schedule import Schedule
from worker.ports import SlotRow
from worker.store.engine import Database
from worker.store.policies import Policies

NAME = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often slots come, how many projects there are, and how long each part lasts."""

    line: str
    every: timedelta
    projects: int
    both: float  # seconds with two beats
    one: float
    none: float


SHORT = Pace(line="*/5 * * * * *", every=timedelta(seconds=5), projects=40, both=0, one=0, none=11)
FULL = Pace(
    line="* * * * *", every=timedelta(minutes=1), projects=1_000, both=240, one=120, none=120
)


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A deployment of its own: its beats come and go."""
    with a_stack(Kind.POSTGRES, tmp_path) as stack:
        yield from a_site(stack)


def with_policy(site: Site, line: str, *account: str) -> Site:
    return site.configure(
        "canary = { above = 100000 }",
        *account,
        f"[policies.{NAME}]",
        f'account = "{site.account}"',
        f'schedule = "{line}"',
        'timezone = "Europe/Berlin"',
        'select = { status = "active" }',
        'cascade = ["none"]',
        'confirm = "auto"',
    )


def slots_of(site: Site) -> list[SlotRow]:
    """The rows of the policy's slots, the oldest first."""
    database = Database(site.stack.database_url)
    try:
        return list(reversed(Policies(database).slots(NAME, 10_000)))
    finally:
        database.dispose()


def jobs_of(site: Site) -> list[Reply]:
    rows = site.sql("SELECT id, state, actor FROM jobs WHERE policy = :name", name=NAME)
    return [{"id": row.id, "state": row.state, "actor": row.actor} for row in rows]


def spend(site: Site, seconds: float) -> None:
    """Let time pass, and then wait for one more slot that has its job."""
    Event().wait(seconds)
    now = datetime.now(UTC)  # noqa: TID251  the database is on this machine
    eventually(
        lambda: any(row.job_id and row.slot > now for row in slots_of(site)),
        within=180,
        what="a slot with its job",
    )


def with_beats_that_come_and_go(site: Site, pace: Pace) -> tuple[datetime, datetime]:
    """Two beats, then one, then none, then two; returns when there was none, from and to."""
    stack = site.stack
    one, _ = stack.start_beat(), stack.start_beat()
    spend(site, pace.both)
    one.kill()
    spend(site, pace.one)
    stack.kill_beats()
    down_at = datetime.now(UTC)  # noqa: TID251  the database is on this machine
    Event().wait(pace.none)
    up_at = datetime.now(UTC)  # noqa: TID251  the same
    stack.start_beat()
    stack.start_beat()
    spend(site, pace.every.total_seconds())
    stack.kill_beats()
    return down_at, up_at


@pytest.mark.number("operate-1")
@pytest.mark.timeout(1200)
def test_each_slot_has_one_job_or_one_miss_whatever_beats_do(own_site: Site, full: bool) -> None:
    pace = FULL if full else SHORT
    ids = own_site.seed(pace.projects)
    own_site.stack.start_workers(2)
    with_policy(own_site, pace.line)

    down_at, up_at = with_beats_that_come_and_go(own_site, pace)

    rows, jobs = slots_of(own_site), jobs_of(own_site)
    due = Schedule(pace.line, "UTC").between(rows[0].slot, rows[-1].slot)
    assert [row.slot for row in rows[1:]] == list(due)
    assert sorted(row.job_id for row in rows if row.job_id) == sorted(job["id"] for job in jobs)
    assert all((row.ended.value == "fired") == bool(row.job_id) for row in rows)
    assert {job["actor"] for job in jobs} == {f"policy:{NAME}"}
    asleep = [row for row in rows if down_at < row.slot <= up_at - pace.every]
    assert asleep
    assert {row.ended.value for row in asleep} == {"missed"}
    if full:
        awake = [row for row in rows if not down_at - pace.every < row.slot < up_at + pace.every]
        assert {row.ended.value for row in awake} == {"fired"}
    eventually(
        lambda: {job["state"] for job in jobs_of(own_site)} <= FINAL, within=120, what="the ends"
    )
    assert {job["state"] for job in jobs_of(own_site)} == {"succeeded"}
    assert Counter(row["id"] for row in own_site.deletions()) == Counter(ids)
    own_site.judge(*jobs)


@pytest.mark.number("operate-1", full=True)
def test_a_file_changed_under_a_running_beat_takes_effect(own_site: Site) -> None:
    stack = own_site.stack
    own_site.seed(3)
    stack.start_workers(1)
    with_policy(own_site, "0 3 1 1 *")
    stack.start_beat()
    eventually(lambda: own_site.sql("SELECT * FROM policies"), within=60, what="the policy")
    told = stack.run("policies", "--json").ended(0).json
    assert told["alarm"] is None
    assert told["last"] is None

    with_policy(own_site, "*/5 * * * * *")

    eventually(lambda: slots_of(own_site), within=30, what="a slot of the new schedule")
    told = stack.run("policies", "--json").ended(0).json
    assert told["last"]["ended"] == "fired"
    assert told["words"].startswith("Every fifth second")


def test_a_refused_run_waits_for_a_person_and_deletes_nothing(own_site: Site) -> None:
    stack = own_site.stack
    own_site.seed(3)
    stack.start_workers(1)
    with_policy(own_site, "0 3 1 1 *", "max_items = 2")

    job = stack.run("policy", "run", NAME, "--json").ended(5).json

    assert job["policy"] == NAME
    assert job["state"] == "awaiting_confirmation"
    assert "max_items" in {finding["code"] for finding in job["plan"]["findings"]}
    assert own_site.deletions() == []
