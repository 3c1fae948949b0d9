"""The net below the doorbells: due accounts are rung, lost ones healed, overdue plans ended."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from worker.ports import DoorBell, Job
from worker.services import control

LEASE_SHARE = 0.95
"""The sweep's lease is a little shorter than its interval, so that its holder keeps it."""


class SweepAccounts(Protocol):
    """What the sweep asks of the account rows."""

    def heal(self) -> int:
        """Make accounts due that have live work and no time set."""
        ...

    def due(self, within: timedelta) -> Sequence[tuple[str, timedelta]]:
        """Accounts nobody works that are due soon, and in how long."""
        ...


class SweepJobs(Protocol):
    """What the sweep asks of the jobs."""

    def overdue(self, age: timedelta) -> Sequence[Job]:
        """Jobs that have been in planning, or waiting for a person, for longer than `age`."""
        ...

    def change(self, job_id: str, decide: control.Decide) -> Job:
        """Move a job as `decide` says."""
        ...


def sweep(
    accounts: SweepAccounts,
    jobs: SweepJobs,
    bell: DoorBell,
    *,
    every: timedelta,
    is_mine: Callable[[], bool],
) -> int:
    """One sweep, if it is this process' turn; returns how many accounts were rung."""
    if not is_mine():
        return 0
    for job in jobs.overdue(control.PLAN_LIVES):
        jobs.change(job.id, control.overdue)
    accounts.heal()
    due = accounts.due(every)
    for account, after in due:
        bell.ring(account, after)
    return len(due)
