"""Any order of submissions, slices, crashes and people's decisions: the store stays consistent."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

from tests.stores import FREELY, KINDS, LENGTH, Store, seen
from worker.domain.calls import PROJECT, Action, Answer, Call, Reading, Seen
from worker.domain.outcomes import Bucket, Verdict
from worker.domain.plan import Protection
from worker.domain.retry import RetryPolicy
from worker.domain.states import FINAL, JobState
from worker.domain.steps import Step
from worker.ports import Batch, Job, Lease
from worker.providers.zoho_books import CATALOGUE
from worker.services import control
from worker.services.choose import Work, choose
from worker.services.results import Rules, result_of
from worker.store.engine import Database
from worker.store.verify import verify

TREE = {
    "p0": {},
    "p1": {"t1": "task", "u1": "user", "own1": "user"},
    "p2": {"c2": "comment", "t2": "task", "t3": "task"},
    "p3": {"own3": "user"},
}
POLICY = RetryPolicy(
    attempts=3, tries=2, reads=2, takeovers=3, looks=(timedelta(0), timedelta(seconds=10))
)
RULES = Rules(catalogue=CATALOGUE, protection=Protection(), policy=POLICY)
WHATEVER = (
    Verdict.DELETED,  # or seen: all is well
    Verdict.DELETED,
    Verdict.AMBIGUOUS,
    Verdict.REFUSED,
    Verdict.UNAVAILABLE,
    Verdict.THROTTLED,
    Verdict.NOT_SENT,
)
WHICH = st.sampled_from([0, 0, 0, 1, 2])
"""The job that is meant: the first one, of which most is there to be seen, more often."""
TURNS = 400
"""Enough for every job to come to its end once nothing goes wrong any more."""

numbers = count(1)


class Provider:
    """The projects and children there are, and how it answers."""

    def __init__(self) -> None:
        self.there = {project: dict(below) for project, below in TREE.items()}

    def answer(self, call: Call, verdict: Verdict, *, arrives: bool) -> Answer:
        """The verdict wanted, or the truth where that is a success."""
        if verdict is not Verdict.DELETED:
            if call.action is Action.DELETE and verdict is Verdict.AMBIGUOUS and arrives:
                self._delete(call)
            return Answer(verdict=verdict, error_class=verdict.value)
        if call.action is Action.DELETE:
            return Answer(verdict=Verdict.DELETED if self._delete(call) else Verdict.ABSENT)
        return self._read(call)

    def has(self, of: Seen) -> bool:
        if of.target.kind == PROJECT:
            return of.target.external_id in self.there
        return of.target.external_id in self.there.get(of.target.parent_external_id, {})

    def _delete(self, call: Call) -> bool:
        target = call.targets[0]
        if target.kind == PROJECT:
            return self.there.pop(target.external_id, None) is not None
        below = self.there.get(target.parent_external_id, {})
        return below.pop(target.external_id, None) is not None

    def _read(self, call: Call) -> Answer:
        own = call.targets[0].external_id
        if own not in self.there:
            return Answer(verdict=Verdict.ABSENT)
        children = tuple(
            seen(kind, child, own, goes_with_parent=child.startswith("own"))
            for child, kind in self.there[own].items()
            if CATALOGUE.kind(kind).source == call.source
        )
        project = seen(PROJECT, own, name=own, created="2020")
        return Answer(
            verdict=Verdict.SEEN, reading=Reading(projects=(project,), children=children)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A call under way, under the lease it left with."""

    work: Work
    job: Job
    lease: Lease


