"""Purses: our share of a limit, and when a day begins."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.limits import Purse, Window

MINUTE = timedelta(minutes=1)


def test_our_share_of_a_window_is_rounded_down() -> None:
    windows = (Window(calls=100, per=MINUTE), Window(calls=15, per=MINUTE))

    purse = Purse(name="acme", windows=windows, rate_share=0.9)

    assert purse.window_limits() == (90, 13)


def test_a_share_is_taken_in_decimal() -> None:
    purse = Purse(name="acme", windows=(Window(calls=100, per=MINUTE),), rate_share=0.29)

    assert purse.window_limits() == (29,)


def test_a_share_is_never_less_than_one_call() -> None:
    window = Window(calls=1, per=MINUTE)

    purse = Purse(name="acme", windows=(window,), rate_share=0.5, per_day=1, day_share=0.5)

    assert (purse.window_limits(), purse.day_limit()) == ((1,), 1)


def test_a_day_without_a_limit_has_none() -> None:
    assert Purse(name="acme").day_limit() is None


def test_our_share_of_a_day_is_rounded_down() -> None:
    assert Purse(name="acme", per_day=999, day_share=0.8).day_limit() == 799


def test_a_useful_batch_is_a_tenth_of_the_smallest_window() -> None:
    windows = (Window(calls=100, per=MINUTE), Window(calls=4000, per=60 * MINUTE))

    purse = Purse(name="acme", windows=windows)

    assert purse.useful_batch() == 9
    assert purse.longest_window() == 60 * MINUTE


def test_a_useful_batch_is_at_least_one() -> None:
    assert Purse(name="acme").useful_batch() == 1
    assert Purse(name="acme", windows=(Window(calls=3, per=MINUTE),)).useful_batch() == 1


def test_a_purse_without_windows_remembers_nothing() -> None:
    assert Purse(name="acme").longest_window() == timedelta()


def test_a_day_begins_at_its_reset() -> None:
    purse = Purse(name="acme", day_reset=time(7, 30))
    reset = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)

    assert purse.day_start(reset) == reset
    assert purse.day_start(reset - timedelta(microseconds=1)) == reset - timedelta(days=1)
    assert purse.next_reset(reset) == reset + timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "reset", "now", "start", "end"),
    [
        # Berlin, the night of 29 March 2026: 23 hours; of 25 October 2026: 25 hours.
        ("Europe/Berlin", time(), "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("Europe/Berlin", time(), "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        # 02:30 is skipped: by the old offset it is 01:30 UTC. 02:30 comes twice: the first counts.
        ("Europe/Berlin", time(2, 30), "2026-03-29T01:29", "2026-03-28T01:30", "2026-03-29T01:30"),
        ("Europe/Berlin", time(2, 30), "2026-10-25T01:00", "2026-10-25T00:30", "2026-10-26T01:30"),
        # Far from Greenwich the date is another one.
        ("Pacific/Kiritimati", time(), "2026-11-21T11:00", "2026-11-21T10:00", "2026-11-22T10:00"),
        ("Pacific/Pago_Pago", time(), "2026-11-21T10:00", "2026-11-20T11:00", "2026-11-21T11:00"),
    ],
)
def test_a_day_is_the_providers(zone: str, reset: time, now: str, start: str, end: str) -> None:
    purse = Purse(name="acme", day_reset=reset, day_zone=zone)
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert purse.day_start(instant) == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert purse.next_reset(instant) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@given(
    now=st.datetimes(min_value=datetime(2005, 1, 1), max_value=datetime(2035, 1, 1)),  # noqa: DTZ001 - hypothesis takes naive bounds, the zone is added
    reset=st.times(),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns", "Asia/Gaza"]
    ),
)
def test_every_instant_lies_in_one_day(now: datetime, reset: time, zone: str) -> None:
    purse = Purse(name="acme", day_reset=reset, day_zone=zone)
    instant = now.replace(tzinfo=UTC)

    start, end = purse.day_start(instant), purse.next_reset(instant)

    assert start <= instant < end
    assert timedelta(hours=22) <= end - start <= timedelta(hours=50)
    assert (purse.day_start(end), purse.next_reset(start)) == (end, end)


@given(
    now=st.datetimes(min_value=datetime(2005, 1, 1), max_value=datetime(2035, 1, 1)),  # noqa: DTZ001 - hypothesis takes naive bounds, the zone is added
    zone=st.sampled_from(["UTC", "Pacific/Apia", "Pacific/Kiritimati"]),
)
def test_the_resets_around_reach_a_day_both_ways(now: datetime, zone: str) -> None:
    instant = now.replace(tzinfo=UTC)

    resets = Purse(name="acme", day_zone=zone).resets_around(instant)

    assert list(resets) == sorted(resets)
    assert resets[0] <= instant - timedelta(days=1)
    assert resets[-1] >= instant + timedelta(days=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"in_flight": 0},
        {"per_day": 0},
        {"rate_share": 0.0},
        {"rate_share": 1.1},
        {"day_share": 0.0},
    ],
)
def test_a_purse_that_makes_no_sense_is_not_made(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"name": "acme", **wrong}

    with pytest.raises(ValueError, match="purse"):
        Purse(**fields)  # type: ignore[arg-type]  # the point is that the values are wrong


@pytest.mark.parametrize(("calls", "per"), [(0, MINUTE), (1, timedelta())])
def test_a_window_that_makes_no_sense_is_not_made(calls: int, per: timedelta) -> None:
    with pytest.raises(ValueError, match="window"):
        Window(calls=calls, per=per)
