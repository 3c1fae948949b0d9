"""Acceptance points are chosen by number, and those of two areas are never mixed up."""

import pytest

from tests.points import in_order, is_wanted, point_of

CORE, PART, SYSTEMS, PACE = "7", "7.2", "systems-7", "pace-7"


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("7", [CORE, PART]),
        ("7.2", [PART]),
        ("core-7", [CORE, PART]),
        ("core", [CORE, PART]),
        ("systems-7", [SYSTEMS]),
        ("systems", [SYSTEMS]),
        ("pace, 7.2", [PART, PACE]),
        ("70", []),
        ("systems-70", []),
    ],
)
def test_a_number_chooses_its_points_and_no_others(wanted: str, chosen: list[str]) -> None:
    points = (CORE, PART, SYSTEMS, PACE)

    assert [point for point in points if is_wanted([point], wanted)] == chosen


@pytest.mark.parametrize("given", ["", "system-5", "systems-", "x", "7."])
def test_a_point_that_cannot_be_is_no_silent_nothing(given: str) -> None:
    with pytest.raises(ValueError, match="no acceptance point"):
        is_wanted(["7"], given)


def test_points_are_shown_by_area_and_number() -> None:
    points = ["pace-1", "systems-10", "systems-9", "10", "9.2", "9"]

    assert sorted(points, key=in_order) == ["9", "9.2", "10", "systems-9", "systems-10", "pace-1"]


def test_a_point_of_the_main_job_has_one_name() -> None:
    assert point_of("core-7.2") == point_of(7.2) == PART
