"""A store in memory for one account whose jobs are planned: single deletes, looks and endings.

It knows nothing of children, plans and audit chains; those are proven on the real store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from worker.domain.errors import LeaseLost
from worker.domain.outcomes import Outcome
from worker.domain.states import ACTIVE, PAUSABLE, ItemState, JobState, check_move
from worker.domain.steps import GoOn, Settle, Step
from worker.ports import (
    AccountRow,
    Batch,
    Change,
    Committed,
    Done,
    Item,
    Job,
    Lease,
    ListingProgress,
    Taken,
    WaitingOn,
)

_LATER = (ItemState.DEFERRED, ItemState.VERIFYING)


class MemoryStore:
    """Keeps the contracts of WorkStore, EndStore and AccountStore for planned jobs.

    `batches`, `done`, `lates` and `paused` are its record; `on_commit` is told of a batch once it
    is in.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        items: Sequence[Item],
        *,
        clock: Callable[[], datetime],
        on_commit: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.items = {item.id: item for item in items}
        self.account = AccountRow(name=jobs[0].account)
        self.others_wait = False
        self.batches: list[Batch] = []
        self.done: list[Done] = []
        self.lates: list[Done] = []
        self.paused: list[tuple[str, str]] = []  # job ids, and why
        self.waiting: dict[str, WaitingOn] = {}
        self.on_lost: Callable[[], None] = lambda: None
        self._clock = clock
        self._on_commit = on_commit
        self._listing: set[str] = set()  # jobs that have a page under way
        self._token = 0
        self._until: datetime | None = None

    def change(self, job_id: str, **fields: JobState | str | None) -> None:
        """What somebody else does to a job meanwhile."""
        self.jobs[job_id] = replace(self.jobs[job_id], **fields)  # type: ignore[arg-type]  # the test says what it sets

    def steal(self) -> None:
        """Somebody else takes the lease over."""
        self._token += 1

    def take_lease(self, account: str, owner: str, length: timedelta) -> Taken | None:
        now = self._clock()
        if self._until is not None and self._until > now:
            return None
        self._token += 1
        self._until = now + length
        self._listing.clear()
        lease = Lease(
            account=account, owner=owner, token=self._token, until=self._until, now=now, bell=0
        )
        return Taken(lease=lease, row=self.account, jobs=self._active())

    def commit(self, lease: Lease, batch: Batch, length: timedelta) -> Committed:
        lease = self._fenced(lease, length)
        for one in batch.done:
            self.done.append(one)
            if one.listing is not None:
                self._listing.discard(one.job_id)
                self.jobs[one.job_id] = _listed(self.jobs[one.job_id], one.listing, lease.now)
            for change in one.changes:
                self.items[change.item.id] = _changed(change, lease.now)
        opened = [item for item in batch.opens if _may_go(item, self.jobs.get(item.job_id))]
        listing = [one for one in batch.listing if _may_list(self.jobs.get(one))]
        self._open(opened, listing)
        self.batches.append(batch)
        committed = Committed(
            lease=lease,
            jobs=self._active(),
            opened=frozenset(item.id for item in opened),
            listing=frozenset(listing),
        )
        self._on_commit(batch)
        return committed

    def _open(self, items: Sequence[Item], listing: Sequence[str]) -> None:
        for item in items:
            if self.items[item.id].state not in {ItemState.PENDING, *_LATER}:
                raise RuntimeError("an intent was to be opened for an item that is not open")
            self.items[item.id] = replace(item, state=ItemState.SENT, due_at=None)
        self._listing.update(listing)

    def load(self, lease: Lease, job: Job, limit: int) -> Sequence[Item]:
        last = job.canary_position
        due = [
            item
            for item in self.items.values()
            if item.job_id == job.id
            and (_is_ready(item, lease.now))
            and (not job.stopping or item.progress.step is Step.LOOK)
            and (job.state is not JobState.PLANNING or item.progress.step is Step.READ)
            and (last is None or item.position <= last)
        ]
        return sorted(due, key=lambda item: item.position)[:limit]

    def children(self, item_ids: Sequence[int]) -> Mapping[int, frozenset[tuple[str, str]]]:
        return dict.fromkeys(item_ids, frozenset())

    def match(self, job_id: str, external_ids: Sequence[str]) -> Sequence[Item]:
        return [
            item
            for item in self.items.values()
            if item.job_id == job_id
            and item.state != ItemState.SETTLED
            and item.seen.target.external_id in external_ids
        ]

    def late(self, lease: Lease, done: Sequence[Done]) -> None:  # noqa: ARG002  late means: the lease does not count
        self.lates.extend(done)

    def give_lease(
        self,
        lease: Lease,
        wake_after: timedelta | None,
        waiting: Mapping[str, WaitingOn] | None = None,
    ) -> timedelta | None:
        if lease.token != self._token:
            return None
        for job_id, waits in (waiting or {}).items():
            self.waiting[job_id] = waits
            self.jobs[job_id] = replace(self.jobs[job_id], waiting_on=waits)
        self._until = None
        return wake_after

    def open_intents(self, account: str) -> int:
        """How many calls of an account may be under way now."""
        mine = {job.id for job in self.jobs.values() if job.account == account}
        sent = [
            item
            for item in self.items.values()
            if item.job_id in mine and item.state == ItemState.SENT
        ]
        return len(sent) + len(self._listing & mine)

    def pause(self, job_id: str, why: str) -> None:
        """A guard's pause, while the job may be paused."""
        job = self.jobs[job_id]
        if job.state in PAUSABLE and not job.stopping:
            self.paused.append((job_id, why))
            self.change(job_id, state=JobState.PAUSED, paused_from=job.state)

    def leave_out(self, lease: Lease, job: Job, why: str) -> int:
        self._fenced(lease, timedelta(0))
        at_rest = (ItemState.PENDING, ItemState.BLOCKED, ItemState.DEFERRED)
        left = [
            item
            for item in self.items.values()
            if item.job_id == job.id
            and item.state in at_rest
            and item.progress.step is not Step.LOOK
        ]
        for item in left:
            self.items[item.id] = _settled(item, Outcome.UNPROCESSED, why)
        return len(left)

    def spare(
        self,
        lease: Lease,
        job: Job,
        items: Sequence[Item],
        why: Mapping[int, str],
        *,
        outcome: Outcome = Outcome.SKIPPED_PROTECTED,
    ) -> None:
        self._fenced(lease, timedelta(0))
        for item in items:
            there = self.items[item.id]
            assert there.job_id == job.id  # noqa: S101  a double checks its caller
            self.items[item.id] = _settled(there, outcome, why[item.id])

    def kin(self, projects: Sequence[int]) -> Sequence[Item]:
        return [
            item
            for item in self.items.values()
            if item.id in projects
            or (
                item.parent_item_id in projects
                and item.seen.goes_with_parent
                and item.state != ItemState.SETTLED
            )
        ]

    def close(self, lease: Lease, job: Job) -> Job | None:
        self._fenced(lease, timedelta(0))
        mine = [item for item in self.items.values() if item.job_id == job.id]
        if any(item.state != ItemState.SETTLED for item in mine):
            return None
        now = self.jobs[job.id]
        if (now.state, now.stopping) != (job.state, job.stopping):
            return None
        to = JobState(job.stopping) if job.stopping else JobState.SUCCEEDED
        check_move(job.state, to)
        self.jobs[job.id] = replace(self.jobs[job.id], state=to, stopping="")
        return self.jobs[job.id]

    def park(self, lease: Lease, *, code: str, text: str, secret: str) -> None:
        self._fenced(lease, lease.until - lease.now)
        self.account = replace(
            self.account,
            parked_code=code,
            parked_text=text,
            parked_secret=secret,
            parked_at=self._clock(),
        )

    def unpark(self, account: str, *, actor: str, why: str) -> bool:  # noqa: ARG002  nobody reads the audit of a double
        was_parked = bool(self.account.parked_code) and account == self.account.name
        self.account = AccountRow(name=self.account.name)
        return was_parked

    def is_alone(self, account: str) -> bool:  # noqa: ARG002  there is one account
        return not self.others_wait

    def _active(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.state in ACTIVE or job.stopping]

    def _fenced(self, lease: Lease, length: timedelta) -> Lease:
        if lease.token != self._token:
            self.on_lost()
            raise LeaseLost("the lease went to another worker")
        now = self._clock()
        self._until = now + length
        return replace(lease, now=now, until=self._until)


