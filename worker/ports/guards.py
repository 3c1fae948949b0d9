"""What guards ask of the database: holds, and what an account deleted today."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from worker.domain.holds import Hold, Holds
from worker.domain.outcomes import Outcome
from worker.ports.jobs import Item, Job, Who
from worker.ports.work import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Spared:
    """Items that holds keep from going, with the reason of each by its item id."""

    why: Mapping[int, str] = field(default_factory=dict)
    outcome: Outcome = Outcome.SKIPPED_HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Remeasured:
    """What has become of a frozen plan's guards, measured under the locks of its confirmation."""

    held: Sequence[str] = ()  # items that are held by now, in words; the first few
    holds_unreadable: str = ""
    used_today: int = 0  # items of the account that went today, or are promised to other jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHold:
    """Holds to be set: one for each id. Times are instants; no end: until removed."""

    account: str
    external_ids: Sequence[str]
    owner: str
    reason: str
    who: Who
    expires_at: datetime | None = None


class GuardStore(Protocol):
    """What a lease holder asks for the guards of an account's plans and calls."""

    def live(self, account: str) -> Holds:
        """The holds of an account as they stand; all is held if they cannot be read."""
        ...

    def over(self, account: str, items: Sequence[Item]) -> Spared:
        """Which of these items a hold keeps: their own, their project's, or a child's."""
        ...

    def skip_held(self, lease: Lease, job: Job, holds: Holds) -> int:
        """Planning: settle the job's projects that are held, or have a child that is."""
        ...

    def used_today(self, account: str, *, but: str) -> int:
        """Items of an account that went today (UTC) or are promised to jobs other than `but`."""
        ...

    def last_runs(self, policy: str, *, but: str) -> Sequence[int]:
        """Items of a policy's last runs that deleted, the newest first, without that job's."""
        ...


class HoldBook(Protocol):
    """The holds as people set, read and remove them."""

    def add(self, new: NewHold) -> Sequence[Hold]:
        """Set holds, audited."""
        ...

    def remove(self, hold_id: int, *, who: Who, why: str) -> Hold:
        """Remove a hold that is live, audited; NotFound if there is none."""
        ...

    def all(self, account: str | None, *, ended: bool) -> Sequence[Hold]:
        """The live holds, or those that ended too; the oldest first."""
        ...
