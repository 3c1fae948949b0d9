"""A clock that stands still until it is told to go on."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 10, tzinfo=UTC)


class FrozenClock:
    """One time for everybody: an instant for stores and gates, seconds for slices."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        """The instant."""
        return self.at

    def seconds(self) -> float:
        """The same, as a monotonic clock tells it."""
        return (self.at - START).total_seconds()

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by
