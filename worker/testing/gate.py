"""A gate that keeps its books in memory, by a clock handed in, and remembers what it granted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from worker.domain.limits import Grant, Permit, Purse, PurseBook, Quota, Return, WaitReason, Window
from worker.ratelimit.port import GateClosed, GateEmpty, names_of

IN_FLIGHT_WAIT = timedelta(milliseconds=50)
UNUSED_WAIT = timedelta(seconds=1)
EASED_LEAST, EASED_BACK = 0.0625, 0.1  # the share of the limits; what comes back in a minute
TOGETHER = 0.005  # of a window: entries that leave it within this are waited for as one ...
TOGETHER_MOST = timedelta(milliseconds=500)  # ... or within this, if that is less
LONG = timedelta(hours=1)  # what is given anew later than this is a quota of the day
KEEP = timedelta(minutes=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """One permit that was granted."""

    permit: Permit
    at: datetime


class CountingGate:
    """Keeps the contract of `worker.ratelimit.port.Gate`; `granted` and `returned` are its record.

    Like a fresh Redis it begins empty. `forget()` empties it again; while `is_reachable` is
    False, it cannot be asked.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.is_reachable = True
        self.granted: list[Granted] = []
        self.returned: list[Return] = []
        self._clock = clock
        self._books: dict[str, _Book] = {}

    def forget(self) -> None:
        """Lose everything, as a Redis that was emptied."""
        self._books.clear()

    async def begin(self) -> None:
        self._now()

    async def exchange(
        self, purses: Sequence[Purse], *, back: Sequence[Return], want: int, lease: timedelta
    ) -> Grant:
        names = names_of(purses, back=back, want=want, lease=lease)
        now = self._now()
        books = [self._book(name) for name in names]
        empty = [name for name, book in zip(names, books, strict=True) if not book.is_current]
        if empty:
            raise GateEmpty(empty)
        self.returned.extend(back)
        limits: list[_Limit] = []
        for purse, book in zip(purses, books, strict=True):
            book.open_day(purse, now)
            mine = [each for each in back if purse.name in each.permit.purses]
            first = [each.quota for each in mine if purse.name == each.permit.purses[0]]
            book.learn([quota for quota in first if quota is not None], now)
            book.put_back(mine, now)
            book.sweep(purse, now)
            limits.extend(_limits(purse, book, now))
        granted = max(0, min([want, *(limit.free for limit in limits)]))
        permits = self._grant(granted, names, now)
        for book in books:
            book.flight.update({permit.id: now + lease for permit in permits})
        full = [limit for limit in limits if limit.free <= granted]
        if (want and granted == want) or not full:
            return Grant(permits=permits)
        return _told(permits, full, now)

    async def close(
        self,
        purse: str,
        *,
        until: datetime | timedelta,
        reason: str,
        shorten: bool = False,
        ease: bool = False,
    ) -> None:
        now = self._now()
        ends = now + until if isinstance(until, timedelta) else until
        book = self._book(purse)
        if ease and book.closed_until <= now:
            book.eased, book.eased_at = max(EASED_LEAST, book.pace(now) / 2), now
        if shorten or ends > book.closed_until:
            book.closed_until, book.closed_reason = ends, reason

    async def rebuild(self, purse: Purse, *, ages: Sequence[timedelta], used_today: int) -> bool:
        now = self._now()
        book = self._book(purse.name)
        if book.is_current:
            return False
        book.open_day(purse, now)
        book.sweep(purse, now)
        book.log = {f"rebuilt-{n}": now - max(age, timedelta()) for n, age in enumerate(ages)}
        book.used = max(book.used, used_today)
        book.is_current, book.corrected_at = True, now
        return True

    async def books(self, purses: Sequence[Purse]) -> Sequence[PurseBook]:
        now = self._now()
        return [self._read(purse, now) for purse in purses]

    async def aclose(self) -> None:
        """There is nothing to let go of."""

    def _now(self) -> datetime:
        if not self.is_reachable:
            message = "the gate was made unreachable"
            raise GateClosed(message)
        return self._clock()

    def _book(self, name: str) -> "_Book":
        return self._books.setdefault(name, _Book())

    def _grant(self, count: int, names: tuple[str, ...], now: datetime) -> tuple[Permit, ...]:
        first = len(self.granted) + 1
        permits = tuple(Permit(id=f"p{first + n}", purses=names) for n in range(count))
        self.granted.extend(Granted(permit=permit, at=now) for permit in permits)
        return permits

    def _read(self, purse: Purse, now: datetime) -> PurseBook:
        book = self._book(purse.name)
        if book.is_current:
            book.open_day(purse, now)
            book.sweep(purse, now)
        is_closed = book.closed_until > now
        return PurseBook(
            name=purse.name,
            is_current=book.is_current,
            used_windows=tuple(len(book.inside(window, now)) for window in purse.windows),
            used_today=book.used,
            in_flight=len(book.flight),
            closed_until=book.closed_until if is_closed else None,
            closed_reason=book.closed_reason if is_closed else "",
            resets_at=None if purse.per_day is None else purse.next_reset(now),
            corrected_at=book.corrected_at,
            pace=round(book.pace(now), 3),
        )


