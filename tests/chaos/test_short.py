"""Three faults of the table, always with the same seeds; `make chaos` plays all of it."""

from collections.abc import Iterator

import pytest

from tests.chaos.drill import Drill, a_drill
from tests.chaos.lane import play
from tests.chaos.rows import BY_NAME

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

SHORT = (
    "kill after send",
    "PostgreSQL: stop -m immediate and start",
    "messages doubled, dropped, reordered, delayed, unreadable, unknown",
)


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    with a_drill(tmp_path_factory.mktemp("chaos"), sweep=2) as running:
        yield running


@pytest.mark.parametrize("row", SHORT)
def test_a_fault_in_the_middle_of_a_job_loses_and_doubles_nothing(drill: Drill, row: str) -> None:
    told = play(drill, BY_NAME[row], seed=7)

    assert told.violations == []
    assert told.is_hit
