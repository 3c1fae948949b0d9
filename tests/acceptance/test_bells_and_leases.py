"""Acceptance point 6: doorbells or the sweep alone are enough; one slice at a time, and short."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Stacks, a_site
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, a_stack
from tests.acceptance.warm import Warm

pytestmark = pytest.mark.number(6)

LONGEST_TASK = 5.0
SLOWLY = 'limits = { windows = [[1000000, "60s"]], per_day = 1000000, in_flight = 2 }'
BOTH = pytest.mark.parametrize("kind", [Kind.POSTGRES, Kind.SQLITE], ids=str)


@contextmanager
def _drill(
    kind: Kind, home: Path, settings: Mapping[str, str], warm: Warm | None
) -> Iterator[Site]:
    with a_stack(kind, home, settings=settings, warm=warm) as stack:
        # A laptop has no broker before its `up` runs: a doorbell rung earlier is heard by nobody.
        stack.start_workers(2)
        yield from a_site(stack)


@BOTH
def test_a_job_ends_on_doorbells_alone(kind: Kind, tmp_path: Path, warm: Warm | None) -> None:
    with _drill(kind, tmp_path, {"BULKDEL_SWEEP_SECONDS": "0"}, warm) as site:
        _runs_to_its_end(site)


@BOTH
def test_a_job_ends_on_the_sweep_alone(
    kind: Kind, tmp_path: Path, warm: Warm | None, full: bool
) -> None:
    settings = {"BULKDEL_DOORBELLS": "false"} | ({} if full else {"BULKDEL_SWEEP_SECONDS": "1"})
    with _drill(kind, tmp_path, settings, warm) as site:
        _runs_to_its_end(site)


def _runs_to_its_end(site: Site) -> None:
    ids = site.seed(20, tasks=2)
    job = site.submit(ids, "--cascade", "all", "--no-wait-plan").json

    site.confirm(site.has_plan(job, within=60))

    assert site.ended(job, within=120)["counts"]["by_outcome"] == {"deleted": 60}
    site.judge(job)


def test_no_task_runs_longer_than_five_seconds_however_slow_the_provider(stacks: Stacks) -> None:
    stack = stacks.running(Kind.POSTGRES)
    for site in a_site(stack):
        site.faults({"kind": "slow", "seconds": 8, "every_n": 5, "match": {"method": "DELETE"}})
        job = site.planned(site.seed(20), "--cascade", "none")

        site.confirm(job, wait="2m")

        site.judge(job)
    longest = max(task["ended"] - task["began"] for task in _tasks(stack.home))
    assert 2 < longest < LONGEST_TASK  # one waited for a slow answer, and gave up in time


def test_two_workers_share_two_accounts_and_never_work_one_at_once(
    site: Site, other_site: Site, full: bool
) -> None:
    projects = 200 if full else 25
    for at in (site, other_site):
        at.configure(SLOWLY)  # so that a job takes many slices
    site.stack.stop_workers()
    site.stack.start_workers(2, concurrency=1)  # so that one alone cannot work both
    first = site.planned(site.seed(projects, tasks=2))
    second = other_site.planned(other_site.seed(projects, tasks=2))
    site.stack.control.latency(0.05)

    site.confirm(first)
    other_site.confirm(second)

    workers: set[str] = set()
    for at, job in ((site, first), (other_site, second)):
        assert at.ended(job, within=300)["counts"]["by_outcome"] == {"deleted": 3 * projects}
        turns = _turns(at.audit(job))
        workers |= {worker for worker, _, _ in turns}
        assert [(a, b) for a, b in pairwise(turns) if b[1] < a[2]] == []
        at.judge(job)
    assert len(workers) >= 2


def _turns(audit: list[dict[str, Any]]) -> list[tuple[str, datetime, datetime]]:
    """Who made calls, from when to when: calls of one worker in a row are one turn."""
    turns: list[tuple[str, datetime, datetime]] = []
    for entry in audit:
        if entry["event"] != "call":
            continue
        # An entry is written after its answer came: what is reckoned here lies in the turn.
        ended = datetime.fromisoformat(entry["at"])
        began = ended - timedelta(milliseconds=entry["duration_ms"])
        if turns and turns[-1][0] == entry["actor"]:
            turns[-1] = (entry["actor"], min(turns[-1][1], began), ended)
        else:
            turns.append((entry["actor"], began, ended))
    return turns


def _tasks(home: Path) -> list[dict[str, Any]]:
    lines = (home / "tasks.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
