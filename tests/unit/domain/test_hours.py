"""Hours of a day in which a job may delete."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import InvalidInput
from worker.domain.hours import Hours

NIGHT = Hours.parse("22:00-06:00 Europe/Berlin")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-11-21 21:59", "2026-11-21 22:00"),
        ("2026-11-21 22:00", "2026-11-21 22:00"),
        ("2026-11-22 05:59", "2026-11-22 05:59"),
        ("2026-11-22 06:00", "2026-11-22 22:00"),
    ],
)
def test_hours_may_go_past_midnight(at: str, opens: str) -> None:
    assert NIGHT.opens_at(berlin(at)) == berlin(opens)


def test_hours_within_a_day_are_closed_at_night() -> None:
    day = Hours.parse("08:00-17:30")

    assert day.is_open(datetime(2026, 11, 21, 8, tzinfo=UTC))
    assert not day.is_open(datetime(2026, 11, 21, 17, 30, tzinfo=UTC))


def test_a_night_in_which_the_clocks_change_is_one_night() -> None:
    before, after = berlin("2026-10-25 01:30"), berlin("2026-10-25 05:30")

    assert after - before == timedelta(hours=5)
    assert NIGHT.is_open(before)
    assert NIGHT.is_open(after)


@given(start=st.times(), end=st.times(), at=st.integers(0, 4 * 366 * 24 * 60))
def test_they_open_within_a_day_or_two_and_are_open_then(start: time, end: time, at: int) -> None:
    start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    if start == end:
        return
    hours = Hours(start=start, end=end, zone="America/New_York")
    now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=at)

    opens = hours.opens_at(now)

    assert now <= opens <= now + timedelta(days=2)
    assert hours.is_open(opens)


@pytest.mark.parametrize("text", ["", "22-06", "25:00-06:00", "22:00-06:00 Mars/Base", "x"])
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not hours"):
        Hours.parse(text)


def test_hours_without_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="begin where they end"):
        Hours.parse("08:00-08:00")


def test_hours_are_written_as_they_are_read() -> None:
    assert Hours.parse(str(NIGHT)) == NIGHT
