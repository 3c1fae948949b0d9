"""What a lease holder hands to the store, and what it gets back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.bulk import Bulk
from worker.domain.calls import Answer, Call, Seen
from worker.domain.steps import Decision
from worker.ports.jobs import AccountRow, Item, Job


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
class Taken:
    """An account under a new lease: its row as it was before, and the jobs that may be worked."""

    lease: Lease
    row: AccountRow
    jobs: Sequence[Job]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A decision about one item, to be written."""

    item: Item
    decision: Decision
    seen: Seen | None = None  # planning: what was read of it


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingProgress:
    """How far a job's listing is, after one page. No cursor after the first: its end."""

    cursor: str
    pages: int
    tries: int = 0
    after: timedelta = timedelta(0)  # the next page, not before
    bulk: Bulk | None = None  # where the job stands with its chunks, and the trail of its pages
    projects: int = 0  # shown by the page, while all of the account are counted
    strays: int = 0  # shown by the page, though the filters asked for leave them out
    believed: int = 0  # selected by the page, though it does not show all the filters are about


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A project that filters selected; `spared` says which protection keeps it."""

    seen: Seen
    spared: str = ""


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
    listing: ListingProgress | None = None
    found: tuple[Found, ...] = ()  # planning: projects that become items


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One group commit: what came back, and the intents of the calls about to leave."""

    done: Sequence[Done] = ()
    opens: Sequence[Item] = ()
    listing: Sequence[str] = ()  # jobs whose next page is about to be asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The account after a group commit: the lease as renewed and the jobs that may be worked."""

    lease: Lease
    jobs: Sequence[Job]
    opened: frozenset[int] = frozenset()  # items whose intent was opened
    listing: frozenset[str] = frozenset()  # jobs whose next page may be asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """How many items of a job have not gone by a chunk yet, and of how many nobody knows yet."""

    unsent: int
    unproven: int  # wait for the proof
    in_doubt: int = 0  # wait for a look of their own
