"""Many at once on one account: one holder at a time, no deadlock, and everything adds up."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.stores import ACCOUNT, DELETED, FREELY, GONE, LENGTH, Store
from worker.domain.calls import PROJECT, Action, Call, Target
from worker.domain.errors import LeaseLost
from worker.domain.states import JobState
from worker.ports import Batch, Done, Job, Lease
from worker.services import control

HELD = timedelta(milliseconds=20)
"""So short that leases are taken over as often as they are given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease as somebody held it, by the database's clock."""

    token: int
    since: datetime
    until: datetime


def together(
    seconds: float, *turns: Callable[[], None], enough: Callable[[], bool] = lambda: True
) -> None:
    """Each turn again and again in a thread of its own; an error in any of them is raised.

    So long, and on a busy machine until it was `enough`, though no longer than a minute.
    """
    ends, starts = time.monotonic() + seconds, threading.Barrier(len(turns))

    def run(turn: Callable[[], None]) -> None:
        starts.wait(timeout=20)
        while time.monotonic() < ends or not (enough() or time.monotonic() > ends + 60):
            turn()

    with ThreadPoolExecutor(len(turns)) as pool:
        for future in [pool.submit(run, turn) for turn in turns]:
            future.result()


def test_an_account_never_has_two_holders(store: Store, *, full: bool) -> None:
    store.submit("p1")
    held: list[Held] = []
    lost: list[Lease] = []

    def turn() -> None:
        taken = store.work.take_lease(ACCOUNT, threading.current_thread().name, HELD)
        if taken is None:
            return
        lease, since = taken.lease, taken.lease.now
        try:
            for _ in range(random.randrange(12)):
                lease = store.work.commit(lease, Batch(), HELD).lease
            held.append(Held(token=lease.token, since=since, until=lease.now))
        except LeaseLost:
            lost.append(lease)
        if random.random() < 0.5:
            store.work.give_lease(lease, timedelta(0))

    together(10 if full else 3, turn, turn, turn, turn, enough=lambda: len(held) > 10)

    in_order = sorted(held, key=lambda one: one.token)
    assert len({one.token for one in held}) == len(held) > 10
    assert all(one.until <= two.since for one, two in pairwise(in_order))
    assert store.taken_over("w9").token > in_order[-1].token


@dataclass(slots=True)
class Worker:
    """Holds the account and works what is due, over and over."""

    store: Store
    lease: Lease
    settled: int = 0

    def turn(self) -> None:
        lease, store = self.lease, self.store
        committed = store.work.commit(lease, Batch(), LENGTH)
        for job in committed.jobs:
            if job.stopping:
                store.ends.leave_out(lease, job, "cancelled")
            items = store.work.load(lease, job, 5)
            if not items or job.state is JobState.PLANNING:
                self.move_on(job.id)
                continue
            store.work.commit(lease, Batch(opens=items), LENGTH)
            done = [store.done(item, GONE) for item in items]
            store.work.commit(lease, Batch(done=done), LENGTH)
            self.settled += len(done)
        store.work.give_lease(lease, None)
        self.lease = store.lease()

    def move_on(self, job_id: str) -> None:
        job = self.store.jobs.get(job_id)
        if job.state is JobState.PLANNING and not job.stopping:
            self.store.plans.skip_duplicates(self.lease, job)
            self.store.freeze(self.lease, job)
        else:
            self.store.ends.close(self.lease, job)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What people and other workers do meanwhile, each in a thread of its own."""

    store: Store
    worker: Worker
    jobs: int = 30

    def any_job(self) -> Job:
        return random.choice(self.store.jobs.recent(limit=self.jobs))

    def pause_and_resume(self) -> None:
        self.store.try_(self.any_job(), control.pause(actor="ann"))
        self.store.try_(self.any_job(), control.resume(actor="bob"))

    def confirm_and_cancel(self) -> None:
        yes = control.confirm(FREELY, actor="ann", word=None, yes=True)
        self.store.try_(self.any_job(), yes)
        if random.random() < 0.1:
            self.store.try_(self.any_job(), control.cancel(actor="bob"))

    def submit(self) -> None:
        if len(self.store.jobs.recent(limit=self.jobs)) < self.jobs:
            self.store.submit(*(f"q{random.randrange(5_000)}" for _ in range(50)))

    def write_late(self) -> None:
        call = Call(action=Action.DELETE, targets=(Target(kind=PROJECT, external_id="p0-1"),))
        late = [Done(job_id=self.any_job().id, call=call, answer=DELETED) for _ in range(3)]
        self.store.work.late(self.worker.lease, late)


@pytest.mark.integration
def test_a_holder_and_people_at_once_never_deadlock(
    postgresql_store: Store, *, full: bool
) -> None:
    store = postgresql_store
    for number in range(6):
        store.submit(*(f"p{number}-{k}" for k in range(400)))
    worker = Worker(store=store, lease=store.lease())
    people = People(store=store, worker=worker)

    together(
        20 if full else 5,
        worker.turn,
        people.pause_and_resume,
        people.confirm_and_cancel,
        people.submit,
        people.write_late,
        enough=lambda: worker.settled > 0,
    )

    assert worker.settled > 0


def test_a_pause_between_load_and_commit_is_seen_by_the_commit(store: Store) -> None:
    lease, job = store.running({"p1": (), "p2": ()})
    store.due(lease, job)

    store.jobs.change(job.id, control.pause(actor="ann"))

    assert store.work.commit(lease, Batch(), LENGTH).jobs == []