class Machine(RuleBasedStateMachine):
    """One account, at most one holder of its lease, and whatever can happen to them."""

    db: Database

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(self.db, f"a{next(numbers)}")
        self.provider = Provider()
        self.lease: Lease | None = None
        self.flying: list[Flight] = []
        self.orphans: list[Flight] = []

    def all_jobs(self) -> list[Job]:
        return list(self.store.jobs.recent(account=self.store.account, limit=100))

    def one_job(self, which: int) -> Job:
        jobs = self.all_jobs()[::-1]
        return jobs[min(which, len(jobs) - 1)]

    @initialize(ids=st.permutations(sorted(TREE)), proceed=st.booleans(), recheck=st.booleans())
    def begin(self, ids: list[str], *, proceed: bool, recheck: bool) -> None:
        """A job that is confirmed, and its first calls in flight: here it becomes interesting."""
        child = "proceed" if proceed else "stop"
        self.store.submit(*ids, cascade=KINDS, recheck=recheck, on_child_refused=child)
        while self.all_jobs()[0].state is not JobState.RUNNING:
            self._one_good_turn()
        self.take("w1")
        self.work(9)

    # --- people --------------------------------------------------------------------

    @precondition(lambda self: len(self.all_jobs()) < 4)
    @rule(
        ids=st.lists(st.sampled_from(sorted(TREE)), min_size=1, max_size=5),
        mode=st.sampled_from(["foreground", "background", "none", "proceed"]),
        dry_run=st.sampled_from([False, False, False, True]),
        recheck=st.booleans(),
    )
    def submit(self, ids: list[str], mode: str, *, dry_run: bool, recheck: bool) -> None:
        self.store.submit(
            *ids,
            cascade=() if mode == "none" else KINDS,
            background=mode == "background",
            recheck=recheck and mode in {"foreground", "proceed"},
            on_child_refused="proceed" if mode == "proceed" else "stop",
            dry_run=dry_run,
        )

    @precondition(lambda self: len(self.all_jobs()) > 1)
    @rule(which=WHICH)
    def confirm(self, which: int) -> None:
        yes = control.confirm(FREELY, actor="ann", word=None, yes=True)
        self.store.try_(self.one_job(which), yes)

    @rule(which=WHICH, soon=st.booleans())
    def pause(self, which: int, *, soon: bool) -> None:
        self.store.try_(self.one_job(which), control.pause(actor="ann"))
        if soon:
            self.store.try_(self.one_job(which), control.resume(actor="ann"))

    @rule(which=WHICH)
    def resume(self, which: int) -> None:
        self.store.try_(self.one_job(which), control.resume(actor="ann"))

    @precondition(lambda self: self.flying)
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        self.store.try_(self.one_job(which), control.cancel(actor="ann"))

    # --- a holder ------------------------------------------------------------------

    @precondition(lambda self: self.lease is None)
    @rule(owner=st.sampled_from(["w1", "w2"]))
    def take(self, owner: str) -> None:
        taken = self.store.work.take_lease(self.store.account, owner, LENGTH)
        self.lease = None if taken is None else taken.lease

    @precondition(lambda self: self.lease is not None)
    @rule(most=st.integers(1, 3))
    def work(self, most: int) -> None:
        """Load, move on what has nothing due, and open intents."""
        assert self.lease is not None
        for job in self.store.work.commit(self.lease, Batch(), LENGTH).jobs:
            works = self._works(self.lease, job)[:most]
            items = [item for one in works for item in one.items]
            self.store.work.commit(self.lease, Batch(opens=items), LENGTH)
            self.flying += [Flight(work=one, job=job, lease=self.lease) for one in works]

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 9), verdict=st.sampled_from(WHATEVER), arrives=st.booleans())
    def answer(self, which: int, verdict: Verdict, *, arrives: bool) -> None:
        assert self.lease is not None
        flight = self.flying.pop(which % len(self.flying))
        answer = self.provider.answer(flight.work.call, verdict, arrives=arrives)
        rechecked = [i.id for i in flight.work.items if i.progress.step is Step.RECHECK]
        done = result_of(
            flight.work,
            answer,
            job=self.store.jobs.get(flight.job.id),
            rules=RULES,
            known=self.store.work.children(rechecked),
            jitter=0.5,
        )
        self.store.work.commit(self.lease, Batch(done=[done]), LENGTH)

    @precondition(lambda self: self.flying)
    @rule()
    def answer_all(self) -> None:
        while self.flying:
            self.answer(0, Verdict.DELETED, arrives=True)

    @precondition(lambda self: self.lease is not None and not self.flying)
    @rule()
    def give(self) -> None:
        assert self.lease is not None
        self.store.work.give_lease(self.lease, None)
        self.lease = None

    @precondition(lambda self: self.lease is not None)
    @rule()
    def crash(self) -> None:
        self.store.kill_holder()
        self.orphans += self.flying
        self.flying, self.lease = [], None

    @precondition(lambda self: self.orphans)
    @rule(verdict=st.sampled_from(WHATEVER))
    def come_late(self, verdict: Verdict) -> None:
        """An answer comes after its holder lost the lease, or never comes at all."""
        flight = self.orphans.pop()
        answer = self.provider.answer(flight.work.call, verdict, arrives=True)
        job = self.store.jobs.get(flight.job.id)
        known = {item.id: frozenset[tuple[str, str]]() for item in flight.work.items}
        done = result_of(flight.work, answer, job=job, rules=RULES, known=known, jitter=0.5)
        self.store.work.late(flight.lease, [done])

    @rule()
    def time_passes(self) -> None:
        self.store.make_due()

    def _works(self, lease: Lease, job: Job) -> list[Work]:
        """What `services.queue` does for one job; there is no listing here."""
        store = self.store
        if job.stopping and store.ends.leave_out(lease, job, "stopped"):
            return []
        if job.state is JobState.PLANNING and not job.listed and not job.stopping:
            store.plans.end_listing(lease, job.id, read_unseen=True)
            return []
        items = store.work.load(lease, job, 20)
        if not items and not any(flight.job.id == job.id for flight in self.flying):
            self._move_on(lease, job)
        return choose(items, CATALOGUE, {job.id: job.options.cascade})

    def _move_on(self, lease: Lease, job: Job) -> None:
        if job.state is not JobState.PLANNING or job.stopping:
            self.store.ends.close(lease, job)
        elif self.store.plans.is_read(job.id):
            self.store.plans.skip_duplicates(lease, job)
            kept = self.store.freeze(lease, job)
            if kept.state is JobState.PLANNING and not kept.stopping:
                self.store.ends.close(lease, kept)

    # --- what always holds -----------------------------------------------------------

    @invariant()
    def everything_adds_up(self) -> None:
        for job in self.all_jobs():
            self.store.check_job(job)

    @invariant()
    def what_is_sent_is_in_flight(self) -> None:
        """So nothing is both sent and without a holder once the lease was taken over."""
        if self.lease is None:
            return
        items = [item for job in self.all_jobs() for item in self.store.jobs.items(job.id)]
        sent = {item.id for item in items if item.state == "sent"}
        assert sent == {item.id for flight in self.flying for item in flight.work.items}

    def teardown(self) -> None:
        """With a provider that answers, every job comes to its end, and says what is true."""
        for _ in range(TURNS):
            if all(job.state in FINAL for job in self.all_jobs()):
                break
            self._one_good_turn()
        for job in self.all_jobs():
            assert job.state in FINAL, (job.state, job.stopping, self.store.states(job))
            assert verify(self.db, job.id).is_sound
            for item in self.store.jobs.items(job.id):
                gone = item.outcome is not None and item.outcome.bucket is Bucket.SUCCEEDED
                assert not (gone and self.provider.has(item.seen)), item

    def _one_good_turn(self) -> None:
        for job in self.all_jobs():
            self.store.try_(job, control.resume(actor="ann"))
            self.store.try_(job, control.confirm(FREELY, actor="ann", word=None, yes=True))
        if self.lease is None:
            self.take("w3")
        if self.lease is None:
            return
        self.work(9)
        self.answer_all()
        self.give()
        self.time_passes()


def run(db: Database, examples: int) -> None:
    class OnThisDatabase(Machine):
        pass

    OnThisDatabase.db = db
    slowly = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],  # making a history shorter takes minutes
        suppress_health_check=list(HealthCheck),
    )
    run_machine(OnThisDatabase, settings=slowly)


def _without_waiting_for_the_disk(connection: DBAPIConnection, _entry: object) -> None:
    connection.cursor().execute("PRAGMA synchronous=OFF")


def test_any_history_is_consistent_on_sqlite(sqlite_url: str, *, full: bool) -> None:
    db = Database(sqlite_url)
    event.listen(db._here().writing, "connect", _without_waiting_for_the_disk)
    run(db, 300 if full else 15)
    db.dispose()


@pytest.mark.integration
def test_any_history_is_consistent_on_postgresql(postgresql_store: Store, *, full: bool) -> None:
    run(postgresql_store.db, 60 if full else 5)
