"""Acceptance point 9: ten times as many ids take ten times as long, and no more memory."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from tests.acceptance import measured
from tests.acceptance.commands import BULKDEL
from tests.acceptance.conftest import a_site
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, Stack, a_stack

pytestmark = pytest.mark.number(9)

PER_SECOND = 20_000
MORE_MEMORY = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What submitting, planning and (at full length) deleting so many ids took."""

    ids: int
    seconds: float
    command_peak: int
    planned_peak: int
    worker_peak: int


@pytest.mark.timeout(7200)
def test_ten_times_as_many_ids_take_no_more_memory(tmp_path: Path, full: bool) -> None:
    with a_stack(Kind.POSTGRES, tmp_path) as stack:
        few = _taken(stack, 20_000 if full else 1_000, run=full)
        many = _taken(stack, 200_000 if full else 10_000, run=full)

    print(few, many)
    assert many.command_peak <= MORE_MEMORY * few.command_peak
    assert many.planned_peak <= MORE_MEMORY * few.planned_peak
    assert many.worker_peak <= MORE_MEMORY * few.worker_peak
    assert not full or many.ids / many.seconds >= PER_SECOND


def _taken(stack: Stack, count: int, *, run: bool) -> Taken:
    """Submit so many ids to a fresh worker, and let it `run` the job, or only plan it."""
    stack.start_workers(1)
    (taken,) = [_submitted(site, count, run=run) for site in a_site(stack)]
    stack.stop_workers()
    return taken


def _submitted(site: Site, count: int, *, run: bool) -> Taken:
    path, peak = site.stack.home / "ids.txt", site.stack.home / "peak"
    path.write_text("\n".join(site.seed(count)) + "\n", encoding="utf-8")
    given = ["--account", site.account, "--ids-file", str(path), "--cascade", "none"]
    command = [*BULKDEL, "submit", *given, "--reason", "r", "--no-wait-plan", "--json"]
    began = monotonic()
    done = subprocess.run(
        [sys.executable, measured.__file__, str(peak), *command],
        capture_output=True,
        env=site.stack.env,
        cwd=site.stack.home,
        timeout=300,
        check=True,
    )
    seconds = monotonic() - began
    job = {"id": re.search(r'"id": "([^"]+)"', done.stdout.decode())[1]}  # type: ignore[index]  # it was printed
    job = site.has_plan(job, within=900)
    (worker,) = site.stack.processes
    planned_peak = _peak_of(worker.pid)
    if run:
        site.confirm(job)
        assert site.ended(job, within=3600)["counts"]["by_outcome"] == {"deleted": count}
    return Taken(
        ids=count,
        seconds=seconds,
        command_peak=int(peak.read_text(encoding="ascii")),
        planned_peak=planned_peak,
        worker_peak=_peak_of(worker.pid),
    )


def _peak_of(pid: int) -> int:
    """The most memory a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
