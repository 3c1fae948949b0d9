"""The sweep: due accounts are rung, overdue plans ended, and only one process does it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.builders import EPOCH, a_job
from worker.domain.states import JobState
from worker.ports import Job, Note
from worker.services.control import PLAN_LIVES
from worker.services.sweep import sweep
from worker.testing.bell import SilentBell
from worker.testing.jobs import MemoryJobs

EVERY = timedelta(seconds=10)
NOW, SOON = timedelta(0), timedelta(seconds=3)
A_DAY_AGO = EPOCH - PLAN_LIVES - timedelta(seconds=1)


@dataclass
class DueAccounts:
    """Accounts that are due when the test says so; `steps` is the record."""

    accounts: Sequence[tuple[str, timedelta]]
    steps: list[str] = field(default_factory=list)

    def heal(self) -> int:
        self.steps.append("heal")
        return 0

    def due(self, within: timedelta) -> Sequence[tuple[str, timedelta]]:
        self.steps.append(f"due within {within.seconds} s")
        return self.accounts


def swept(
    accounts: DueAccounts, *jobs: Job, bell: SilentBell, is_mine: bool = True
) -> tuple[int, MemoryJobs]:
    there = MemoryJobs(*jobs, at=EPOCH)
    rung = sweep(accounts, there, bell, every=EVERY, is_mine=lambda: is_mine)
    return rung, there


def test_every_due_account_is_rung_when_it_is_due() -> None:
    bell, accounts = SilentBell(), DueAccounts([("acme", NOW), ("crm", SOON)])

    rung, _ = swept(accounts, bell=bell)

    assert rung == 2
    assert bell.rung == [("acme", NOW), ("crm", SOON)]


def test_lost_accounts_are_healed_before_the_due_ones_are_asked_for() -> None:
    accounts = DueAccounts([])

    swept(accounts, bell=SilentBell())

    assert accounts.steps == ["heal", "due within 10 s"]


def test_a_sweep_of_another_process_is_left_to_it() -> None:
    bell, accounts = SilentBell(), DueAccounts([("acme", NOW)])

    rung, jobs = swept(accounts, a_job(created_at=A_DAY_AGO), bell=bell, is_mine=False)

    assert (rung, bell.rung, accounts.steps, jobs.what) == (0, [], [], {})


def test_an_overdue_plan_is_ended_and_a_running_job_is_not() -> None:
    plan = a_job(JobState.AWAITING_CONFIRMATION, created_at=A_DAY_AGO, planned_at=A_DAY_AGO)
    running = a_job(id="j-2", created_at=A_DAY_AGO)

    _, jobs = swept(DueAccounts([]), plan, running, bell=SilentBell())

    ended = jobs.what["j-1"]
    assert isinstance(ended, Note)
    assert ended.columns == {"stopping": "expired"}
    assert jobs.what["j-2"] is None
