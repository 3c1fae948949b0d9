"""Waiting for what other processes do: the one place of the acceptance tests that looks again."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY = 0.1


def eventually(look: Callable[[], T | None], *, within: float, what: str) -> T:
    """What `look` returns once it is true; fails with `what` if that takes too long."""
    end = monotonic() + within
    while not (seen := look()):
        if monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {what} (last seen: {seen!r})")
        Event().wait(LOOK_EVERY)
    return seen
