"""A listing that comes back to a page is found out soon, and no other is."""

from collections.abc import Iterable
from itertools import chain, count, cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.repeats import THIN, Page, Trail, after

LENGTHS = st.integers(0, 60)
FULL = THIN + 1


def numbered(name: object, size: int = FULL) -> list[str]:
    return [f"{name}-{n}" for n in range(size)]


def found_at(pages: Iterable[Page]) -> int | None:
    """Which page, from 1, tells that the listing repeats itself."""
    trail = Trail()
    for number, page in enumerate(pages, start=1):
        trail = after(trail, page)
        if trail.repeats:
            return number
    return None


def with_numbers(shown: Iterable[list[str]]) -> Iterable[Page]:
    """A listing by page numbers: every page leads on to another one."""
    return (Page(ids=ids, following=str(n)) for n, ids in enumerate(shown, start=2))


def coming_round(before: int, length: int) -> Iterable[int]:
    """Pages that are new at first, then come round and round."""
    return chain(range(before), cycle(range(before, before + length)))


@given(before=LENGTHS, length=st.integers(1, 60), size=st.integers(1, 3 * THIN))
def test_numbered_pages_that_come_round_are_found_out_soon(
    before: int, length: int, size: int
) -> None:
    pages = with_numbers(numbered(name, size) for name in coming_round(before, length))
    most = 3 * (before + length + THIN // size) + 4

    assert found_at(islice(pages, most)) is not None


@given(before=LENGTHS, length=st.integers(1, 60))
def test_cursors_that_come_round_are_found_out_soon_whatever_is_shown(
    before: int, length: int
) -> None:
    fresh = count()
    cursors = coming_round(before, length)
    pages = (Page(ids=numbered(next(fresh)), following=f"c{name}") for name in cursors)

    assert found_at(islice(pages, 3 * (before + length) + 4)) is not None


@given(before=LENGTHS, length=st.integers(1, 60))
def test_empty_pages_that_lead_round_are_found_out(before: int, length: int) -> None:
    pages = (Page(following=f"c{name}") for name in coming_round(before, length))

    assert found_at(islice(pages, 3 * (before + length) + 4)) is not None


@given(sizes=st.lists(st.integers(0, 3), max_size=300))
def test_a_listing_that_goes_on_is_never_taken_for_one(sizes: list[int]) -> None:
    pages = [*with_numbers(numbered(name, size) for name, size in enumerate(sizes)), Page()]

    assert found_at(pages) is None


@given(
    size=st.integers(1, 30),
    inserted=st.lists(st.integers(0, 1), min_size=1, max_size=THIN),
    length=st.integers(0, 300),
)
def test_a_page_that_others_shift_is_never_taken_for_another(
    size: int, inserted: list[int], length: int
) -> None:
    """Before each page one project more may stand at the top, as the newest come first."""
    there = [f"p{n}" for n in range(length)]
    pages = []
    for number in range(length // size + len(inserted)):
        if number < len(inserted):
            there = [f"new{number}-{n}" for n in range(inserted[number])] + there
        pages.append(there[number * size : (number + 1) * size])

    assert found_at(with_numbers(pages)) is None


@pytest.mark.parametrize(
    ("names", "at"),
    [("AA", 2), ("ABAB", 3), ("ABB", None), ("ABBB", 4), ("ABCABC", 6)],
)
def test_a_full_page_that_comes_again_ends_it_even_as_the_last(names: str, at: int | None) -> None:
    *pages, last = with_numbers(numbered(name) for name in names)

    assert found_at([*pages, Page(ids=last.ids)]) == at


def test_the_same_projects_in_another_order_are_another_page() -> None:
    ids = numbered("A")

    assert found_at(with_numbers([ids, ids[::-1]])) is None


def test_once_found_out_it_stays_so() -> None:
    trail = Trail(repeats=True)

    assert after(trail, Page(ids=["1"], following="2")) == trail
