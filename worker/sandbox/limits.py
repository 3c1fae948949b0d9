"""How many calls an organisation may make, and how many it really made."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

DAY_SECONDS = 86400.0
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Excess(StrEnum):
    """Which limit a call ran into."""

    WINDOW = "window"  # too many in a sliding window
    DAY = "day"  # too many today
    IN_FLIGHT = "in_flight"  # too many at once
    BLOCKED = "blocked"  # shut out as a penalty for earlier excess


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Limits:
    """What is allowed. `enforce=False` only measures; `retry_after` says when there is room."""

    windows: tuple[tuple[Count, Seconds], ...] = ()
    per_day: Count | None = None
    in_flight: Count | None = None
    enforce: bool = True
    retry_after: bool = False
    day_used: Annotated[int, Field(ge=0)] | None = None
    day_seconds: Seconds = DAY_SECONDS
    penalty_after: Count | None = None
    penalty_seconds: Seconds = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A limit said no; `retry_after` is None where the provider does not say."""

    excess: Excess
    retry_after: float | None = None


@dataclass(slots=True, kw_only=True)
class Window:
    """One sliding window: what it let in, what knocked, and the most that ever knocked."""

    limit: int
    seconds: float
    admitted: deque[float] = field(default_factory=deque)
    offered: deque[float] = field(default_factory=deque)
    peak: int = 0

    def offer(self, now: float) -> bool:
        """Count a call that came; True if there is room for it."""
        edge = now - self.seconds
        for times in (self.admitted, self.offered):
            while times and times[0] <= edge:
                times.popleft()
        self.offered.append(now)
        self.peak = max(self.peak, len(self.offered))
        return len(self.admitted) < self.limit

    def opens_in(self, now: float) -> float:
        """Seconds until there is room again."""
        return self.admitted[0] + self.seconds - now if self.admitted else 0.0


class Meter:
    """Counts the calls of one organisation and says which limit one of them runs into."""

    def __init__(self) -> None:
        self._day: int | None = None
        self.day_used = 0
        self.day_peak = 0
        self.flying = 0
        self.flying_peak = 0
        self._blocked_until = 0.0
        self.over: dict[Excess, int] = dict.fromkeys(Excess, 0)
        self.set(Limits())

    def set(self, limits: Limits) -> None:
        """Replace the limits: windows, penalty and excess start afresh, day and flight go on."""
        self.limits = limits
        self.windows = [Window(limit=n, seconds=seconds) for n, seconds in limits.windows]
        self.over = dict.fromkeys(Excess, 0)
        self.flying_peak = self.flying
        self._blocked_until = 0.0
        if limits.day_used is not None:
            self.day_used = limits.day_used

    def enter(self, now: float) -> Refusal | None:
        """Count a call that has come; without a refusal it is in flight until `leave`."""
        excess = self._excess(now)
        self.flying_peak = max(self.flying_peak, self.flying + 1)
        if excess is None or not self.limits.enforce:
            self._admit(now)
            return None
        return Refusal(excess=excess, retry_after=self._retry_after(excess, now))

    def leave(self) -> None:
        """A call that was let in has been answered or lost."""
        self.flying -= 1

    def day_left(self, now: float) -> tuple[int, int, int]:
        """How many calls a day has, how many are used, and the seconds until it begins anew."""
        self._turn_day(now)
        length = self.limits.day_seconds
        return self.limits.per_day or 0, self.day_used, int(length - now % length)

    def window_left(self, now: float) -> tuple[int, float, int, float] | None:
        """Limit and length of the first window, how many calls it has left, when it has more."""
        if not self.windows:
            return None
        window = self.windows[0]
        left = max(0, window.limit - len(window.admitted))
        return window.limit, window.seconds, left, max(0.0, window.opens_in(now))

    def stats(self) -> dict[str, Any]:
        """What was seen, beside what is allowed; `peak` counts refused calls too."""
        return {
            "windows": [
                {"limit": window.limit, "seconds": window.seconds, "peak": window.peak}
                for window in self.windows
            ],
            "day": {"limit": self.limits.per_day, "used": self.day_used, "peak": self.day_peak},
            "in_flight": {
                "limit": self.limits.in_flight,
                "now": self.flying,
                "peak": self.flying_peak,
            },
            "over": {str(excess): count for excess, count in self.over.items()},
        }

    def _excess(self, now: float) -> Excess | None:
        self._turn_day(now)
        has_room = [window.offer(now) for window in self.windows]
        excess = self._which(now, has_room=all(has_room))
        if excess is not None:
            self.over[excess] += 1
            self._punish(excess, now)
        return excess

    def _which(self, now: float, *, has_room: bool) -> Excess | None:
        limits = self.limits
        if now < self._blocked_until:
            return Excess.BLOCKED
        if limits.in_flight is not None and self.flying >= limits.in_flight:
            return Excess.IN_FLIGHT
        if limits.per_day is not None and self.day_used >= limits.per_day:
            return Excess.DAY
        return None if has_room else Excess.WINDOW

    def _punish(self, excess: Excess, now: float) -> None:
        after = self.limits.penalty_after
        if after is None or excess is Excess.BLOCKED:
            return
        if (sum(self.over.values()) - self.over[Excess.BLOCKED]) % after == 0:
            self._blocked_until = now + self.limits.penalty_seconds

    def _admit(self, now: float) -> None:
        for window in self.windows:
            window.admitted.append(now)
        self.day_used += 1
        self.day_peak = max(self.day_peak, self.day_used)
        self.flying += 1

    def _turn_day(self, now: float) -> None:
        day = int(now // self.limits.day_seconds)
        if self._day is None:
            self._day = day
        if day != self._day:
            self._day = day
            self.day_used = 0

    def _retry_after(self, excess: Excess, now: float) -> float | None:
        if excess is Excess.BLOCKED:
            return max(0.0, self._blocked_until - now)
        if excess is Excess.WINDOW and self.limits.retry_after:
            full = (window for window in self.windows if len(window.admitted) >= window.limit)
            return max(window.opens_in(now) for window in full)
        return None
