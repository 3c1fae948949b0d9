"""What a person does to a running job: pause, cancel, retry, leave, and come back."""

import signal
from collections import Counter
from datetime import datetime

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.site import CHILDREN, Site
from tests.acceptance.waiting import eventually

STOPS_WITHIN = 5.0
"""Seconds after which no new call may leave for a job that was stopped."""
SLOWLY = 'limits = { windows = [[1000000, "60s"]], per_day = 1000000, in_flight = 3 }'


@pytest.fixture
def running(site: Site) -> Reply:
    """A job of 440 items that takes a minute, with its first deletions done."""
    site.configure(SLOWLY)
    job = site.planned(site.seed(40, **CHILDREN))
    site.stack.control.latency(0.4)
    site.confirm(job)
    eventually(lambda: len(site.deletions()) > 9, within=30, what="the first deletions")
    return job


def test_a_paused_job_makes_no_call_and_goes_on_when_told(site: Site, running: Reply) -> None:
    site.stack.run("pause", running["id"], "--json").ended(0)

    seen = site.stack.run("watch", running["id"], "--json").ended(7).json

    assert seen["state"] == "paused"
    eventually(lambda: _all_answered(site), within=15, what="the end of the calls in flight")
    assert site.show(running)["counts"]["open"] > 0
    assert _last_call(site) - _said_at(site, running, "job.moved") < STOPS_WITHIN
    site.stack.control.latency(0)
    assert site.stack.run("resume", running["id"], "--json").ended(0).json["state"] == "running"
    ended = site.stack.run("watch", running["id"], "--json").ended(0).json
    assert ended["counts"]["by_outcome"] == {"deleted": 440}
    site.judge(running)


def test_a_cancelled_job_stops_within_seconds_and_says_what_it_left(
    site: Site, running: Reply
) -> None:
    site.stack.run("cancel", running["id"], "--json").ended(0)

    ended = site.stack.run("watch", running["id"], "--json").ended(7).json

    assert ended["state"] == "cancelled"
    assert ended["counts"]["unprocessed"] > 0
    assert ended["counts"]["open"] == ended["counts"]["unknown"] == 0
    assert _last_call(site) - _said_at(site, running, "job.changed") < STOPS_WITHIN
    site.judge(running)


def _said_at(site: Site, job: Reply, event: str) -> float:
    """When the last such entry of a job was written, in seconds since the epoch."""
    entries = [entry for entry in site.audit(job) if entry["event"] == event]
    return datetime.fromisoformat(entries[-1]["at"]).timestamp()


def _last_call(site: Site) -> float:
    return max(float(row["started"]) for row in site.ledger())


def _all_answered(site: Site) -> bool:
    return all(row["ended"] is not None for row in site.ledger())


def test_a_retry_takes_up_what_failed(site: Site) -> None:
    ids = site.seed(4, tasks=1)
    refused = site.stack.control.state(site.organization)[ids[0]]["tasks"]
    site.faults({"kind": "refuse", "match": {"method": "DELETE", "ids": refused}})
    told = site.submit(ids, "--cascade", "all", "--yes", "--wait=1m", code=3).json
    assert told["state"] == "partially_succeeded"
    assert told["counts"]["by_outcome"] == {
        "deleted": 6,
        "failed_refused": 1,
        "dependency_failed": 1,
    }
    site.stack.control.clear_faults()

    again = site.stack.run("retry", told["id"], "--yes", "--wait=1m", "--json").ended(0).json

    assert again["parent_job_id"] == told["id"]
    assert again["counts"]["by_outcome"] == {"deleted": 2}
    assert site.stack.control.state(site.organization) == {}


def test_a_key_gives_the_same_job_to_the_same_request_and_none_to_another(site: Site) -> None:
    one, two = site.seed(2)
    options = ("--cascade", "all", "--idempotency-key", f"key-{site.account}", "--no-wait-plan")
    first = site.submit([one], *options).json

    again = site.submit([one], *options).json
    site.submit([one, two], *options, code=2)

    assert again["id"] == first["id"]
    assert len(site.stack.run("jobs", "--account", site.account, "--json").lines) == 1


def test_a_dry_run_deletes_nothing(site: Site) -> None:
    ids = site.seed(3, **CHILDREN)

    told = site.submit(ids, "--cascade", "all", "--dry-run", "--wait=1m").json

    assert (told["state"], told["mode"]) == ("succeeded", "dry_run")
    assert told["plan"]["items"] == 33
    assert site.deletions() == []


def test_in_the_background_the_project_alone_is_deleted(site: Site) -> None:
    ids = site.seed(3, **CHILDREN)
    job = site.planned(ids, "--cascade", "all", "--cascade-mode", "background")

    ended = site.confirm(job, wait="1m").json

    assert ended["counts"]["by_outcome"] == {"deleted": 3, "deleted_with_parent": 30}
    assert Counter(row["kind"] for row in site.deletions()) == {"project": 3}
    site.judge(job)


def test_in_the_background_children_of_a_refused_project_stay(site: Site) -> None:
    (refused,), (gone,) = site.seed(1, tasks=2), site.seed(1, tasks=2)
    site.faults({"kind": "refuse", "match": {"method": "DELETE", "ids": [refused]}})
    job = site.planned([refused, gone], "--cascade", "all", "--cascade-mode", "background")

    ended = site.confirm(job, wait="1m", code=3).json

    assert ended["counts"]["by_outcome"] == {
        "deleted": 1,
        "deleted_with_parent": 2,
        "dependency_failed": 2,
        "failed_refused": 1,
    }
    site.judge(job)


def test_a_canary_that_leaves_a_project_standing_pauses_the_job(site: Site) -> None:
    site.configure("canary = { above = 5, percent = 1, min = 2 }")
    ids = site.seed(8, tasks=1)
    task = site.stack.control.state(site.organization)[ids[0]]["tasks"]
    site.faults({"kind": "refuse", "match": {"method": "DELETE", "ids": task}})
    job = site.planned(ids)

    ended = site.confirm(job, wait="1m", code=7).json

    assert ended["state"] == "paused"
    assert {row["parent_id"] or row["id"] for row in site.deletions()} == set(ids[:2])
    site.stack.run("resume", job["id"]).ended(0)
    assert site.ended(job, within=30)["counts"]["by_outcome"] == {
        "deleted": 14,
        "dependency_failed": 1,
        "failed_refused": 1,
    }
    site.judge(job)


def test_a_wait_that_runs_out_leaves_the_job_going_on(site: Site) -> None:
    job = site.planned(site.seed(20, tasks=2))
    site.stack.control.latency(1.5)

    told = site.confirm(job, wait="2s", code=8).json

    assert told["state"] in {"scheduled", "running"}
    site.stack.control.latency(0)
    assert site.ended(job, within=60)["state"] == "succeeded"


def test_an_interrupt_leaves_the_job_and_says_how_to_come_back(site: Site) -> None:
    job = site.planned(site.seed(20, tasks=2))
    site.stack.control.latency(1)
    waiting = site.stack.begin("confirm", job["id"], "--word", job["plan"]["word"], "--wait")
    eventually(site.deletions, within=30, what="the first deletion")

    waiting.send_signal(signal.SIGINT)

    _, said = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert f"bulkdel watch {job['id']}" in said
    site.stack.control.latency(0)
    assert site.ended(job, within=60)["state"] == "succeeded"
