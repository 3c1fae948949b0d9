"""Acceptance points by their number: `systems-5`, and a plain `5` for those of the main job.

A test says what it proves with `@pytest.mark.number("systems-5")`; 7.2 is a part of 7.
"""

import re
from collections.abc import Iterable

AREAS = ("core", "systems", "pace", "trust", "operate", "ship")
"""What points belong to, in the order they are shown in; a plain number is of the first."""

_POINT = re.compile(rf"(?:(?P<area>{'|'.join(AREAS)})-)?(?P<number>\d+(?:\.\d+)*)")


def point_of(given: object) -> str:
    """The point that a mark or a person names; ValueError if there can be none of that name."""
    point = str(given).strip()
    found = _POINT.fullmatch(point)
    if found is None:
        raise ValueError(f"no acceptance point is called {point!r}: 7, 7.2, or systems-5")
    area = found["area"] or AREAS[0]
    return found["number"] if area == AREAS[0] else f"{area}-{found['number']}"


def is_wanted(points: Iterable[str], wanted: str) -> bool:
    """Whether one of `points` is among those of `--number`, with their parts, or of its areas."""
    names = [one.strip() for one in wanted.split(",")]
    areas = {name for name in names if name in AREAS}
    numbers = [point_of(name) for name in names if name not in areas]
    return any(
        area_of(point) in areas or any(f"{point}.".startswith(f"{one}.") for one in numbers)
        for point in points
    )


def area_of(point: str) -> str:
    """What a point belongs to."""
    return point.rpartition("-")[0] or AREAS[0]


def in_order(point: str) -> tuple[int, list[int]]:
    """What points are sorted by: area, then number."""
    number = point.rpartition("-")[2]
    return AREAS.index(area_of(point)), [int(part) for part in number.split(".")]
