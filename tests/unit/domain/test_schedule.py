"""Slots of a schedule, against a walk of every minute written with zoneinfo alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from random import Random
from zoneinfo import ZoneInfo

import pytest

from worker.domain.errors import InvalidInput
from worker.domain.schedule import Schedule, check_line

pytestmark = pytest.mark.number("operate-2")

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
ZONES = (
    "Europe/Berlin",  # an hour, at two in the night
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "America/Santiago",  # at midnight, and south of the equator
    "Asia/Beirut",  # at midnight
    "Africa/Casablanca",  # around Ramadan
    "Asia/Kolkata",  # never, and half an hour off
    "UTC",
)


def walk(line: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """Every minute later than `start` and up to `end` that is due, one by one."""
    tz, fields = ZoneInfo(zone), line.split()
    by_elapsed_time = fields[0].startswith("*") or fields[1].startswith("*")
    before = _shown(start - MINUTE, tz)
    at = start
    while at <= end:
        wall = _shown(at, tz)
        if by_elapsed_time:
            due = _matches(fields, wall)
        else:
            # Also what the clock jumped over, and nothing that it shows a second time.
            jumped = int((wall - before) / MINUTE) if wall > before + MINUTE else 1
            fresh = at.astimezone(tz).fold == 0
            due = fresh and any(_matches(fields, wall - i * MINUTE) for i in range(jumped))
        if due and at > start:
            yield at
        before, at = wall, at + MINUTE


def _shown(at: datetime, tz: ZoneInfo) -> datetime:
    return at.astimezone(tz).replace(tzinfo=None)


def _matches(fields: list[str], wall: datetime) -> bool:
    minute, hour, day, month, weekday = (
        value in _values(field, *limits)
        for field, limits, value in zip(
            fields,
            RANGES,
            (wall.minute, wall.hour, wall.day, wall.month, wall.isoweekday() % 7),
            strict=True,
        )
    )
    both = fields[2].startswith("*") or fields[4].startswith("*")
    return minute and hour and month and ((day and weekday) if both else (day or weekday))


@cache
def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else int(first)
        one = start if not step else high
        end = high if first == "*" else int(last) if last else one
        found |= set(range(start, end + 1, int(step or 1)))
    return {0 if high == 7 and value == 7 else value for value in found}


def a_line(random: Random) -> str:
    """A cron line that comes often enough to be seen within a few days."""
    return " ".join(
        (
            _a_field(random, 0, 59, stars=0.3),
            _a_field(random, 0, 4 if random.random() < 0.7 else 23, stars=0.3),
            _a_field(random, 1, 31, stars=0.7),
            "*" if random.random() < 0.8 else f"{random.randint(1, 6)}-{random.randint(7, 12)}",
            _a_field(random, 0, 7, stars=0.7),
        )
    )


def _a_field(random: Random, low: int, high: int, *, stars: float) -> str:
    if random.random() < stars:
        return random.choice(("*", "*", f"*/{random.randint(2, 20)}"))
    one, two = sorted(random.sample(range(low, high + 1), 2))
    step = random.randint(1, 9)
    return random.choice((f"{one}", f"{one},{two}", f"{one}-{two}", f"{one}-{two}/{step}"))


@cache
def changes(zone: str, year: int) -> list[datetime]:
    """The days of a year on which the clocks of a zone change, give or take half a one."""
    tz, found = ZoneInfo(zone), []
    at = datetime(year, 1, 1, tzinfo=UTC)
    while at.year == year:
        if at.astimezone(tz).utcoffset() != (at + DAY).astimezone(tz).utcoffset():
            found.append(at + DAY / 2)
        at += DAY
    return found


@pytest.mark.parametrize("number", range(200))
def test_a_generated_line_is_due_when_the_walk_says_so(number: int) -> None:
    random = Random(number)
    line, zone = a_line(random), ZONES[number % len(ZONES)]
    days = changes(zone, 2026 + number % 3) or [datetime(2028, 2, 28, 12, tzinfo=UTC)]

    for day in days:
        start = day - timedelta(hours=random.randint(13, 24), minutes=random.randint(0, 59))
        end = day + DAY
        schedule = Schedule(check_line(line), zone)

        assert list(schedule.between(start, end)) == list(walk(line, zone, start, end)), line


@pytest.mark.parametrize("line", ["30 2 * * *", "15 0 * * *", "5 1,2,3 * * *"])
@pytest.mark.parametrize("zone", ZONES)
def test_a_time_of_day_is_due_as_often_on_every_day_of_the_year(zone: str, line: str) -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = datetime(2027, 1, 1, 12, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    often = len(line.split()[1].split(","))

    slots = list(Schedule(line, zone).between(start, end))

    # Two times that fall into one gap are one: there is one moment right after it.
    assert 365 * often - 2 <= len(slots) <= 365 * often
    assert len({slot.astimezone(ZoneInfo(zone)).date() for slot in slots}) == 365


@pytest.mark.parametrize("inside", range(0, 180, 7))
def test_a_slot_is_never_given_twice_wherever_one_begins_to_look(inside: int) -> None:
    # The clocks of Berlin show two to three twice, from 00:00 UTC on.
    start = datetime(2026, 10, 24, 23, 30, tzinfo=UTC) + timedelta(minutes=inside)
    end = start + timedelta(days=1)

    for line in ("30 2 * * *", "*/20 * * * *", "*/20 2 * * *", "0 2,3 * * *"):
        slots = list(Schedule(line, "Europe/Berlin").between(start, end))

        assert slots == list(walk(line, "Europe/Berlin", start, end)), line
        assert all(slot > start for slot in slots)


def test_a_leap_day_comes_in_leap_years_and_the_31st_in_months_that_have_one() -> None:
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)

    leap = islice(Schedule("0 3 29 2 *", "UTC").after(start), 2)
    ends = islice(Schedule("0 3 31 * *", "UTC").after(start), 7)

    assert [at.date().isoformat() for at in leap] == ["2028-02-29", "2032-02-29"]
    assert [at.month for at in ends] == [3, 5, 7, 8, 10, 12, 1]


def test_a_sixth_field_before_the_others_is_the_second() -> None:
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)

    slots = islice(Schedule("*/5 * * * * *", "Europe/Berlin").after(start), 3)

    assert [at.second for at in slots] == [5, 10, 15]


def test_a_schedule_says_itself_in_words() -> None:
    assert Schedule("0 3 * * *", "Europe/Berlin").words() == "At 03:00 every day (Europe/Berlin)"


@pytest.mark.parametrize(
    "line",
    ["", "0 3 * *", "60 * * * *", "0 24 * * *", "0 0 30 2 *", "@daily", "0 3 * * x", "1 " * 7],
)
def test_a_line_that_is_none_or_never_comes_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_line(line)

    assert raised.value.fix
