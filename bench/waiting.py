"""Waiting for what other processes do: the one place of the bench that looks again."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY = 0.05


def eventually(look: Callable[[], T | None], *, within: float, what: str) -> T:
    """What `look` returns once it is true; TimeoutError with `what` if that takes too long."""
    end = monotonic() + within
    while not (seen := look()):
        if monotonic() > end:
            raise TimeoutError(f"not within {within:g} s: {what}")
        rest(LOOK_EVERY)
    return seen


def rest(seconds: float) -> None:
    """Let the others work."""
    Event().wait(seconds)
