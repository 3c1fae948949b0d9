"""Hours in which a job may make its calls: a stretch of each day, in a time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from worker.domain.errors import InvalidInput

FORM = r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])(?: (\S+))?"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """From `start` on, `end` excluded; past midnight if `end` is not after `start`.

    A time that the clocks skip is read by the offset before the change.
    """

    start: time
    end: time
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """Read `22:00-06:00 Europe/Berlin`; without a zone it is UTC. Raises InvalidInput."""
        match = re.fullmatch(FORM, text.strip(), re.ASCII)
        zone = match[5] if match and match[5] else "UTC"
        if match is None or not _is_zone(zone):
            raise InvalidInput(
                f"not hours of a day: {text!r}", fix='write them like "22:00-06:00 Europe/Berlin"'
            )
        start, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        if start == end:
            raise InvalidInput(
                "the hours begin where they end: is that always, or never?",
                fix='leave them out for always, or write them like "22:00-06:00 UTC"',
            )
        return cls(start=start, end=end, zone=zone)

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone}"

    def opens_at(self, now: datetime) -> datetime:
        """`now` if it is within the hours, else when they begin next."""
        for opening, closing in self._around(now):
            if now < closing:
                return max(now, opening)
        raise AssertionError("there is a tomorrow")  # pragma: no cover

    def is_open(self, now: datetime) -> bool:
        """Whether `now` is within the hours."""
        return self.opens_at(now) == now

    def _around(self, now: datetime) -> list[tuple[datetime, datetime]]:
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        past_midnight = _DAY if self.end <= self.start else timedelta()
        stretches = []
        for days in range(-2, 4):
            day = today + days * _DAY
            opening = datetime.combine(day, self.start, tzinfo=zone).astimezone(UTC)
            closing = datetime.combine(day + past_midnight, self.end, tzinfo=zone).astimezone(UTC)
            if opening < closing:  # the clocks may skip all of it
                stretches.append((opening, closing))
        return stretches


def _is_zone(name: str) -> bool:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+/-]*", name):
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
