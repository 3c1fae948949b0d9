"""Durations, resets, addresses and references are read as written, or refused with the fix."""

from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config.values import (
    UNITS,
    DayReset,
    did_you_mean,
    duration_text,
    is_loopback,
    nearest,
    parse_base_url,
    parse_day_reset,
    parse_duration,
    parse_reference,
    parse_url,
    parse_zone,
)
from worker.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("60s", timedelta(seconds=60)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("365d", timedelta(days=365)),
        ("0s", timedelta()),
        ("999999999d", timedelta(days=999_999_999)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "90", "m", "1.5s", "-1s", "15 m", "15M", "15m\n", "1h30m", "٣s", 15, None, True]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(InvalidInput, match="is not a duration") as raised:
        parse_duration(text)

    assert "60s" in raised.value.fix


@given(st.integers(0, 999_999_999), st.sampled_from(sorted(UNITS)))
def test_a_duration_printed_reads_back_the_same(number: int, unit: str) -> None:
    duration = parse_duration(f"{number}{unit}")

    assert parse_duration(duration_text(duration)) == duration


@pytest.mark.parametrize(
    ("text", "at", "zone"),
    [
        ("00:00 UTC", time(0, 0), "UTC"),
        ("00:00 Europe/Berlin", time(0, 0), "Europe/Berlin"),
        ("23:59 America/Argentina/Buenos_Aires", time(23, 59), "America/Argentina/Buenos_Aires"),
    ],
)
def test_a_reset_is_a_time_of_day_and_a_zone(text: str, at: time, zone: str) -> None:
    assert parse_day_reset(text) == DayReset(at=at, zone=zone)


@pytest.mark.parametrize("text", ["00:00", "24:00 UTC", "0:00 UTC", "00:60 UTC", "midnight", 0])
def test_anything_else_is_no_reset(text: object) -> None:
    with pytest.raises(InvalidInput, match="is not a time of day"):
        parse_day_reset(text)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlim", "Europe", "../etc/passwd", "/etc/passwd", "", "é", "+02:00", 1]
)
def test_a_zone_is_one_this_machine_knows(zone: object) -> None:
    with pytest.raises(InvalidInput, match="is not a time zone"):
        parse_zone(zone)


@pytest.mark.parametrize(
    "text", ["env:ACME_TOKEN", "file:/run/secrets/acme", "file:a b.txt", "env:BULKDEL_TEST_TOKEN"]
)
def test_a_reference_says_where_the_secret_is(text: str) -> None:
    assert parse_reference(text) == text


@pytest.mark.parametrize(
    "text",
    ["1000.8cb99dxxxx", "env:", "env:1000.8cb", "ENV:NAME", "file:", "file: ", "file:a\0b", "", 7],
)
def test_a_literal_secret_is_refused_with_the_fix_and_not_repeated(text: object) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_reference(text)

    assert 'write "env:NAME"' in raised.value.fix
    assert '"file:PATH"' in raised.value.fix
    assert "1000.8cb" not in raised.value.what + raised.value.fix


def test_a_reference_cannot_name_a_variable_that_would_be_an_unknown_setting() -> None:
    with pytest.raises(InvalidInput, match="begins with BULKDEL_"):
        parse_reference("env:BULKDEL_ACME_TOKEN")


@pytest.mark.parametrize(
    "url",
    [
        "https://www.zohoapis.com/books/v4",
        "https://api.truto.one",
        "https://example.com:8443/a",
        "http://127.0.0.1:8080/books/v4",
        "http://127.8.9.1",
        "http://localhost:1/books/v3",
        "http://[::1]:8080/books/v4",
    ],
)
def test_an_address_is_https_or_on_this_machine(url: str) -> None:
    assert parse_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://www.zohoapis.com/books/v4", "must begin with https"),
        ("http://127.0.0.1.example.com/", "must begin with https"),
        ("http://localhost.example.com/", "must begin with https"),
        ("http://10.0.0.1/", "must begin with https"),
        ("ftp://example.com", "is not an address"),
        ("//example.com", "is not an address"),
        ("https://", "is not an address"),
        ("https:///books", "no readable host"),
        ("https://a b.com", "is not an address"),
        ("https://exa\tmple.com", "is not an address"),
        ("https://exämple.com", "is not an address"),
        ("https://example.com:99999/", "no readable host or port"),
        ("https://[::1/", "no readable host or port"),
        ("https://exa\\mple.com/", "no readable host"),
        ("https://user:pw-canary@example.com/", "user or password"),
        ("http://localhost@example.com/", "user or password"),
        ("https://example.com/?authtoken=pw-canary", "query or fragment"),
        ("https://example.com/?", "query or fragment"),
        ("https://example.com/#", "query or fragment"),
        ("https://example.com/books/../users", "path that is not plain"),
        ("https://example.com/books/%2e%2e", "path that is not plain"),
        ("https://example.com/books//v4", "path that is not plain"),
        ("https://example.com/.", "path that is not plain"),
        (7, "is not an address"),
    ],
)
def test_any_other_address_is_refused_and_not_repeated(url: object, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as raised:
        parse_url(url)

    assert "pw-canary" not in raised.value.what + raised.value.fix


def test_a_base_url_loses_the_slashes_at_its_end() -> None:
    assert parse_base_url("https://example.com/books/v4//") == "https://example.com/books/v4"


def test_an_address_that_cannot_be_read_is_not_on_this_machine() -> None:
    assert not is_loopback("http://[::1/")
    assert not is_loopback("http://example.com")
    assert is_loopback("https://127.0.0.1")


def test_the_nearest_word_is_offered_only_if_there_is_one() -> None:
    assert nearest("proteck", ["provider", "protect"]) == "protect"
    assert did_you_mean("proteck", ["protect"]) == ": did you mean `protect`?"
    assert did_you_mean("xyz", ["protect"]) == ""
