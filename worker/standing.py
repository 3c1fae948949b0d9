"""How the policies stand: what is next, what became of the last slots, and what is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from worker.bootstrap import Desk
from worker.config.sections import Policy
from worker.domain.errors import BulkdelError
from worker.policies import check_policy, schedule_of
from worker.ports import Job, PolicyRow, RunRow, SlotEnd, SlotRow
from worker.services.policies import overdue
from worker.store.policies import Policies

NEXT = 5
LOOKED_BACK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a policy, and the slot it stands for; none if it was by hand."""

    job: Job
    slot: datetime | None
    outcomes: str  # of its items, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One policy: its schedule, its coming slots, its last ones and runs, and its alarms."""

    policy: Policy
    words: str  # its schedule in English
    next: tuple[datetime, ...]
    known: bool  # a beat has seen it
    last: SlotRow | None = None
    runs: tuple[Run, ...] = ()  # the last by hand, if none came after it; the last by schedule
    missed: int = 0  # slots, ever
    last_missed: SlotRow | None = None  # among the last twenty
    overdue: datetime | None = None  # it should have run then, and nobody decided about it
    fault: str = ""  # why no run of it could be submitted

    @property
    def alarm(self) -> str:
        """What is wrong; empty if nothing is."""
        if self.fault:
            return self.fault
        if self.overdue is not None:
            return f"was due at {self.overdue:%Y-%m-%d %H:%M:%S} UTC, and did not run"
        if self.last is not None and self.last.ended is SlotEnd.MISSED:
            return f"missed {self.last.slot:%Y-%m-%d %H:%M:%S} UTC: {self.last.why}"
        return ""


def standings(desk: Desk) -> Iterator[Standing]:
    """Every policy of the file, in its order."""
    config = desk.config
    if not config.policies:
        return
    store = Policies(desk.db)
    now, rows = store.all()
    for policy in config.policies.values():
        yield _standing(desk, policy, rows.get(policy.name), now)


def _standing(desk: Desk, policy: Policy, row: PolicyRow | None, now: datetime) -> Standing:
    schedule, store, fault = schedule_of(policy), Policies(desk.db), ""
    try:
        check_policy(desk.config, policy, now)
    except BulkdelError as error:
        fault = error.what
    slots = store.slots(policy.name, LOOKED_BACK)
    return Standing(
        policy=policy,
        words=schedule.words(),
        next=tuple(islice(schedule.after(now), NEXT)),
        known=row is not None,
        last=slots[0] if slots else None,
        runs=tuple(_run(desk, one) for one in store.newest_runs(policy.name)),
        missed=store.misses(policy.name),
        last_missed=next((slot for slot in slots if slot.ended is SlotEnd.MISSED), None),
        overdue=None if row is None else overdue(row.schedule, row.through, now),
        fault=fault,
    )


def _run(desk: Desk, row: RunRow) -> Run:
    counts = desk.jobs.counts(row.job_id).by_outcome
    outcomes = ", ".join(f"{outcome} {count:,}" for outcome, count in counts.items())
    return Run(job=desk.jobs.get(row.job_id), slot=row.slot, outcomes=outcomes)
