"""The planner's side of a store in memory: what it is told to find, and what it did with it."""

from collections.abc import Sequence
from dataclasses import replace

from worker.domain.bulk import ONE_BY_ONE, Bulk
from worker.domain.states import JobState
from worker.ports import Job, Lease, PlanFacts, PlannedItems, WaitingOn
from worker.testing.store import MemoryStore


class MemoryPlans:
    """Keeps the contract of PlanStore for a job whose items are all read; `steps` is its record.

    `duplicates` says how many of them each search for duplicates finds.
    """

    def __init__(
        self,
        store: MemoryStore,
        items: PlannedItems,
        *,
        missing: int = 0,
        duplicates: Sequence[int] = (),
    ) -> None:
        self.steps: list[str] = []
        self._store = store
        self._items = items
        self._missing = missing
        self._duplicates = list(duplicates)

    def is_read(self, job_id: str) -> bool:  # noqa: ARG002  all items are
        return True

    def unseen(self, job_id: str) -> int:  # noqa: ARG002  there is one job
        return self._missing

    def skip_protected(self, lease: Lease, job: Job, ids: Sequence[str]) -> None:  # noqa: ARG002  the record says which
        self.steps.append(f"skip_protected {' '.join(ids)}")

    def end_listing(
        self,
        lease: Lease,  # noqa: ARG002  there is one lease
        job_id: str,
        *,
        read_unseen: bool,
        count: bool = False,
    ) -> None:
        self.steps.append("end_listing, read the rest" if read_unseen else "end_listing")
        job = replace(self._store.jobs[job_id], listed=not count, counting=count)
        again = replace(job, list_cursor="", list_pages=0, account_projects=0)
        self._store.jobs[job_id] = again if count else job

    def skip_duplicates(self, lease: Lease, job: Job) -> int:  # noqa: ARG002  there is one job
        self.steps.append("skip_duplicates")
        return self._duplicates.pop(0) if self._duplicates else 0

    def keep_projects(self, lease: Lease, job: Job) -> Job:  # noqa: ARG002  there is one job
        self.steps.append("keep_projects")
        return job

    def arrange(self, lease: Lease, job: Job, *, by_chunks: bool = False) -> None:  # noqa: ARG002  there is one job
        self.steps.append("arrange by chunks" if by_chunks else "arrange")

    def measure(self, job: Job) -> PlannedItems:  # noqa: ARG002  there is one job
        self.steps.append("measure")
        return self._items

    def canary_end(self, job_id: str, projects: int) -> int | None:  # noqa: ARG002  there is one job
        return projects

    def freeze(
        self,
        lease: Lease,  # noqa: ARG002  there is one lease
        job: Job,
        plan: PlanFacts,
        *,
        waiting: WaitingOn,
        canary_position: int | None,
        bulk: Bulk = ONE_BY_ONE,
    ) -> Job:
        self.steps.append("freeze")
        if self._has_moved(job):
            return self._store.jobs[job.id]
        frozen = replace(
            job,
            state=JobState.AWAITING_CONFIRMATION,
            plan=plan,
            waiting_on=waiting,
            canary_position=canary_position,
            bulk=bulk,
        )
        self._store.jobs[job.id] = frozen
        return frozen

    def keep(self, lease: Lease, job: Job, plan: PlanFacts) -> Job:  # noqa: ARG002  there is one lease
        self.steps.append("keep")
        if self._has_moved(job):
            return self._store.jobs[job.id]
        kept = replace(job, plan=plan, stopping=JobState.SUCCEEDED.value if job.dry_run else "")
        self._store.jobs[job.id] = kept
        return kept

    def doubt(self, lease: Lease, job: Job, why: str) -> Job:  # noqa: ARG002  there is one lease
        self.steps.append(f"doubt {why}")
        if self._has_moved(job):
            return self._store.jobs[job.id]
        paused = replace(job, state=JobState.PAUSED, tally=replace(job.tally, asked=True))
        self._store.jobs[job.id] = paused
        return paused

    def fail(self, lease: Lease, job: Job, why: str) -> None:  # noqa: ARG002  there is one lease
        self.steps.append(f"fail {why}")
        if not self._has_moved(job):
            self._store.change(job.id, stopping=JobState.PLAN_FAILED.value, stop_reason=why)

    def _has_moved(self, job: Job) -> bool:
        now = self._store.jobs[job.id]
        return (now.state, now.stopping) != (job.state, job.stopping)
