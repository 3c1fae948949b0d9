"""How the values of `bulkdel.toml` are written: durations, resets, addresses, references."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time, timedelta
from difflib import get_close_matches
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput

UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}

OUR_PREFIX = "BULKDEL_"
TEST_PREFIX = "BULKDEL_TEST_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """What the list of settings says of a field, where its type and default do not say it."""

    type: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReset:
    """When a day's quota starts anew: a wall-clock time in a zone."""

    at: time
    zone: str

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.zone}"


def parse_duration(text: object) -> timedelta:
    """Read "500ms", "60s", "15m", "24h" or "365d"; raises InvalidInput."""
    match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", text) if isinstance(text, str) else None
    if match:
        return int(match[1]) * UNITS[match[2]]
    raise InvalidInput(
        f"is not a duration: {shown(str(text))}",
        fix='write a whole number and a unit (ms, s, m, h, d): "500ms", "60s", "15m", "24h"',
    )


def duration_text(duration: timedelta) -> str:
    """The duration as `parse_duration` reads it, in the largest unit that fits evenly."""
    unit = next((name for name in reversed(UNITS) if duration and not duration % UNITS[name]), "s")
    return f"{duration // UNITS[unit]}{unit}"


def parse_zone(text: object) -> str:
    """The name of a time zone that this machine knows; raises InvalidInput."""
    if isinstance(text, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_+/-]*", text):
        try:
            return ZoneInfo(text).key
        # A folder of the zone database is an OSError, an unknown name a KeyError.
        except (KeyError, ValueError, OSError):
            pass
    raise InvalidInput(
        f"is not a time zone: {shown(str(text))}",
        fix='write a name of the IANA database, such as "UTC" or "Europe/Berlin"',
    )


def parse_day_reset(text: object) -> DayReset:
    """Read "00:00 UTC" or "00:00 Europe/Berlin"; raises InvalidInput."""
    pattern = r"([01][0-9]|2[0-3]):([0-5][0-9]) (\S+)"
    match = re.fullmatch(pattern, text, re.ASCII) if isinstance(text, str) else None
    if match:
        return DayReset(at=time(int(match[1]), int(match[2])), zone=parse_zone(match[3]))
    raise InvalidInput(
        f"is not a time of day with its zone: {shown(str(text))}",
        fix='write hours, minutes and a time zone: "00:00 UTC", "00:00 Europe/Berlin"',
    )


def parse_reference(text: object) -> str:
    """Where a secret is, never the secret: "env:NAME" or "file:PATH"; raises InvalidInput.

    The error does not repeat what was written, which may be the secret itself.
    """
    written = text if isinstance(text, str) else ""
    if match := re.fullmatch(r"env:([A-Za-z_][A-Za-z0-9_]*)", written, re.ASCII):
        if match[1].startswith(OUR_PREFIX) and not match[1].startswith(TEST_PREFIX):
            raise InvalidInput(
                f"names a variable that begins with {OUR_PREFIX}",
                fix=f"variables that begin with {OUR_PREFIX} are settings: choose another name",
            )
        return written
    if re.fullmatch(r"file:[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*", written):
        return written
    raise InvalidInput(
        "must say where the secret is; a secret never stands in this file",
        fix='put it into an environment variable and write "env:NAME", '
        'or into a file and write "file:PATH"; if it was a real secret, change it',
    )


def parse_url(text: object) -> str:
    """An address to call: https (http on loopback alone), with a host and a plain path.

    Raises InvalidInput, which does not repeat the address: it may carry a password.
    """
    if not isinstance(text, str) or not re.fullmatch(r"https?://[!-~]+", text, re.IGNORECASE):
        raise InvalidInput(
            "is not an address", fix='write it like "https://www.zohoapis.com/books/v4"'
        )
    parts = _split(text)
    if "@" in parts.netloc:
        raise InvalidInput("must not carry a user or password", fix="use `token` or `oauth`")
    if "?" in text or "#" in text:
        raise InvalidInput("must not have a query or fragment", fix="cut it before `?` or `#`")
    if not re.fullmatch(r"[A-Za-z0-9._~/-]*", parts.path) or re.search(
        r"//|/\.{1,2}(/|$)", parts.path
    ):
        raise InvalidInput(
            "has a path that is not plain",
            fix="letters, digits and - . _ ~ between single slashes; no `.` or `..` alone",
        )
    if parts.scheme != "https" and not is_loopback(text):
        raise InvalidInput("must begin with https://", fix="http:// is for this machine alone")
    return text


def parse_base_url(text: object) -> str:
    """An address as `parse_url` reads it, without slashes at its end."""
    written = text.rstrip("/") if isinstance(text, str) else text
    return parse_url(written)


def is_loopback(url: str) -> bool:
    """Whether the host of an address is this machine; an address that cannot be read is not."""
    try:
        host = _split(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except (ValueError, InvalidInput):
        return False


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like this one; empty if none is like it."""
    return next(iter(get_close_matches(word, list(known), n=1)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: empty, or `: did you mean …?`."""
    guess = nearest(word, known)
    return f": did you mean `{guess}`?" if guess else ""


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname or ""
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise InvalidInput(
            "has no readable host or port", fix='write it like "https://www.zohoapis.com/books/v4"'
        )
    return parts
