"""What holds a running job up by itself: the rest after its canary, and its hours."""

from datetime import datetime

from worker.domain.states import Waiting
from worker.ports import Job, WaitingOn


def held_up(job: Job, now: datetime) -> WaitingOn | None:
    """What the job waits for before it may make another call; None if for nothing."""
    opens = job.opens_at(now)
    if opens <= now:
        return None
    if job.canary_until is not None and opens == job.canary_until:
        sentence = f"its canary went well; the rest goes at {opens:%Y-%m-%d %H:%M:%S} UTC"
        return WaitingOn(code=Waiting.GRACE, sentence=sentence, next_wake=opens)
    sentence = f"outside of its hours, {job.knobs.hours}"
    return WaitingOn(code=Waiting.WINDOW, sentence=sentence, next_wake=opens)
