"""Guards in memory: what is held, and how much was used, is what a test says."""

from collections.abc import Sequence

from worker.domain.holds import NO_HOLDS, Holds
from worker.ports import Item, Job, Lease, Spared


class MemoryGuards:
    """Keeps the contract of GuardStore for projects without children; nothing is held at first."""

    def __init__(self) -> None:
        self.holds: Holds = NO_HOLDS
        self.used = 0
        self.runs: Sequence[int] = ()

    def live(self, account: str) -> Holds:  # noqa: ARG002  there is one account
        return self.holds

    def over(self, account: str, items: Sequence[Item]) -> Spared:  # noqa: ARG002  there is one account
        said = {item.id: self.holds.why(item.seen.target.external_id) for item in items}
        held = {item_id: why for item_id, why in said.items() if why}
        return Spared(why=held, outcome=self.holds.outcome)

    def skip_held(self, lease: Lease, job: Job, holds: Holds) -> int:  # noqa: ARG002  its items are planned
        return 0

    def used_today(self, account: str, *, but: str) -> int:  # noqa: ARG002  there is one job
        return self.used

    def last_runs(self, policy: str, *, but: str) -> Sequence[int]:  # noqa: ARG002  there is one policy
        return self.runs