@dataclass(slots=True, kw_only=True)
class _Book:
    is_current: bool = False
    day: datetime = _NEVER
    used: int = 0
    flight: dict[str, datetime] = field(default_factory=dict)
    log: dict[str, datetime] = field(default_factory=dict)
    closed_until: datetime = _NEVER
    closed_reason: str = ""
    corrected_at: datetime | None = None
    eased: float = 1.0
    eased_at: datetime = _NEVER
    left: int = 0  # as an answer said
    left_until: datetime = _NEVER

    def pace(self, now: datetime) -> float:
        minutes = (now - self.eased_at) / timedelta(minutes=1)
        return min(1.0, self.eased + max(0.0, minutes) * EASED_BACK)

    def of(self, calls: int, now: datetime) -> int:
        """What is left of a limit while the purse is eased."""
        return max(1, int(calls * self.pace(now) + 1e-9))

    def open_day(self, purse: Purse, now: datetime) -> None:
        start = purse.day_start(now)
        if start > self.day:
            self.day, self.used = start, 0

    def learn(self, told: Sequence[Quota], now: datetime) -> None:
        """The newest answer knows best; of several together, the one with the least left."""
        if told:
            least = min(told, key=lambda quota: quota.left)
            self.left, self.left_until = least.left, now + least.resets_in
            self.corrected_at = now

    def put_back(self, back: Sequence[Return], now: datetime) -> None:
        for each in back:
            was_out = self.flight.pop(each.permit.id, None) is not None
            if each.used:
                was_known = self.log.pop(each.permit.id, None) is not None
                self.used += was_out or not was_known
                if each.quota is None and (was_out or not was_known):
                    self.left = max(0, self.left - 1)  # an answer that told nothing
                self.log[each.permit.id] = now

    def sweep(self, purse: Purse, now: datetime) -> None:
        lost = {permit: ends for permit, ends in self.flight.items() if ends <= now}
        for permit, ends in lost.items():
            self.log[permit] = ends
            del self.flight[permit]
            self.used += ends >= self.day
            self.left = max(0, self.left - 1)
        horizon = now - max(KEEP, purse.longest_window())
        # Entries stand about in order of time, so the old ones are in front.
        for permit in list(takewhile(lambda permit: self.log[permit] < horizon, self.log)):
            del self.log[permit]

    def inside(self, window: Window, now: datetime) -> list[datetime]:
        return sorted(at for at in self.log.values() if at >= now - window.per)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    purse: str
    reason: WaitReason
    free: int
    held: int  # places that permits still out hold
    opens_at: Callable[[int], datetime]  # by how many were granted: when it has room again
    detail: str = ""


def _limits(purse: Purse, book: _Book, now: datetime) -> Iterator[_Limit]:
    out, name = len(book.flight), purse.name
    free = (purse.in_flight if purse.windows else book.of(purse.in_flight, now)) - out
    yield _Limit(
        purse=name,
        reason=WaitReason.IN_FLIGHT,
        free=free,
        held=out,
        opens_at=lambda _: now + IN_FLIGHT_WAIT,
    )
    if book.closed_until > now:
        until = book.closed_until
        yield _Limit(
            purse=name,
            reason=WaitReason.CLOSED,
            free=0,
            held=0,
            opens_at=lambda _: until,
            detail=book.closed_reason,
        )
    if book.left_until > now:
        given_at = book.left_until
        yield _Limit(
            purse=name,
            reason=WaitReason.DAY if given_at - now > LONG else WaitReason.RATE,
            free=book.left - out,
            held=out,
            opens_at=lambda _: given_at,
        )
    day_limit = purse.day_limit()
    if day_limit is not None:
        free = day_limit - book.used - out
        yield _Limit(
            purse=name,
            reason=WaitReason.DAY,
            free=free,
            held=out,
            opens_at=lambda _: purse.next_reset(now),
        )
    for limit, window in zip(purse.window_limits(), purse.windows, strict=True):
        yield _of_window(purse, window, book, now, limit=limit)


def _of_window(purse: Purse, window: Window, book: _Book, now: datetime, *, limit: int) -> _Limit:
    inside, out = book.inside(window, now), len(book.flight)
    free = book.of(limit, now) - len(inside) - out

    def opens_at(granted: int) -> datetime:
        leaving = min(purse.useful_batch() - (free - granted), len(inside))
        together = inside[leaving - 1] + min(window.per * TOGETHER, TOGETHER_MOST)
        return max(at for at in inside if at <= together) + window.per + _TICK

    return _Limit(
        purse=purse.name,
        reason=WaitReason.RATE,
        free=free,
        held=out,
        # With nothing but permits in it, they leave it a whole window after they are answered.
        opens_at=opens_at if inside else lambda _: now + window.per,
    )


def _told(permits: tuple[Permit, ...], full: Sequence[_Limit], now: datetime) -> Grant:
    waits = [(*_wait(limit, len(permits), now), limit) for limit in full]
    wait, reason, limit = max(waits, key=lambda each: each[0])
    detail = limit.detail if reason is WaitReason.CLOSED else ""
    return Grant(permits=permits, wait=wait, reason=reason, purse=limit.purse, detail=detail)


def _wait(limit: _Limit, granted: int, now: datetime) -> tuple[timedelta, WaitReason]:
    wait = limit.opens_at(granted) - now
    if limit.reason is WaitReason.IN_FLIGHT:
        return wait, limit.reason
    if limit.reason is not WaitReason.CLOSED and limit.free + limit.held > 0:
        return min(wait, UNUSED_WAIT), WaitReason.IN_FLIGHT
    return wait, limit.reason
