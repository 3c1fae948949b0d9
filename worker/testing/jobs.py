"""Jobs and submissions in memory, for what is decided about them outside a lease."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from worker.ports import Job, Move, NewJob, Note, Submitted


class _Decide(Protocol):
    def __call__(self, job: Job, at: datetime, /) -> Move | Note | None: ...


class _Digest(Protocol):
    def __call__(self) -> str: ...


class MemoryJobs:
    """What a sweep, a person and a submission ask of the jobs; `what` is the record of changes.

    Ids are counted as they stream by and not kept. Nothing is kept of a submission that raises.
    """

    def __init__(self, *jobs: Job, at: datetime) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.what: dict[str, Move | Note | None] = {}
        self.submitted: list[NewJob] = []
        self.ids_seen = 0
        self.digests: list[str] = []
        self._at = at

    def overdue(self, age: timedelta) -> Sequence[Job]:
        return [job for job in self.jobs.values() if self._at - job.created_at > age]

    def change(self, job_id: str, decide: _Decide) -> Job:
        self.what[job_id] = decide(self.jobs[job_id], self._at)
        return self.jobs[job_id]

    def submit(
        self, new: NewJob, ids: Iterable[tuple[int, str]], digest: _Digest, rank: int
    ) -> Submitted:
        for _ in ids:
            self.ids_seen += 1
        self.digests.append(digest())
        self.submitted.append(new)
        first = next(iter(self.jobs.values()))
        job = replace(first, key=new.key, account=new.account, priority=rank)
        return Submitted(job=job, is_new=True)
