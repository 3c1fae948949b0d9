"""A listing read backwards while somebody else edits it: what is missed was reported in doubt."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import EPOCH
from worker.domain.backwards import (
    FIRST,
    LAST,
    Backwards,
    Shown,
    after_page,
    between,
    once_more,
)

Project = tuple[int, int]  # creation time, id: the order of the listing
Edit = tuple[str, int, int]  # what a rival does before a page is read, when, and how often


def at(time: int) -> datetime:
    return EPOCH + timedelta(seconds=time)


@dataclass
class Listing:
    """A living list of pages; `turned` shows the newest first."""

    projects: list[Project]
    size: int
    turned: bool = False
    dated: bool = True
    made: int = 1_000

    def page(self, number: int) -> list[Project]:
        return self._ordered()[(number - 1) * self.size : number * self.size]

    def shown(self, number: int) -> Shown:
        here = self.page(number)
        times = [at(time) if self.dated else None for time, _ in here]
        return Shown(created=times, is_empty=not here, has_more=bool(self.page(number + 1)))

    def edit(self, edit: Edit) -> None:
        kind, time, number = edit
        for _ in range(number):
            if kind == "make":
                self.made += 1
                self.projects.append((time, self.made))
            elif self.projects:
                del self.projects[time % len(self.projects)]

    def _ordered(self) -> list[Project]:
        return sorted(self.projects, reverse=self.turned)


@dataclass
class Reading:
    """What became of the projects that wait for the proof."""

    waiting: set[Project]
    few: int
    listed: set[Project] = field(default_factory=set)
    doubted: set[Project] = field(default_factory=set)
    calls: int = 0

    def read(self, listing: Listing, where: Backwards) -> Backwards | None:
        """One page, taken as the proof takes it."""
        self.calls += 1
        page, shown = set(listing.page(where.page)), listing.shown(where.page)
        self.listed |= page & self.waiting
        self.waiting -= page
        gap, following = between(where, shown), after_page(where, shown)
        doubts = {p for p in self.waiting if gap and gap[0] <= at(p[0]) <= gap[1]}
        again = once_more(where) if len(doubts) > self.few else None
        if again is not None:
            return again
        self.doubted |= doubts
        self.waiting -= doubts
        return following


TIMES = st.integers(min_value=0, max_value=40)
EDITS = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.sampled_from(["make", "delete"]), TIMES, st.integers(1, 6)),
    ),
    max_size=30,
)


@st.composite
def living(draw: st.DrawFn, *, dated: bool = True) -> Listing:
    times = draw(st.lists(TIMES, max_size=40))
    projects = [(time, number) for number, time in enumerate(times)]
    turned = draw(st.booleans())
    return Listing(projects, draw(st.integers(1, 6)), turned=turned, dated=dated)


def read_through(listing: Listing, edits: list[Edit | None], few: int) -> Reading:
    reading = Reading(waiting=set(listing.projects), few=few)
    where: Backwards | None = Backwards()
    todo = iter(edits)
    while where is not None:
        edit = next(todo, None)
        if edit is not None:
            listing.edit(edit)
        where = reading.read(listing, where)
        assert reading.calls < 500
    return reading


@given(living(), EDITS, st.integers(0, 4))
def test_no_living_project_is_taken_for_gone_however_a_rival_edits(
    listing: Listing, edits: list[Edit | None], few: int
) -> None:
    reading = read_through(listing, edits, few)

    assert not reading.waiting & set(listing.projects)


@given(living(dated=False), EDITS)
def test_a_listing_without_times_leaves_all_it_may_have_missed_in_doubt(
    listing: Listing, edits: list[Edit | None]
) -> None:
    reading = read_through(listing, edits, few=2)

    assert not reading.waiting & set(listing.projects)


@given(living(), st.integers(0, 40))
def test_a_listing_that_stands_still_shows_all_and_leaves_only_twins_in_doubt(
    listing: Listing, few: int
) -> None:
    twins = {time for time, _ in listing.projects}
    twins = {t for t in twins if sum(time == t for time, _ in listing.projects) > 1}

    reading = read_through(listing, [], few)

    assert reading.listed | reading.doubted == set(listing.projects)
    assert {time for time, _ in reading.doubted} <= twins


@pytest.mark.parametrize("pages", [1, 2, 3, 4, 7, 8, 9, 31, 32, 33, 100])
def test_a_listing_that_stands_still_takes_each_page_once_and_a_short_search(pages: int) -> None:
    listing = Listing([(number, number) for number in range(pages * 2)], 2)

    reading = read_through(listing, [], few=0)

    assert reading.calls <= pages + (2 * pages.bit_length() - 1 if pages > 1 else 0)


@given(living(), EDITS, st.integers(0, 4))
def test_a_rival_costs_no_more_than_it_does(
    listing: Listing, edits: list[Edit | None], few: int
) -> None:
    reading = read_through(listing, edits, few)

    pages = len(listing.projects) + sum(edit[2] for edit in edits if edit) + 1
    assert reading.calls <= 4 * (pages + 1) + len(edits) + 20


def test_an_empty_account_takes_one_page() -> None:
    assert after_page(Backwards(), Shown()) is None


def test_a_last_page_that_is_the_last_no_more_leaves_what_follows_in_doubt() -> None:
    top = Backwards(page=3, low=3, high=4, goes_down=True)
    rising = Shown(created=[at(1), at(5)], is_empty=False, has_more=True)
    falling = Shown(created=[at(5), at(1)], is_empty=False, has_more=True)

    assert between(top, rising) == (at(5), LAST)
    assert between(top, falling) == (FIRST, at(1))
    assert between(top, replace(rising, has_more=False)) is None


def test_pages_that_overlap_leave_nothing_in_doubt() -> None:
    below = Backwards(page=2, goes_down=True, edge=at(4))

    assert between(below, Shown(created=[at(1), at(5)], is_empty=False)) is None
    assert between(below, Shown(created=[at(1), at(3)], is_empty=False)) == (at(3), at(4))
    assert between(below, Shown(created=[at(1), at(4)], is_empty=False)) == (at(4), at(4))


def test_two_pages_are_read_again_once() -> None:
    below = Backwards(page=2, goes_down=True, edge=at(4))

    above = once_more(below)

    assert above == Backwards(page=3, goes_down=True, edge=at(4), again=2)
    assert once_more(above) is None
    back = after_page(above, Shown(created=[at(2), at(6)], is_empty=False, has_more=True))
    assert back == Backwards(page=2, goes_down=True, edge=at(2), again=2)
    assert once_more(back) is None
    on = after_page(back, Shown(created=[at(0), at(1)], is_empty=False, has_more=True))
    assert on == Backwards(page=1, goes_down=True, edge=at(0))
