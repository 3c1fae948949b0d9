"""What a filter says of the times that a list shows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from worker.domain.calls import Seen
from worker.domain.text import time_of

CREATED, MODIFIED = "created", "modified"
# Times of a list may be cut to whole seconds, while a filter is exact to the millisecond: what is
# shown is earlier than what is meant, never later.
TOLERANCE: Final = timedelta(seconds=1)


class Side(StrEnum):
    """On which side of its moment a filter selects."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A time of a project must lie on this side of an instant; `includes`: or at it."""

    moment: str
    side: Side
    at: datetime
    includes: bool = False
    is_exact: bool  # False: the provider has selected already, this only catches what it ignored

    def admits(self, seen: Seen) -> bool:
        """Whether a project may be selected; if it alone decides, a time not shown is a no."""
        at = self._time_of(seen)
        if at is None:
            return not self.is_exact
        if self.side is Side.AFTER and not self.is_exact:
            at += TOLERANCE
        later = at > self.at if self.side is Side.AFTER else at < self.at
        return later or (self.includes and at == self.at)

    def speaks(self, seen: Seen) -> bool:
        """Whether the list shows the time it is about."""
        return self._time_of(seen) is not None

    def _time_of(self, seen: Seen) -> datetime | None:
        return time_of(seen.created if self.moment == CREATED else seen.modified)
