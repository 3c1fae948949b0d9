"""What the gate promises, whoever keeps its books."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from worker.domain.limits import Grant, Purse, PurseBook, Return


class GateClosed(Exception):
    """The books cannot be asked; when in doubt, no permit."""


class GateEmpty(Exception):
    """The books of these purses are lost or of another life of Redis: rebuild them first."""

    def __init__(self, purses: Sequence[str]) -> None:
        super().__init__(f"the books must be rebuilt first: {', '.join(purses)}")
        self.purses = tuple(purses)


class Gate(Protocol):
    """Grants permits so that no limit of any purse is passed by all processes together.

    A call's place in its windows and its day is dated when its answer came, by its return; a
    permit that is out counts against every limit meanwhile. The provider sees a call between the
    two, so no window of the provider's, wherever it begins, holds more than the limit.
    """

    async def begin(self) -> None:
        """Make sure that the books can be asked. Raises GateClosed."""
        ...

    async def exchange(
        self, purses: Sequence[Purse], *, back: Sequence[Return], want: int, lease: timedelta
    ) -> Grant:
        """Hand permits back and take up to `want` new ones, in one atomic step over all purses.

        Every permit granted is paid for by all of `purses`, and `purses` names every purse of the
        permits that come back. A permit not back within `lease` counts as a call made at the
        lease's end, so the lease is longer than the call's deadline. One handed back unused
        leaves no trace. Handing back twice does no harm. What a return says is left bounds what
        its first purse grants until more is given; the newest word counts, less the calls since
        whose returns said nothing. Whoever wants none is told how long there would be none.

        Raises GateClosed when the books cannot be asked (what was asked may still have happened:
        hand the same permits back again), and GateEmpty when they must be rebuilt first (nothing
        happened, neither way).
        """
        ...

    async def close(
        self,
        purse: str,
        *,
        until: datetime | timedelta,
        reason: str,
        shorten: bool = False,
        ease: bool = False,
    ) -> None:
        """Grant nothing from `purse` until then (a timedelta: from now, by the gate's clock).

        A closing that ends later already is left alone, unless `shorten` says otherwise. With
        `ease` its windows are halved too, down to a sixteenth, unless it is closed already; a
        tenth of them comes back every minute. Without windows that is so of its places in flight.
        """
        ...

    async def rebuild(self, purse: Purse, *, ages: Sequence[timedelta], used_today: int) -> bool:
        """Write the books anew from the record, after GateEmpty; closings are kept.

        `ages` says how long ago each call was answered (an open one: zero), as far back as the
        longest window. True: rebuilt. False: somebody did it before, and his books stand.
        """
        ...

    async def books(self, purses: Sequence[Purse]) -> Sequence[PurseBook]:
        """What every purse has paid out, in the order asked. Raises GateClosed alone."""
        ...

    async def aclose(self) -> None:
        """Let go of the connections."""
        ...


def names_of(
    purses: Sequence[Purse], *, back: Sequence[Return], want: int, lease: timedelta
) -> tuple[str, ...]:
    """The names of the purses of an exchange. Raises ValueError for one that makes no sense."""
    names = tuple(purse.name for purse in purses)
    unnamed = {name for each in back for name in each.permit.purses} - set(names)
    if unnamed or not names or len(set(names)) != len(names) or want < 0 or lease <= timedelta():
        message = f"cannot be exchanged: {want=} {lease=} {names=} {unnamed=}"
        raise ValueError(message)
    return names
