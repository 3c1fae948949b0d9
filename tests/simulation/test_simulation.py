"""Histories that a seed decides: whatever dies, is lost, doubled or late, the promises hold."""

from pathlib import Path

import pytest

from tests.simulation.history import play

SHORT = 300
REGRESSIONS = (89, 198, 419, 640, 954)
"""Seeds that once failed: a look right after the deadline saw what was about to go."""


@pytest.fixture(scope="module")
def template(_sqlite_template: Path) -> Path:
    return _sqlite_template


@pytest.mark.parametrize("seed", sorted({*REGRESSIONS, *range(SHORT)}))
def test_a_simulated_history_keeps_the_promises(seed: int, template: Path, tmp_path: Path) -> None:
    problems, trace = play(seed, tmp_path, template)

    assert problems == [], "\n".join(trace)
