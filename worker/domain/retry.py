"""How long to wait before trying again: full jitter, capped.

Exponential backoff with full jitter after M. Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015. The random part is handed in, so that a decision stays pure.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The limits of trying again; all of them are settings, none is in the code that uses it."""

    base: timedelta = timedelta(milliseconds=250)
    cap: timedelta = timedelta(seconds=30)
    attempts: int = 8  # deletions sent for one item
    tries: int = 6  # reads in a row that did not answer, before one look counts as failed
    reads: int = 12  # the same for a check before the delete
    takeovers: int = 3  # holders that may die over one item
    looks: tuple[timedelta, ...] = (
        timedelta(0),
        timedelta(seconds=10),
        timedelta(minutes=1),
        timedelta(minutes=10),
        timedelta(hours=1),
    )

    def after(self, failures: int, jitter: float) -> timedelta:
        """Wait before the next try after `failures` in a row; `jitter` is in [0, 1)."""
        ceiling = min(self.cap, self.base * (1 << min(max(failures - 1, 0), 20)))
        return ceiling * jitter
