"""Whether a listing comes back to a page that it has shown: read on, it would never end.

Brent's way to find a cycle: one page is kept in mind, and after 1, 2, 4, … more the next one takes
its place. A page that comes round meets it, and what is kept does not grow with the pages read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

THIN = 10
"""Projects that others may put in while pages are read: a page of few may be shown again so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page as shown: its ids, in their order, and the cursor of the next (empty: the last)."""

    ids: Sequence[str] = ()
    following: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What is kept in mind of a listing's pages (JSON by field name)."""

    shown: str = ""  # digest of the ids of the page in mind; empty: it showed none
    following: str = ""  # digest of the cursor that it led on to; empty: none
    since: int = 0  # pages after it
    until: int = 1  # after so many the next one takes its place
    repeats: bool = False  # the page in mind came round


def after(trail: Trail, page: Page) -> Trail:
    """What is kept in mind after one more page."""
    if trail.repeats:
        return trail
    seen = Trail(
        shown=_digest("\n".join(page.ids)),
        following=_digest(page.following),
        until=2 * trail.until,
    )
    since = trail.since + 1
    if _leads_back(trail, seen) or (_shows_again(trail, seen) and since * len(page.ids) > THIN):
        return replace(trail, since=since, repeats=True)
    return seen if since == trail.until else replace(trail, since=since)


def _leads_back(trail: Trail, seen: Trail) -> bool:
    """Whether both lead on to the same page: never where pages are numbered."""
    return bool(seen.following) and seen.following == trail.following


def _shows_again(trail: Trail, seen: Trail) -> bool:
    """Whether both show the same projects; a page that merely shifted shares all but a few."""
    return bool(seen.shown) and seen.shown == trail.shown


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest() if text else ""
