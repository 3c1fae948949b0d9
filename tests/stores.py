"""The store with a job in it, as tests of the store want it; and what must hold of any store."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from worker.domain.calls import PROJECT, Answer, Seen, Target
from worker.domain.errors import Refused
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.plan import word_of
from worker.domain.states import FINAL, JobState, Waiting
from worker.domain.steps import Decision, GoOn, Settle, Step
from worker.ports import (
    Batch,
    Change,
    Done,
    Item,
    Job,
    JobOptions,
    Lease,
    NewJob,
    PlanFacts,
    WaitingOn,
    Who,
)
from worker.providers.zoho_books import CATALOGUE
from worker.services import control
from worker.services.choose import call_for
from worker.store.accounts import Accounts
from worker.store.audit_log import AuditEntry, Filter, query
from worker.store.endings import Endings
from worker.store.engine import Database
from worker.store.engine import now as db_now
from worker.store.jobs import Jobs
from worker.store.models import ACCOUNTS, AUDIT, ITEMS
from worker.store.moves import ring_bell
from worker.store.plans import Plans
from worker.store.verify import verify
from worker.store.work import SqlWorkStore

ACCOUNT = "acme"
LENGTH = timedelta(seconds=30)
LONG_AGO = timedelta(hours=1)
KINDS = ("comment", "document", "task", "user")
FREELY = control.ConfirmRules(auto_confirm_max=10**6, grace_above=10**6, grace=timedelta(0))
DELETED = Answer(verdict=Verdict.DELETED, http_status=200, provider_code="0", request_id="r1")
SEEN = Answer(verdict=Verdict.SEEN, http_status=200)
GONE = Settle(outcome=Outcome.DELETED)

Children = Mapping[str, Sequence[tuple[str, str]]]
"""(kind, id) of what hangs on a project, by the project's id."""


def a_new_job(**fields: Any) -> NewJob:  # noqa: ANN401  any field of a job or of its options
    own = {name: fields.pop(name) for name in list(fields) if name in JobOptions.__slots__}
    needed: dict[str, Any] = {
        "account": ACCOUNT,
        "provider": "zoho_books",
        "action": "delete_projects",
        "options": JobOptions(**own),
        "reason": "spring cleaning",
        "who": Who(name="ann", os_user="ann", host="desk"),
    }
    return NewJob(**(needed | fields))


def seen(kind: str, external_id: str, parent: str = "", **fields: Any) -> Seen:  # noqa: ANN401  any field of what was seen
    target = Target(kind=kind, external_id=external_id, parent_external_id=parent)
    return Seen(target=target, **fields)