def _may_go(item: Item, job: Job | None) -> bool:
    if job is None or job.state not in ACTIVE:
        return False
    return not job.stopping or item.progress.step is Step.LOOK


def _may_list(job: Job | None) -> bool:
    return job is not None and job.state is JobState.PLANNING and not job.stopping


def _listed(job: Job, listing: ListingProgress, now: datetime) -> Job:
    return replace(
        job,
        list_cursor=listing.cursor,
        list_pages=listing.pages,
        list_tries=listing.tries,
        list_due_at=now + listing.after if listing.after else None,
        bulk=listing.bulk or job.bulk,
        plan=replace(
            job.plan,
            strays=job.plan.strays + listing.strays,
            believed=job.plan.believed + listing.believed,
        ),
    )


def _is_ready(item: Item, now: datetime) -> bool:
    is_due = item.due_at is not None and item.due_at <= now
    return item.state == ItemState.PENDING or (item.state in _LATER and is_due)


def _changed(change: Change, now: datetime) -> Item:
    match change.decision:
        case Settle() as end:
            return _settled(change.item, end.outcome, end.reason)
        case GoOn() as on:
            due = None if on.state is ItemState.PENDING else now + on.after
            return replace(change.item, progress=on.progress, state=on.state, due_at=due)


def _settled(item: Item, outcome: Outcome, reason: str) -> Item:
    return replace(item, state=ItemState.SETTLED, outcome=outcome, reason=reason, due_at=None)
