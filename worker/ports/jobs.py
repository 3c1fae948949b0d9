"""Jobs and items as records: what is submitted, planned, read and decided."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.domain.breakers import Tally
from worker.domain.bulk import Bulk
from worker.domain.calls import Seen
from worker.domain.hours import Hours
from worker.domain.outcomes import Outcome
from worker.domain.plan import Finding
from worker.domain.states import JobState, Waiting
from worker.domain.steps import Progress


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
    filters: Mapping[str, str] = field(default_factory=dict)  # every moment an instant
    provider_options: tuple[tuple[str, str], ...] = ()  # of each deletion, as checked
    confirms_itself: bool = False  # a policy's `confirm = "auto"`: its guard is its limit
    guard_max_items: int | None = None  # a policy's guard, checked on the plan
    guard_max_percent: float | None = None  # of the account's projects
    guard_max_times_median: float | None = None  # of the policy's last ten runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """What of a job may be set anew while it runs (JSON by field name)."""

    hours: str = ""  # in which it may make calls that delete; empty: always
    rate_share: float | None = None  # of its account's own limits, while it is worked
    day_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as submitted. `digest` is the SHA-256 of the request, for the idempotency key."""

    account: str
    provider: str
    place: str = ""  # where the account leads: API and organisation
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
    knobs: Knobs = field(default_factory=Knobs)
    policy: str | None = None  # the policy this is a run of
    slot: datetime | None = None  # which of its slots; None if a person had it run


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOn:
    """Why a job is not moving, since when, and when it is tried next."""

    code: Waiting
    sentence: str
    since: datetime | None = None
    next_wake: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another way to do what a plan does, and its price."""

    way: str  # the option that asks for it
    calls: int
    calls_by_endpoint: Mapping[str, int] = field(default_factory=dict)
    quota_share: float | None = None
    estimated_seconds: float = 0.0


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
    alternatives: tuple[Alternative, ...] = ()
    quota_share: float | None = None
    estimated_seconds: float | None = None
    finish_at: datetime | None = None
    findings: tuple[Finding, ...] = ()
    duplicates: int = 0
    kept: Mapping[str, int] = field(default_factory=dict)  # by kind: a cleanup leaves these alone
    strays: int = 0  # projects that the listing showed, and the filters leave out
    believed: int = 0  # projects selected on the provider's word alone
    complete: bool = False
    stops: tuple[str, ...] = ()  # by what the job would be held up or stopped, in words
    canary_hold: float = 0.0  # seconds that the rest waits after a canary that went well


UNLISTED = "unlisted"
"""Under this name stand the ids that are in no list, beside those of outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedItems:
    """The items of a plan in figures. `own` are those that need a call of their own."""

    digest: str
    by_kind: Mapping[str, int]
    own: Mapping[str, int]
    unlisted: int  # projects no listing or read has shown
    skipped: Mapping[Outcome, int]
    spent: int  # calls that planning made
    given: int = 0  # projects of the list, whatever became of them
    absent: int = 0  # of these, not there by their own read
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)  # first ids, by what of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as read."""

    id: str
    key: str | None
    account: str
    provider: str
    place: str = ""
    action: str
    options: JobOptions
    dry_run: bool
    state: JobState
    waiting_on: WaitingOn | None
    reason: str
    who: Who
    priority: int
    parent_job_id: str | None
    policy: str | None = None  # the policy this is a run of
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    planned_at: datetime | None
    start_at: datetime | None  # scheduled: runs from here on
    stopping: str = ""  # final state it is being brought to: cancelled, failed, expired
    paused_from: JobState | None = None
    plan: PlanFacts = field(default_factory=PlanFacts)
    bulk: Bulk = field(default_factory=Bulk)
    canary_position: int | None = None  # only items up to here go, until the canary is through
    list_cursor: str = ""  # planning: next page of the listing
    list_pages: int = 0  # planning: pages read so far
    list_tries: int = 0  # planning: reads of the next page in a row that did not answer
    list_due_at: datetime | None = None  # planning: not before
    listed: bool = False  # planning: the listing is done with
    counting: bool = False  # planning: the listing is of all projects, to count them
    account_projects: int | None = None  # all that the account has, as far as counted
    canary_until: datetime | None = None  # the canary went well; the rest goes from here on
    tally: Tally = field(default_factory=Tally)
    stop_reason: str = ""  # why it is being stopped, if not by a person
    knobs: Knobs = field(default_factory=Knobs)

    def opens_at(self, now: datetime) -> datetime:
        """When its confirmed work may go on: `now`, or later by its hours or after its canary.

        What is being stopped does not wait, and planning deletes nothing.
        """
        if self.stopping or self.state not in {JobState.RUNNING, JobState.VERIFYING}:
            return now
        rested = max(self.canary_until or now, now)
        return Hours.parse(self.knobs.hours).opens_at(rested) if self.knobs.hours else rested


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
    read_at: datetime | None = None  # when its own read last showed it
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
    waiting: WaitingOn | None = None


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


IdRows = Iterable[tuple[int, str]]
"""(line number in the input, external id), streamed."""
