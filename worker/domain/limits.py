"""What a provider lets us do in a time: purses, the permits taken from them, and their books."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most `calls` in any stretch of time of length `per`."""

    calls: int
    per: timedelta

    def __post_init__(self) -> None:
        if self.calls < 1 or self.per <= timedelta():
            message = f"a window needs at least one call and some time: {self}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What permits are taken from: one provider's limits, and our share of them."""

    name: str
    windows: tuple[Window, ...] = ()
    per_day: int | None = None
    day_reset: time = time()
    day_zone: str = "UTC"
    in_flight: int = 5
    rate_share: float = 0.9
    day_share: float = 0.8

    def __post_init__(self) -> None:
        if not self.name:
            message = "a purse has a name"
            raise ValueError(message)
        if self.in_flight < 1 or (self.per_day is not None and self.per_day < 1):
            message = f"purse {self.name}: a limit below one call is no limit but a closing"
            raise ValueError(message)
        if not (0 < self.rate_share <= 1 and 0 < self.day_share <= 1):
            message = f"purse {self.name}: a share is above 0 and at most 1"
            raise ValueError(message)
        ZoneInfo(self.day_zone)

    def window_limits(self) -> tuple[int, ...]:
        """Our share of each window, in calls; never below one."""
        return tuple(_share_of(window.calls, self.rate_share) for window in self.windows)

    def day_limit(self) -> int | None:
        """Our share of the day, in calls; never below one. None: the day is not limited."""
        return None if self.per_day is None else _share_of(self.per_day, self.day_share)

    def useful_batch(self) -> int:
        """How many places to wait for: a tenth of the smallest window, at least one."""
        return max(1, min(self.window_limits(), default=1) // 10)

    def longest_window(self) -> timedelta:
        return max((window.per for window in self.windows), default=timedelta())

    def day_start(self, now: datetime) -> datetime:
        """The last reset of the day, `now` included."""
        return max(reset for reset in self.resets_around(now) if reset <= now)

    def next_reset(self, now: datetime) -> datetime:
        """The first reset of the day after `now`."""
        return min(reset for reset in self.resets_around(now) if reset > now)

    def local(self, at: datetime) -> str:
        """An instant as the provider's clock shows it, for people; UTC beside it if it differs."""
        if self.day_zone == "UTC":
            return f"{at:%Y-%m-%d %H:%M} UTC"
        there = at.astimezone(ZoneInfo(self.day_zone))
        return f"{there:%Y-%m-%d %H:%M} {self.day_zone} ({at:%H:%M} UTC)"

    def resets_around(self, now: datetime) -> tuple[datetime, ...]:
        """The resets from at least a day before `now` to at least a day after it, in order.

        A reset is a wall-clock time in the provider's zone, so days of 23 and 25 hours are days.
        A time the clocks skip is read by the offset before the change; a time they show twice
        counts when it is first shown.
        """
        zone = ZoneInfo(self.day_zone)
        today = now.astimezone(zone).date()
        resets = (
            datetime.combine(today + days * _DAY, self.day_reset, tzinfo=zone).astimezone(UTC)
            for days in range(-2, 4)
        )
        return tuple(sorted(set(resets)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The right to make one call, paid for by every purse named."""

    id: str
    purses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What an answer says is left to all who use the account, until more is given."""

    left: int
    resets_in: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """A permit handed back."""

    permit: Permit
    used: bool  # the call was sent, and was answered or given up at its deadline
    quota: Quota | None = None  # of the first purse of the permit, if the answer told it


class WaitReason(StrEnum):
    """Why fewer permits were granted than wanted."""

    IN_FLIGHT = "in_flight"  # permits that are out hold the places: they come back shortly
    RATE = "rate_limit"  # a window is full
    DAY = "quota_reset"  # the day's quota is spent
    CLOSED = "closed"  # the purse was closed, say by a 429; the grant's detail says why


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the gate gave, and when to ask again if it gave less, or would give nothing now."""

    permits: tuple[Permit, ...] = ()
    wait: timedelta | None = None  # until a useful batch is back; set with a reason
    reason: WaitReason | None = None
    purse: str = ""  # the one that makes us wait longest
    detail: str = ""  # why it was closed


@dataclass(frozen=True, slots=True, kw_only=True)
class PurseBook:
    """What one purse has paid out, for people to read."""

    name: str
    is_current: bool  # False: Redis was emptied or restarted, and nobody has rebuilt it since
    used_windows: tuple[int, ...] = ()  # answered calls, by window
    used_today: int = 0
    in_flight: int = 0
    closed_until: datetime | None = None
    closed_reason: str = ""
    resets_at: datetime | None = None  # when the day's calls start anew, if they are limited
    corrected_at: datetime | None = None  # by the record, or by what an answer said is left
    pace: float = 1.0  # below 1 after refusals that named no time: what is left of the windows


def _share_of(calls: int, share: float) -> int:
    # In decimal, because 100 * 0.29 is 28.999999999999996.
    return max(1, int(calls * Decimal(str(share))))
