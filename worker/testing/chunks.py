"""The chunks' side of a store for jobs that have none: whoever asks it has taken a wrong turn."""

# ruff: noqa: ARG002 - it refuses every question, whatever it is about

from collections.abc import Mapping, Sequence

from worker.domain.bulk import Bulk
from worker.domain.states import ItemState
from worker.domain.steps import Progress
from worker.ports import Item, Job, Lease, Left

WRONG = "a job without chunks asked for them"


class NoChunks:
    """Keeps the contract of ChunkStore by refusing every question."""

    def items(self, ids: Sequence[int]) -> Sequence[Item]:
        raise AssertionError(WRONG)

    def left(self, job_id: str) -> Left:
        raise AssertionError(WRONG)

    def has_unsent(self, job_id: str) -> bool:
        raise AssertionError(WRONG)

    def pick(self, job_id: str, offset: int, count: int) -> Sequence[Item]:
        raise AssertionError(WRONG)

    def unproven(self, job_id: str) -> Sequence[Item]:
        raise AssertionError(WRONG)

    def write(
        self,
        lease: Lease,
        job_id: str,
        bulk: Bulk,
        items: Mapping[int, tuple[ItemState, Progress]],
        *,
        why: str = "",
    ) -> None:
        raise AssertionError(WRONG)

    def settle_gone(self, lease: Lease, job: Job, why: str) -> int:
        raise AssertionError(WRONG)

    def turn_back(self, lease: Lease, job: Job, why: str) -> None:
        raise AssertionError(WRONG)