class Store:
    """All of the store over one database, and the steps that tests take with it."""

    def __init__(self, db: Database, account: str = ACCOUNT) -> None:
        self.db = db
        self.account = account
        self.jobs = Jobs(db)
        self.work = SqlWorkStore(db, CATALOGUE.ranks)
        self.plans = Plans(db, LENGTH)
        self.ends = Endings(db, LENGTH)
        self.accounts = Accounts(db)

    # --- given -----------------------------------------------------------------

    def submit(self, *ids: str, **fields: Any) -> Job:  # noqa: ANN401  any field of a job
        rank = CATALOGUE.rank(PROJECT)
        new = a_new_job(**({"account": self.account} | fields))
        return self.jobs.submit(new, enumerate(ids, start=1), lambda: "digest", rank).job

    def lease(self, owner: str = "w1", length: timedelta = LENGTH) -> Lease:
        taken = self.work.take_lease(self.account, owner, length)
        assert taken is not None
        return taken.lease

    def rung(self) -> Lease:
        """The lease after somebody made the account due."""
        with self.db.write() as conn:
            ring_bell(conn, self.account, db_now(conn))
        return self.lease()

    def kill_holder(self) -> None:
        """Let the account's lease run out, as if its holder had died long ago."""
        with self.db.write() as conn:
            ours = update(ACCOUNTS).where(ACCOUNTS.c.name == self.account)
            conn.execute(ours.values(lease_until=db_now(conn) - LONG_AGO))

    def taken_over(self, owner: str = "w2") -> Lease:
        self.kill_holder()
        return self.lease(owner)

    def make_due(self) -> None:
        """Let the time pass until everything deferred is due."""
        with self.db.write() as conn:
            later = update(ITEMS).where(ITEMS.c.due_at.is_not(None))
            conn.execute(later.values(due_at=db_now(conn) - LONG_AGO))

    def read(self, lease: Lease, job: Job, children: Children) -> None:
        """Read all of a job's projects back, as planning does; no listing."""
        while items := self.work.load(lease, job, 100):
            self.open(lease, *items)
            self.work.commit(lease, Batch(done=[self._read(i, children) for i in items]), LENGTH)

    def _read(self, item: Item, children: Children) -> Done:
        own = item.seen.target.external_id
        shown = seen(PROJECT, own, name=f"project {own}", created="2020-01-01")
        ready = GoOn(progress=replace(item.progress, step=Step.READY))
        below = [seen(kind, child, own) for kind, child in children.get(own, ())]
        found = tuple(replace(s, goes_with_parent=_goes(s)) for s in below)
        change = Change(item=item, decision=ready, seen=shown)
        return self.done(item, ready, SEEN, changes=(change,), children=found)

    def freeze(self, lease: Lease, job: Job, *, canary: int = 0) -> Job:
        """Arrange and freeze the plan of a job that is read."""
        self.plans.arrange(lease, job)
        measured = self.plans.measure(job)
        count = sum(measured.by_kind.values())
        plan = PlanFacts(
            hash=measured.digest,
            word=word_of(count, job.account, measured.digest),
            items=count,
            by_kind=measured.by_kind,
            complete=True,
        )
        if job.dry_run or not count:
            return self.plans.keep(lease, job, plan)
        asks = WaitingOn(code=Waiting.CONFIRMATION, sentence="waits for its word")
        last = self.plans.canary_end(job.id, canary) if canary else None
        return self.plans.freeze(lease, job, plan, waiting=asks, canary_position=last)

    def confirm(self, job: Job) -> Job:
        return self.jobs.change(job.id, control.confirm(FREELY, actor="ann", word=None, yes=True))

    def running(
        self,
        children: Children | None = None,
        *,
        canary: int = 0,
        **fields: Any,  # noqa: ANN401  any field of a job or of its options
    ) -> tuple[Lease, Job]:
        """A job whose plan was confirmed, and the lease of the worker that has it in hand."""
        tree = {"p1": ()} if children is None else children
        cascade = KINDS if any(tree.values()) else ()
        job = self.submit(*tree, **({"cascade": cascade, "recheck": False} | fields))
        lease = self.lease()
        self.read(lease, job, tree)
        self.confirm(self.freeze(lease, job, canary=canary))
        self.work.give_lease(lease, None)
        return self.lease(), self.jobs.get(job.id)

    # --- when ------------------------------------------------------------------

    def open(self, lease: Lease, *items: Item) -> None:
        self.work.commit(lease, Batch(opens=items), LENGTH)

    def done(
        self,
        item: Item,
        decision: Decision,
        answer: Answer = DELETED,
        **fields: Any,  # noqa: ANN401  any field of what is done
    ) -> Done:
        job = self.jobs.get(item.job_id)
        call = call_for(item, CATALOGUE, job.options.cascade)
        changes = (Change(item=item, decision=decision),)
        plain = Done(job_id=job.id, call=call, answer=answer, changes=changes)
        return replace(plain, **fields)

    def settle(
        self, lease: Lease, item: Item, decision: Decision = GONE, answer: Answer = DELETED
    ) -> None:
        """Open the item's intent, and commit what its call came to."""
        self.open(lease, item)
        self.land(lease, item, decision, answer)

    def land(
        self, lease: Lease, item: Item, decision: Decision = GONE, answer: Answer = DELETED
    ) -> None:
        self.work.commit(lease, Batch(done=[self.done(item, decision, answer)]), LENGTH)

    def due(self, lease: Lease, job: Job, limit: int = 100) -> Sequence[Item]:
        """What may be worked of the job as it stands now."""
        return self.work.load(lease, self.jobs.get(job.id), limit)

    def close(self, lease: Lease, job: Job) -> Job | None:
        return self.ends.close(lease, self.jobs.get(job.id))

    def stop(self, lease: Lease, job: Job, why: str = "the job was cancelled") -> int:
        """Leave everything out that can be left out; returns how many items that were."""
        number = 0
        while left := self.ends.leave_out(lease, self.jobs.get(job.id), why):
            number += left
        return number

    def cancel(self, job: Job) -> Job:
        return self.jobs.change(job.id, control.cancel(actor="ann"))

    def try_(self, job: Job, decide: control.Decide) -> None:
        """A person's decision, refused or not."""
        with suppress(Refused):
            self.jobs.change(job.id, decide)

    # --- then ------------------------------------------------------------------

    def item(self, job: Job, external_id: str, kind: str | None = None) -> Item:
        found = [
            item
            for item in self.jobs.items(job.id)
            if item.seen.target.external_id == external_id
            and kind in {None, item.seen.target.kind}
        ]
        assert len(found) == 1, f"{len(found)} items {external_id}"
        return found[0]

    def states(self, job: Job) -> dict[str, str]:
        return {i.seen.target.external_id: i.state for i in self.jobs.items(job.id)}

    def outcomes(self, job: Job) -> dict[str, Outcome | None]:
        return {i.seen.target.external_id: i.outcome for i in self.jobs.items(job.id)}

    def log(self, **wanted: Any) -> list[AuditEntry]:  # noqa: ANN401  any field of a filter
        return list(query(self.db, Filter(**wanted)))

    def check(self) -> None:
        """What holds of every store at any time: chains, outcomes and counts fit together."""
        verified = verify(self.db)
        assert verified.is_sound, verified.problems
        for job in self.jobs.recent(limit=10_000):
            self.check_job(job)

    def check_job(self, job: Job) -> None:
        """One job: an outcome if and only if settled, one entry for each, sums that add up."""
        with self.db.read() as conn:
            items = conn.execute(select(ITEMS).where(ITEMS.c.job_id == job.id)).all()
            ends = (AUDIT.c.job_id == job.id) & AUDIT.c.outcome.is_not(None)
            entries = conn.execute(select(AUDIT.c.item_id, AUDIT.c.outcome).where(ends)).all()
        settled = {item.id: item.outcome for item in items if item.state == "settled"}
        assert settled == {item.id: item.outcome for item in items if item.outcome is not None}
        assert settled == {entry.item_id: entry.outcome for entry in entries}
        assert len(settled) == len(entries)
        counts = self.jobs.counts(job.id)
        assert sum(counts.by_outcome.values()) + counts.open == counts.total == len(items)
        assert not (job.state in FINAL and counts.open)
        assert (job.finished_at is not None) == (job.state in FINAL)


def ids_of(items: Iterable[Item]) -> list[str]:
    return [item.seen.target.external_id for item in items]


def is_over(job: Job) -> bool:
    return job.finished_at is not None and job.state not in {JobState.RUNNING, JobState.PAUSED}


def _goes(child: Seen) -> bool:
    """Our own user, or a system comment, in these tests: an id that begins with `own`."""
    return child.target.external_id.startswith("own")
