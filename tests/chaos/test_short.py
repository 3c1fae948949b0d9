"""Two faults of the table, always with the same seed; at full length all of it."""

import json
import subprocess
import sys

import pytest

from tests.acceptance.commands import REPOSITORY
from tests.chaos.rows import BY_NAME

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.number("trust-1"),
    pytest.mark.timeout(600),
]

SHORT = (
    "kill after send",
    "messages doubled, dropped, reordered, delayed, unreadable, unknown",
)
SEED = 7


def test_faults_in_the_middle_of_a_job_lose_and_double_nothing() -> None:
    """In a process of its own, as `make chaos` does it: only a main thread may start others."""
    assert set(SHORT) <= BY_NAME.keys()
    lane = subprocess.run(
        [sys.executable, "-m", "tests.chaos.lane", "--often"],
        input="".join(json.dumps([name, SEED]) + "\n" for name in SHORT),
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )

    told = [json.loads(line) for line in lane.stdout.splitlines()]
    assert [one["row"] for one in told] == list(SHORT), lane.stderr[-3000:]
    assert [one["violations"] for one in told] == [[]] * len(SHORT)
    assert [one["hit"] for one in told] == [True] * len(SHORT), told


@pytest.mark.number("trust-1", full=True)
@pytest.mark.timeout(7200)
def test_every_fault_of_the_table_is_met_often_enough_and_survived(full: bool) -> None:
    if not full:
        pytest.skip("`make chaos`, or --full")

    table = subprocess.run(
        [sys.executable, "-m", "tests.chaos"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )

    print(table.stdout)
    assert table.returncode == 0, f"{table.stdout[-6000:]}{table.stderr[-2000:]}"
