"""The ports: what the services ask of the store, of providers and of doorbells.

One colour per layer: the store is synchronous, every method is one transaction, and services
call it in batches off the loop; providers and the gate are asynchronous.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from worker.domain.calls import Answer, Call, Seen
from worker.domain.decide import Decision, Progress
from worker.domain.outcomes import Outcome
from worker.domain.plan import Finding
from worker.domain.states import JobState, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who says so. `name` is a claim; the rest is what the machine knows."""

    name: str
    os_user: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a job was asked to do, as kept with it (JSON by field name)."""

    cascade: tuple[str, ...] = ()  # child kinds, in order of deletion
    background: bool = False
    recheck: bool = True
    keep_projects: bool = False
    on_child_refused: str = "stop"  # or "proceed"
    stop_timer: bool = False
    max_items: int | None = None  # raises the account's guard
    auto_confirm: bool = False  # `--yes`: enough up to the account's auto_confirm_max
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as submitted. `digest` is the SHA-256 of the request, for the idempotency key."""

    account: str
    provider: str
    action: str
    options: JobOptions
    reason: str
    who: Who
    key: str | None = None
    digest: str = ""
    dry_run: bool = False
    priority: int = 5
    not_before: datetime | None = None
    parent_job_id: str | None = None  # the job this one retries


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOn:
    """Why a job is not moving, since when, and when it is tried next."""

    code: Waiting
    sentence: str
    since: datetime | None = None
    next_wake: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """The plan as frozen (all but the items). `items` counts what is still to be deleted."""

    hash: str = ""
    word: str = ""
    items: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    calls_by_endpoint: Mapping[str, int] = field(default_factory=dict)
    calls_spent: int = 0
    quota_share: float | None = None
    estimated_seconds: float | None = None
    finish_at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    duplicates: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as read."""

    id: str
    key: str | None
    account: str
    provider: str
    action: str
    options: JobOptions
    dry_run: bool
    state: JobState
    waiting_on: WaitingOn | None
    reason: str
    who: Who
    priority: int
    parent_job_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    planned_at: datetime | None
    start_at: datetime | None  # scheduled: runs from here on
    stopping: str = ""  # final state it is being brought to: cancelled, failed, expired
    paused_from: JobState | None = None
    plan: PlanFacts = field(default_factory=PlanFacts)
    canary_position: int | None = None  # only items up to here go, until the canary is through
    list_cursor: str = ""  # planning: next page of the listing
    list_pages: int = 0  # planning: pages read so far
    list_tries: int = 0  # planning: reads of the next page in a row that did not answer
    list_due_at: datetime | None = None  # planning: not before
    listed: bool = False  # planning: the listing is done with


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How a job's items stand; the sum of `by_outcome` and `open` is `total`."""

    total: int
    open: int
    by_outcome: Mapping[Outcome, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item as loaded for work or for reading."""

    id: int
    job_id: str
    position: int
    seen: Seen  # target and what the plan shows of it
    progress: Progress
    state: str
    outcome: Outcome | None = None
    reason: str = ""
    parent_item_id: int | None = None
    due_at: datetime | None = None
    provider_code: str = ""
    http_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of a submission."""

    job: Job
    is_new: bool  # False: the key was used before for this very request


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A decision about a job: where it goes and what is written with it."""

    to: JobState
    actor: str
    why: str = ""
    waiting: WaitingOn | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A decision that leaves the job where it is, but writes something down."""

    actor: str
    why: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work an account until `until` (database time), under a fencing token."""

    account: str
    owner: str
    token: int
    until: datetime
    now: datetime
    bell: int  # rings seen so far; a later one means new work


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A decision about one item, to be written."""

    item: Item
    decision: Decision
    seen: Seen | None = None  # planning: what was read of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A call that was answered or lost: one audit entry, and what follows for its items.

    When exactly one change settles its item, the outcome stands on the call's own entry;
    otherwise each settled item gets an entry beside it.
    """

    job_id: str
    call: Call
    answer: Answer
    changes: tuple[Change, ...] = ()
    children: tuple[Seen, ...] = ()  # planning: found below changes[0].item
    listing: "ListingProgress | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingProgress:
    """How far a job's listing is, after one page. No cursor after the first: its end."""

    cursor: str
    pages: int
    tries: int = 0
    after: timedelta = timedelta(0)  # the next page, not before


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One group commit: what came back, and the intents of the calls about to leave."""

    done: Sequence[Done] = ()
    opens: Sequence[Item] = ()
    listing: Sequence[str] = ()  # jobs whose next page is about to be asked for
    waiting: Mapping[str, WaitingOn] = field(default_factory=dict)  # by job id


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The account after a group commit: the lease as renewed and the jobs that may be worked."""

    lease: Lease
    jobs: Sequence[Job]
    opened: frozenset[int] = frozenset()  # items whose intent was opened
    listing: frozenset[str] = frozenset()  # jobs whose next page may be asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedItems:
    """The items of a plan in figures. `own` are those that need a call of their own."""

    digest: str
    by_kind: Mapping[str, int]
    own: Mapping[str, int]
    unlisted: int  # projects no listing or read has shown
    skipped: Mapping[Outcome, int]
    spent: int  # calls that planning made


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account as the database knows it."""

    name: str
    lease_owner: str = ""
    lease_until: datetime | None = None
    next_wake_at: datetime | None = None
    parked_code: str = ""
    parked_text: str = ""
    parked_at: datetime | None = None
    parked_secret: str = ""  # digest of the secret that was refused


class WorkStore(Protocol):
    """What a lease holder may write. Every method raises LeaseLost if the token is old."""

    def take_lease(self, account: str, owner: str, length: timedelta) -> Lease | None:
        """Take the account's lease if it is free or dead; None if somebody holds it.

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

    def give_lease(self, lease: Lease, wake_after: timedelta | None) -> timedelta | None:
        """Give the lease back; returns when the account is due again, None if never.

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

    def end_listing(self, lease: Lease, job_id: str, *, read_unseen: bool) -> None:
        """Have the listing done with; if asked, what it did not show is read by itself."""
        ...

    def skip_duplicates(self, lease: Lease, job: Job) -> int:
        """Settle up to a thousand items that another live job holds; returns how many."""
        ...

    def arrange(self, lease: Lease, job: Job) -> None:
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
    ) -> Job:
        """Write the plan down and let it wait for its word."""
        ...

    def keep(self, lease: Lease, job: Job, plan: PlanFacts) -> Job:
        """Write down the plan of a job that ends here: a dry run, or nothing left to delete."""
        ...


class EndStore(Protocol):
    """The moves a lease holder makes for jobs that have nothing due."""

    def leave_out(self, lease: Lease, job: Job, why: str) -> int:
        """Settle up to a thousand items as `unprocessed`; returns how many there were."""
        ...

    def close(self, lease: Lease, job: Job) -> Job | None:
        """Move a job on that has nothing due; the job as moved, None if it stays."""
        ...


class AccountStore(Protocol):
    """What is known of accounts beside their work."""

    def get(self, name: str) -> AccountRow:
        """One account; an empty row if no job was ever submitted for it."""
        ...

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


IdRows = Iterable[tuple[int, str]]
"""(line number in the input, external id), streamed."""
