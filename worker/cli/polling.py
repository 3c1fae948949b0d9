"""Looking again until something is so: the one place of the command line that waits."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import TypeVar

from worker.domain.errors import Unreachable

T = TypeVar("T")

FIRST = 0.2
LONGEST = 1.0
PATIENCE = 30.0
"""Seconds for which a database that went away is waited for."""


def poll(look: Callable[[], T], done: Callable[[T], bool], within: timedelta) -> tuple[T, bool]:
    """What `look` saw last, and whether it was `done`; every 0.2 s at first, later every second.

    A database that is away for less than half a minute is waited for.
    """
    began = monotonic()
    end = began + within.total_seconds()
    interval = FIRST
    seen = look()
    away_since: float | None = None
    while not done(seen):
        left = end - monotonic()
        if left <= 0:
            return seen, False
        Event().wait(min(interval, left))
        interval = min(interval * 1.3, LONGEST)
        try:
            seen, away_since = look(), None
        except Unreachable:
            away_since = away_since or monotonic()
            if monotonic() - away_since > PATIENCE:
                raise
    return seen, True
