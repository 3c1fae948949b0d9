"""When a policy is due: a cron line and a time zone, as instants called slots.

CronSim reads the line and walks the calendar, without any zone; what a change of the clocks does
to a time of day is decided here. A line whose minute or hour begins with `*` goes by elapsed
time: what the clocks skip is left out, what they repeat is due both times. Any other line means a
time of day: skipped, it is due right after the gap, and repeated, the first time alone.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput

FIELDS = "minute hour day-of-month month day-of-week"
_A_DAY = timedelta(hours=26)
"""No two offsets from UTC are further apart: no clock is set back by more."""
_MINUTE = timedelta(minutes=1)
_NOTHING = timedelta(0)
_SOMETIME = datetime(2000, 1, 1)  # noqa: DTZ001  a wall clock shows no zone


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron line in a time zone; slots are aware, in UTC, and whole seconds."""

    line: str
    zone: str

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The slots later than an instant, in order; ends only where the calendar does."""
        zone = ZoneInfo(self.zone)
        last = instant
        waiting: list[datetime] = []
        for wall in CronSim(self.line, _first_wall(instant, zone)):
            here = wall.replace(tzinfo=zone).astimezone(UTC)
            while waiting and waiting[0] < here:
                if (slot := heapq.heappop(waiting)) > last:
                    last = slot
                    yield slot
            for slot in self._instants(wall, zone):
                heapq.heappush(waiting, slot)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The slots later than `start`, and not later than `end`."""
        for slot in self.after(start):
            if slot > end:
                return
            yield slot

    def words(self) -> str:
        """The line in English, with its zone."""
        return f"{CronSim(self.line, _SOMETIME).explain()} ({self.zone})"

    def _instants(self, wall: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        minute, hour = self.line.split()[-5:-3]
        if minute.startswith("*") or hour.startswith("*"):
            yield from {at for fold in (0, 1) if (at := _exact(wall, zone, fold)) is not None}
            return
        while (at := _exact(wall, zone, 0)) is None:
            wall = wall.replace(second=0) + _MINUTE
        yield at


def check_line(line: str) -> str:
    """The cron line in one spelling; InvalidInput says what is wrong with it."""
    spelled = " ".join(line.split())
    try:
        if len(spelled.split()) not in {5, 6}:
            raise InvalidInput(
                f"is no schedule: {shown(line)} has not five fields", fix=f"write: {FIELDS}"
            )
        if next(iter(CronSim(spelled, _SOMETIME)), None) is None:
            raise InvalidInput(f"never comes: {shown(line)}", fix="choose days that there are")
    except CronSimError as error:
        what = str(error)[:1].lower() + str(error)[1:]
        raise InvalidInput(
            f"is no schedule: {shown(line)} ({what})",
            fix=f'write five fields ({FIELDS}), such as "0 3 * * *"',
        ) from None
    return spelled


def _first_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock shows; earlier if it will show that again, being set back soon."""
    here, later = instant.astimezone(zone), (instant + _A_DAY).astimezone(zone)
    back = (here.utcoffset() or _NOTHING) - (later.utcoffset() or _NOTHING)
    return here.replace(tzinfo=None) - max(back, _NOTHING)


def _exact(wall: datetime, zone: ZoneInfo, fold: int) -> datetime | None:
    """The instant at which a clock shows this; None if it is skipped, or not shown twice."""
    at = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    back = at.astimezone(zone)
    return at if back.replace(tzinfo=None) == wall and back.fold == fold else None
