"""Acceptance point 1: the demo shows a whole job and proves what happened."""

import os
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from tests.acceptance.commands import REPOSITORY, run

pytestmark = pytest.mark.number(1)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BULKDEL_")}
    return kept | {"PYTHONPATH": str(REPOSITORY)}


def test_the_demo_deletes_everything_and_compares_it_item_by_item(
    tmp_path: Path, full: bool
) -> None:
    projects = 200 if full else 20

    shown = run(["demo", "--projects", str(projects)], env=_environment(), cwd=tmp_path).ended(0)

    assert "100 %" in shown.stderr or "100%" in shown.stderr
    assert f"{projects * 11:,}" in shown.stdout
    assert "item by item, no difference" in shown.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(900)
@pytest.mark.number(full=True)  # it installs every package anew
def test_make_demo_runs_in_a_fresh_clone_with_a_cold_cache(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    env = {name: value for name, value in _environment().items() if name != "PYTHONPATH"}
    env |= {"HOME": str(home), "PIP_NO_CACHE_DIR": "1"}
    began = monotonic()

    done = subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    took = monotonic() - began
    assert done.returncode == 0, done.stderr[-3000:]
    assert "item by item, no difference" in done.stdout
    assert "2,200" in done.stdout
    assert took < 180
