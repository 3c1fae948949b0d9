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
    """What submitting and planning so many ids took."""

    ids: int
    seconds: float
    command_peak: int
    worker_peak: int


@pytest.mark.timeout(1800)
def test_ten_times_as_many_ids_take_no_more_memory(tmp_path: Path, full: bool) -> None:
    with a_stack(Kind.POSTGRES, tmp_path) as stack:
        few = _taken(stack, 20_000 if full else 2_000)
        many = _taken(stack, 200_000 if full else 20_000)

    print(few, many)
    assert many.command_peak <= MORE_MEMORY * few.command_peak
    assert many.worker_peak <= MORE_MEMORY * few.worker_peak
    assert not full or many.ids / many.seconds >= PER_SECOND


def _taken(stack: Stack, count: int) -> Taken:
    """Submit so many ids to a fresh worker, and stop it afterwards."""
    stack.start_workers(1)
    (taken,) = [_submitted(site, count) for site in a_site(stack)]
    stack.stop_workers()
    return taken


def _submitted(site: Site, count: int) -> Taken:
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
    site.has_plan(job, within=900)
    (worker,) = site.stack.processes
    return Taken(
        ids=count,
        seconds=seconds,
        command_peak=int(peak.read_text(encoding="ascii")),
        worker_peak=_peak_of(worker.pid),
    )


def _peak_of(pid: int) -> int:
    """The most memory a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
