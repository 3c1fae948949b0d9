"""Following a job: bars on a terminal, lines elsewhere, until something is so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from worker.cli.errors import detachable
from worker.cli.output import Output, is_dumb, printable
from worker.cli.pace import Pace, Teller, progress_line, told_lines, waiting_line
from worker.cli.polling import poll

if TYPE_CHECKING:
    from rich.progress import Progress

    from worker.bootstrap import Desk
    from worker.ports import Counts, Job

ALIVE_WITHIN = timedelta(seconds=15)
NOBODY_AFTER = 2.0
"""Seconds after which a worker that was never seen is not waited for."""


class Why(StrEnum):
    """Why following ended."""

    DONE = "done"  # what was waited for is so
    RAN_OUT = "ran_out"  # the time given is over
    NOBODY = "nobody"  # no worker is alive


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The job as last seen, and why nobody looks any longer."""

    job: "Job"
    counts: "Counts"
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    job: "Job"
    counts: "Counts"
    workers: int


def follow(
    out: Output,
    desk: "Desk",
    job_id: str,
    until: Callable[["Job"], bool],
    *,
    within: timedelta,
    needs_worker: bool = False,
) -> Followed:
    """Look until the job is as wanted; Ctrl-C leaves it alone and says how to come back.

    With `needs_worker` it gives up after 2 s in which no worker was alive.
    """
    began, nobody = monotonic(), False

    def is_done(seen: _Seen) -> bool:
        nonlocal nobody
        nobody = needs_worker and not seen.workers and monotonic() - began > NOBODY_AFTER
        return until(seen.job) or nobody

    with detachable(job_id), _shown(out) as show:

        def look() -> _Seen:
            job = desk.jobs.get(job_id)
            seen = _Seen(job=job, counts=desk.jobs.counts(job_id), workers=workers_alive(desk))
            show(seen.job, seen.counts, seen.workers)
            return seen

        seen, in_time = poll(look, is_done, within)
    why = Why.DONE if until(seen.job) else Why.NOBODY if nobody and in_time else Why.RAN_OUT
    return Followed(job=seen.job, counts=seen.counts, why=why)


def is_over(job: "Job") -> bool:
    """Whether a job goes on no further by itself: it is final, paused, or lacks credentials."""
    from worker.cli.exits import waits_on_credentials
    from worker.domain.states import FINAL, JobState

    return job.state in FINAL or job.state is JobState.PAUSED or waits_on_credentials(job)


def is_planned(job: "Job") -> bool:
    """Whether the plan is made, or will not be made by itself."""
    from worker.domain.states import JobState

    return job.state is not JobState.PLANNING or is_over(job)


def workers_alive(desk: "Desk") -> int:
    """How many workers were seen in the last 15 s."""
    from worker.store.presence import alive

    return sum(1 for one in alive(desk.db, ALIVE_WITHIN) if one.role == "worker")


class _Show(Protocol):
    def __call__(self, job: "Job", counts: "Counts", workers: int) -> None: ...


@contextmanager
def _shown(out: Output) -> Iterator[_Show]:
    if out.on_terminal and not (out.json or is_dumb()):
        with _bars() as show:
            yield show
    else:
        yield _lines(out)


def _lines(out: Output) -> _Show:
    pace, teller = Pace(), Teller()

    def show(job: "Job", counts: "Counts", workers: int) -> None:
        now = monotonic()
        pace.note(now, counts.total - counts.open)
        if teller.is_due(now, job, counts, workers):
            for line in told_lines(job, counts, pace, workers):
                out.say(line)

    return show


@contextmanager
def _bars() -> Iterator[_Show]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
    )
    bars, pace = Progress(*columns, console=console), Pace()
    with Live(console=console, refresh_per_second=4, transient=True) as live:

        def show(job: "Job", counts: "Counts", workers: int) -> None:
            pace.note(monotonic(), counts.total - counts.open)
            _set_bars(bars, job, counts)
            line = Text(printable(progress_line(job, counts, pace)))
            waits = Text(printable(waiting_line(job, workers)), style="yellow")
            live.update(Group(bars, line, waits))

        yield show


def _set_bars(bars: "Progress", job: "Job", counts: "Counts") -> None:
    """A bar for the phase the job is in; the bars of earlier phases stay, full."""
    from worker.domain.states import JobState

    planning = job.state is JobState.PLANNING
    phase = "plan" if planning else "delete"
    known = {task.description: task.id for task in bars.tasks}
    for task in bars.tasks:
        if task.description != phase:
            bars.update(task.id, total=1, completed=1)
    if phase not in known:
        known[phase] = bars.add_task(phase, total=None)
    if not planning:
        settled = counts.total - counts.open
        bars.update(known[phase], total=max(counts.total, 1), completed=settled)
