"""Reading a listing from its last page to its first, and what such a reading cannot tell.

Pages shift while others edit. Read backwards, what is deleted moves others to pages still to come;
what is put in before a page moves the last of it to the page read just before. So nothing is
missed but what lies between two pages as they were read: that is in doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

FEW = 25
"""Doubts that are resolved by a read each; for more the two pages are read once more."""


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

    None if there is no page above, or the listing shows no times. Works for both orders.
    """
    last = next((time for time in reversed(shown.created) if time), None)
    if not at.goes_down or at.edge is None or last is None:
        return None
    return min(last, at.edge), max(last, at.edge)


def once_more(at: Backwards) -> Backwards | None:
    """Read the page above and this one again; None if that was done."""
    if at.again == at.page:
        return None
    return replace(at, page=at.page + 1, edge=None, again=at.page)
