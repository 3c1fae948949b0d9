"""Which slots of a policy are run, and which are missed: pure decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from worker.domain.schedule import Schedule

LATE_AFTER = timedelta(seconds=60)
"""A slot nobody has decided by then is an alarm: no beat, no broker or no worker."""
NEW_WITHIN = timedelta(seconds=60)
"""A policy that is seen for the first time has no slots from before, but for so long."""
AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to become of the slots that are due: at most one is run, the newest."""

    missed: Sequence[tuple[datetime, str]] = ()
    fire: datetime | None = None
    is_all: bool = True  # False: there are more than can be decided at once


def decide(schedule: Schedule, through: datetime, now: datetime, start_within: timedelta) -> Due:
    """Decide the slots later than `through` that are due by now.

    A run clears all that there is to clear, so a slot's time to start ends when the next one is
    due; and at the latest after `start_within`.
    """
    due = list(islice(schedule.between(through, now), AT_ONCE + 1))
    if not due:
        return Due()
    *older, newest = due
    missed = [(slot, "nothing started it before the next one was due") for slot in older]
    if len(due) > AT_ONCE:
        return Due(missed=missed, is_all=False)
    if now - newest > start_within:
        missed.append((newest, f"nothing started it within {start_within} (h:mm:ss)"))
        return Due(missed=missed)
    return Due(missed=missed, fire=newest)


def overdue(schedule: Schedule, through: datetime, now: datetime) -> datetime | None:
    """The first slot later than `through` that should have been decided by now; None if none."""
    slot = next(schedule.after(through), None)
    return slot if slot is not None and slot <= now - LATE_AFTER else None


def first_since(written: datetime, now: datetime) -> datetime:
    """From when on the slots of a policy count that is seen for the first time.

    From when its file was written; but a file that was there for long may have met a new
    database, and nothing may be deleted for a time when nobody was there.
    """
    return min(max(written, now - NEW_WITHIN), now)


def changed_at(written: datetime, through: datetime, now: datetime) -> datetime:
    """When another schedule took the place of the one that is known.

    When its file was written; where that makes no sense (its time was set), it is now.
    """
    return written if through < written <= now else now
