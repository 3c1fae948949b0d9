"""When a job stops by itself: what its calls came to so far, held against its breakers.

Credentials, redirects and outages concern more than one job and are seen elsewhere; here it is
counted how single items end. Throttled calls never count, skipped and absent items are neither
good nor bad, and what only follows from another item's failure is not counted twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from worker.domain.outcomes import Outcome

FEW = 10
"""Absent projects of a short list that say nothing yet: somebody else may have deleted them."""
BAD = frozenset(
    {
        Outcome.FAILED_REFUSED,
        Outcome.FAILED_INVALID,
        Outcome.FAILED_PRECHECK,
        Outcome.FAILED_EXHAUSTED,
        Outcome.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakers:
    """The numbers by which a job stops by itself; 0 turns a breaker off."""

    failed_percent: float = 50
    failed_after: int = 100  # items that ended, before the percentage counts
    failed_in_a_row: int = 20
    absent_percent: float = 20
    absent_first: int = 50  # projects looked at first

    @property
    def said(self) -> str:
        """What they do, in words, for the plan."""
        parts = []
        if self.failed_percent and self.failed_after:
            parts.append(f"{self.failed_percent:g} % fail after {self.failed_after} items")
        if self.failed_in_a_row:
            parts.append(f"{self.failed_in_a_row} in a row fail")
        text = f"ends by itself if {' or '.join(parts)}" if parts else "does not end by itself"
        if self.absent_percent and self.absent_first:
            text += (
                f"; pauses if more than {self.absent_percent:g} % "
                f"of the first {self.absent_first} projects are absent, "
                f"and of a shorter list {FEW} or more"
            )
        return text

    def are_many(self, absent: int, given: int) -> bool:
        """Whether so many of a list's projects are absent that it may be the wrong list."""
        rules = self.absent_percent and self.absent_first
        return bool(rules) and absent * 100 > self.absent_percent * given

    def doubt(self, absent: int, given: int) -> str:
        """Why a list that is too short to be judged by its first projects is in doubt, or ""."""
        if given >= self.absent_first or absent < FEW or not self.are_many(absent, given):
            return ""
        return wrong_list(absent, f"{given} projects of the list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How a job's items ended so far, as far as breakers ask."""

    good: int = 0
    bad: int = 0
    in_a_row: int = 0  # bad ones since the last good one
    looked: int = 0  # projects looked at, up to `absent_first`
    absent: int = 0  # of these, not there
    asked: bool = False  # a person was asked whether this is the right list

    def ended(self, outcomes: Iterable[Outcome]) -> "Tally":
        """The tally after items ended so, in this order."""
        good, bad, in_a_row = self.good, self.bad, self.in_a_row
        for outcome in outcomes:
            if outcome in BAD:
                bad, in_a_row = bad + 1, in_a_row + 1
            elif outcome is Outcome.DELETED:
                good, in_a_row = good + 1, 0
        return replace(self, good=good, bad=bad, in_a_row=in_a_row)

    def saw(self, present: Iterable[bool], *, first: int) -> "Tally":
        """The tally after these projects were found to be there or not; the first ones alone."""
        counted = list(present)[: max(first - self.looked, 0)]
        return replace(
            self, looked=self.looked + len(counted), absent=self.absent + counted.count(False)
        )


class Trip(StrEnum):
    """What a breaker does to its job."""

    ABORT = "abort"  # it ends as failed, the rest unprocessed
    PAUSE = "pause"  # a person looks, and lets it go on or cancels it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """A breaker that stops a job, and why."""

    trip: Trip
    why: str


def judge(rules: Breakers, before: Tally, now: Tally) -> Tripped | None:
    """Which breaker stops the job after the tally went from `before` to `now`; None if none."""
    ended = now.good + now.bad
    row = rules.failed_in_a_row
    if row and now.in_a_row >= row:
        return Tripped(trip=Trip.ABORT, why=f"{now.in_a_row} items in a row failed")
    share = rules.failed_percent
    counts = share and rules.failed_after and ended >= rules.failed_after
    if counts and now.bad > before.bad and now.bad * 100 >= share * ended:
        return Tripped(trip=Trip.ABORT, why=f"{now.bad} of {ended} items failed")
    first = rules.absent_first
    if before.looked < first <= now.looked and rules.are_many(now.absent, now.looked):
        why = wrong_list(now.absent, f"first {now.looked} projects")
        return Tripped(trip=Trip.PAUSE, why=why)
    return None


def wrong_list(absent: int, of: str) -> str:
    """The question that a person is asked."""
    return f"{absent} of the {of} are not there: wrong list or wrong account?"
