"""The ports: what the services ask of the store, of providers and of doorbells."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from worker.domain.bulk import ONE_BY_ONE, Bulk
from worker.domain.calls import Answer, Call
from worker.domain.outcomes import Outcome
from worker.domain.states import ItemState
from worker.domain.steps import Progress
from worker.ports.jobs import Item, Job, PlanFacts, PlannedItems, WaitingOn
from worker.ports.work import Batch, Committed, Done, Lease, Left, Taken


class WorkStore(Protocol):
    """What a lease holder may write. Every method raises LeaseLost if the token is old."""

    def take_lease(self, account: str, owner: str, length: timedelta) -> Taken | None:
        """Take the account's lease if it is free or dead; None if somebody holds it.

        None as well if the account is due later than in a moment: whoever rings for a reason
        makes it due.

        Takes back what a dead holder left open: every open intent is written down as
        `attempt.lost` and its item made due again (a deletion with a look first). Also moves
        scheduled jobs whose time has come to `running`.
        """
        ...

    def commit(self, lease: Lease, batch: Batch, length: timedelta) -> Committed:
        """Fence and renew the lease, settle, write audit entries and open intents: atomically.

        What follows from settled items is settled in the same transaction: the next kind of
        a project's children, the project itself, children that went with it.
        """
        ...

    def load(self, lease: Lease, job: Job, limit: int) -> Sequence[Item]:
        """Items of a job due now, in order; never one with an open intent."""
        ...

    def children(self, item_ids: Sequence[int]) -> Mapping[int, frozenset[tuple[str, str]]]:
        """The planned children of projects, as (kind, external id) by the project's item id."""
        ...

    def match(self, job_id: str, external_ids: Sequence[str]) -> Sequence[Item]:
        """The job's own open projects among these ids."""
        ...

    def late(self, lease: Lease, done: Sequence[Done]) -> None:
        """Write calls down whose lease was lost meanwhile: they count, their outcome does not."""
        ...

    def give_lease(
        self,
        lease: Lease,
        wake_after: timedelta | None,
        waiting: Mapping[str, WaitingOn] | None = None,
    ) -> timedelta | None:
        """Give the lease back, and say what jobs wait for; returns when the account is due again.

        None: never, or the lease is somebody else's by now and nothing was written.
        `wake_after` counts from now: nothing can be done before. None: the store says when the
        next item is due. A bell rung since the lease was taken wins over both.
        """
        ...


class PlanStore(Protocol):
    """What planning asks of the database besides the group commit."""

    def is_read(self, job_id: str) -> bool:
        """Whether no item waits to be read any more."""
        ...

    def unseen(self, job_id: str) -> int:
        """How many open projects no listing and no read has shown so far."""
        ...

    def skip_protected(self, lease: Lease, job: Job, ids: Sequence[str]) -> None:
        """Settle the job's projects that have a protected id."""
        ...

    def end_listing(
        self, lease: Lease, job_id: str, *, read_unseen: bool, count: bool = False
    ) -> None:
        """Have the listing done with; if asked, what it did not show is read by itself.

        With `count` all projects of the account are listed after it, to count them.
        """
        ...

    def skip_duplicates(self, lease: Lease, job: Job) -> int:
        """Settle up to a thousand items that another live job holds; returns how many."""
        ...

    def keep_projects(self, lease: Lease, job: Job) -> Job:
        """Take the open projects out of a cleanup's items; `plan.kept` of the job counts them."""
        ...

    def arrange(self, lease: Lease, job: Job, *, by_chunks: bool = False) -> None:
        """Put the items in order: the first kind of each project may go, the rest is blocked."""
        ...

    def measure(self, job: Job) -> PlannedItems:
        """Count and hash the plan's open items, streamed in the order in which they go."""
        ...

    def canary_end(self, job_id: str, projects: int) -> int | None:
        """The input position of the last of the first `projects` open projects."""
        ...

    def freeze(
        self,
        lease: Lease,
        job: Job,
        plan: PlanFacts,
        *,
        waiting: WaitingOn,
        canary_position: int | None,
        bulk: Bulk = ONE_BY_ONE,
    ) -> Job:
        """Write the plan down and let it wait for its word."""
        ...

    def keep(self, lease: Lease, job: Job, plan: PlanFacts) -> Job:
        """Write down the plan of a job that ends here: a dry run, or nothing left to delete."""
        ...

    def doubt(self, lease: Lease, job: Job, why: str) -> Job:
        """Pause a job to ask a person whether its list is the right one; once."""
        ...

    def fail(self, lease: Lease, job: Job, why: str) -> None:
        """Bring a job to its end as `plan_failed`; nothing happens if a person moved it."""
        ...


