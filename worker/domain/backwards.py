"""Reading a listing from its last page to its first, and what such a reading cannot tell.

Pages shift while others edit. Read backwards, what is deleted moves others to pages still to come;
what is put in before a page moves the last of it to the page read just before. So nothing is
missed but what lies between two pages as they were read: that is in doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

FEW = 25
"""Doubts that are resolved by a read each; for more the two pages are read once more."""
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page as read: the creation times of what it showed, in its order."""

    created: Sequence[datetime | None] = ()
    is_empty: bool = True
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backwards:
    """How far such a reading is. `page`, from 1, is the one to read next.

    First the last page is sought: `low` is the last page known to have a successor, `high` the
    first known to be past the end (0: not known). Then it goes down to page 1.
    """

    page: int = 1
    low: int = 0
    high: int = 0
    goes_down: bool = False
    edge: datetime | None = None  # first creation time of the page above
    again: int = 0  # the page whose upper edge is being read once more


def after_page(at: Backwards, shown: Shown) -> Backwards | None:
    """Where to go from here; None if page 1 was the last to read."""
    if at.goes_down or (not shown.has_more and not shown.is_empty):
        return _down(at, shown)  # the last page is a page of the way down as well
    if shown.has_more:
        at = replace(at, low=at.page)
    else:
        at = replace(at, high=at.page)
        if at.page == 1:
            return None
    if not at.high:
        return replace(at, page=2 * at.page)
    if at.high - at.low == 1:
        return replace(at, page=at.low, goes_down=True)
    return replace(at, page=(at.low + at.high) // 2)


def _down(at: Backwards, shown: Shown) -> Backwards | None:
    if at.page == 1:
        return None
    first = next((time for time in shown.created if time), at.edge)
    again = at.again if at.again == at.page - 1 else 0
    return replace(at, page=at.page - 1, goes_down=True, edge=first, again=again)


def between(at: Backwards, shown: Shown) -> tuple[datetime, datetime] | None:
    """The times, both included, that neither this page nor the one above it covers.

    None if there are none; all times there are, if the listing shows none to tell by. Where no
    page above was read, that is all that follows, should the page not be the last any more.
    """
    if not at.goes_down or shown.is_empty or (at.edge is None and not shown.has_more):
        return None
    times = [time for time in shown.created if time]
    if not times or (at.edge is None and times[0] == times[-1]):
        return FIRST, LAST
    last, rises, falls = times[-1], times[0] < times[-1], times[0] > times[-1]
    edge = at.edge or (LAST if rises else FIRST)
    if (rises and last > edge) or (falls and last < edge):
        return None  # it reaches into the page above
    return min(last, edge), max(last, edge)


def once_more(at: Backwards) -> Backwards | None:
    """Read the page above and this one again; None if one of them was read again already."""
    if at.again in {at.page, at.page - 1}:
        return None
    return replace(at, page=at.page + 1, again=at.page)
