"""How fast a job goes and what to tell of it: pure, given the time."""

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.domain.text import count_of

if TYPE_CHECKING:
    from worker.ports import Counts, Job

_LOOKED_BACK = 60.0
_TOO_SOON = 10.0
"""Seconds before which no rate is told: a first burst under a rate limit says nothing."""
_EVERY = 30.0
_TENTHS = 10


class Pace:
    """The rate at which items settle, over the last minute; `now` counts seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, settled: int) -> None:
        """Take down how many are settled."""
        self._seen.append((now, settled))
        while now - self._seen[0][0] > _LOOKED_BACK:
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """Items a second; 0 if nothing moves or nothing is known yet."""
        if not self._seen:
            return 0.0
        (began, before), (now, settled) = self._seen[0], self._seen[-1]
        return (settled - before) / (now - began) if now - began >= _TOO_SOON else 0.0

    def left(self, open_items: int) -> timedelta | None:
        """How long the rest takes at this rate; None if that cannot be said."""
        rate = self.per_second
        return timedelta(seconds=min(open_items / rate, 1e9)) if rate > 0 else None


class Teller:
    """Chooses what is worth a line: news, every tenth of the job, every half minute."""

    def __init__(self) -> None:
        self._told: tuple[object, ...] = ()
        self._at = 0.0

    def is_due(self, now: float, job: "Job", counts: "Counts", workers: int) -> bool:
        """Whether to say a line now; what was said is remembered."""
        tenth = _TENTHS * (counts.total - counts.open) // max(counts.total, 1)
        waits = job.waiting_on.code if job.waiting_on else ""
        news = (job.state, waits, tenth, workers > 0)
        if news == self._told and now - self._at < _EVERY:
            return False
        self._told, self._at = news, now
        return True


def progress_line(job: "Job", counts: "Counts", pace: Pace) -> str:
    """Where the job stands, in a line: phase, share, rate and time left, outcomes."""
    from worker.domain.states import JobState
    from worker.services.report import duration

    if job.state in {JobState.PLANNING, JobState.AWAITING_CONFIRMATION}:
        return f"{job.state}: {count_of(counts.total, 'item')}"
    settled = counts.total - counts.open
    parts = [f"{job.state}: {settled:,}/{counts.total:,}"]
    if counts.total:
        parts.append(f"{settled / counts.total:.0%}")
    left = pace.left(counts.open)
    if left is not None and counts.open:
        parts += [f"{pace.per_second * 60:,.0f}/min", f"{duration(left)} left"]
    return "  ".join([*parts, outcomes_line(counts)]).rstrip()


def told_lines(job: "Job", counts: "Counts", pace: Pace, workers: int) -> list[str]:
    """How a job goes on, and what it waits for: each line says whose it is."""
    lines = [progress_line(job, counts, pace), waiting_line(job, workers)]
    return [f"{job.id}  {line}" for line in lines if line]


def outcomes_line(counts: "Counts") -> str:
    """What ended how."""
    return ", ".join(f"{outcome} {count:,}" for outcome, count in counts.by_outcome.items())


def waiting_line(job: "Job", workers: int) -> str:
    """What the job waits for; empty if it goes on, or is over."""
    from worker.domain.states import ACTIVE, FINAL, JobState, Waiting

    if job.state in FINAL:
        return ""
    if not workers and job.state in ACTIVE | {JobState.SCHEDULED}:
        return "no worker is alive: bulkdel up, or bulkdel worker"
    waits = job.waiting_on
    if waits is None or (waits.code is Waiting.WORKER and workers):
        return ""
    wake = f" (next {waits.next_wake:%H:%M:%S} UTC)" if waits.next_wake else ""
    return f"waits on {waits.code}: {waits.sentence}{wake}"