class ChunkStore(Protocol):
    """What the bulk delete of a job asks of the database besides the group commit."""

    def items(self, ids: Sequence[int]) -> Sequence[Item]:
        """These items, in order of their ids."""
        ...

    def left(self, job_id: str) -> Left:
        """How many items have not gone by a chunk yet, and how many wait for the proof."""
        ...

    def has_unsent(self, job_id: str) -> bool:
        """Whether a project is open that no unanswered call of ours may have deleted."""
        ...

    def pick(self, job_id: str, offset: int, count: int) -> Sequence[Item]:
        """Items that go by chunks, in order, from the `offset`-th on."""
        ...

    def unproven(self, job_id: str) -> Sequence[Item]:
        """The items that wait for the proof."""
        ...

    def write(
        self,
        lease: Lease,
        job_id: str,
        bulk: Bulk,
        items: Mapping[int, tuple[ItemState, Progress]],
        *,
        why: str = "",
    ) -> None:
        """Write down where a job stands with its chunks, and items by id; audited if `why`."""
        ...

    def settle_gone(self, lease: Lease, job: Job, why: str) -> int:
        """Settle up to a thousand items that wait for the proof as deleted; returns how many."""
        ...

    def turn_back(self, lease: Lease, job: Job, why: str) -> None:
        """Have the job planned anew, one by one; nothing happens if a person moved it."""
        ...


class EndStore(Protocol):
    """The moves a lease holder makes for jobs that have nothing due."""

    def leave_out(self, lease: Lease, job: Job, why: str) -> int:
        """Settle up to a thousand items as `unprocessed`; returns how many there were."""
        ...

    def spare(
        self,
        lease: Lease,
        job: Job,
        items: Sequence[Item],
        why: Mapping[int, str],
        *,
        outcome: Outcome = Outcome.SKIPPED_PROTECTED,
    ) -> None:
        """Settle items, none of them under way, as spared: `why` by item id."""
        ...

    def kin(self, projects: Sequence[int]) -> Sequence[Item]:
        """These projects, by their item ids, and the open children that go with them."""
        ...

    def close(self, lease: Lease, job: Job) -> Job | None:
        """Move a job on that has nothing due; the job as moved, None if it stays."""
        ...


class AccountStore(Protocol):
    """What is known of accounts beside their work."""

    def park(self, lease: Lease, *, code: str, text: str, secret: str) -> None:
        """Stop the account until its credentials are mended; audited on its chain."""
        ...

    def unpark(self, account: str, *, actor: str, why: str) -> bool:
        """Let a parked account go on, audited; False if it was not parked."""
        ...

    def is_alone(self, account: str) -> bool:
        """Whether no other account is due now."""
        ...


class DoorBell(Protocol):
    """Says "look here" to the workers. May be lost, doubled or late without harm."""

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        """Ask for a slice of this account. Never raises: the sweep is the net below."""
        ...


class Provider(Protocol):
    """One account's connection to its provider."""

    async def perform(self, call: Call) -> Answer:
        """Make one call. A failed call is an answer too; nothing is raised for it."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...
