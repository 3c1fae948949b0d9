"""One simulated history: two workers, lossy doorbells, crashes at every await."""

import asyncio
import gc
import shutil
import sqlite3
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import LRUCache

from tests.simulation.clockwork import HERE, Clockwork, Process
from tests.simulation.judgement import judged
from tests.simulation.world import DEADLINE, World
from tests.stores import a_new_job
from worker.domain.calls import PROJECT, Action, Call
from worker.domain.errors import BulkdelError
from worker.domain.limits import Purse
from worker.domain.plan import Protection
from worker.domain.retry import RetryPolicy
from worker.domain.states import FINAL
from worker.ports import Job
from worker.providers.zoho_books import CATALOGUE
from worker.services import control
from worker.services.execute import Pulses, run_slice
from worker.services.sweep import sweep
from worker.services.tools import AccountFacts, Tools
from worker.store import presence
from worker.store.accounts import Accounts
from worker.store.audit_log import calls_since, refusals_since
from worker.store.chunks import Chunks
from worker.store.endings import Endings
from worker.store.engine import Database
from worker.store.holds import SqlGuards
from worker.store.jobs import Jobs
from worker.store.plans import Plans
from worker.store.work import SqlWorkStore
from worker.testing.gate import CountingGate

ACCOUNT = "acme"
LEASE = timedelta(seconds=DEADLINE + 15)
SWEEP = timedelta(seconds=10)
HOURS = 8.0
"""Hours of simulated time in which every job must have ended; looks alone take over one."""
_COMPILED: MutableMapping[Any, Any] = LRUCache(2000)
FREELY = control.ConfirmRules(auto_confirm_max=10**6, grace_above=10**6, grace=timedelta(0))


class SimGate(CountingGate):
    """The counting gate, with awaits at which a process can die."""

    clock: Clockwork

    async def begin(self) -> None:
        await self.clock.step("asking the gate")
        if self.clock.rng.random() < 0.002:
            self.clock.note("the gate forgets")
            self.forget()
        await super().begin()

    async def exchange(self, purses, *, back, want, lease):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  the port's own types
        await self.clock.step("taking permits")
        return await super().exchange(purses, back=back, want=want, lease=lease)


@dataclass(slots=True)
class History:
    """Everything of one seed."""

    seed: int
    folder: Path
    template: Path
    db: Database = field(init=False)
    clock: Clockwork = field(init=False)
    world: World = field(init=False)
    gate: SimGate = field(init=False)
    rng: Random = field(init=False)
    processes: list[Process] = field(default_factory=list)
    frozen: int = 0

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.clock = Clockwork(self.rng, death=self.rng.choice([0.0, 0.002, 0.006, 0.02]))
        path = self.folder / f"{self.seed}.db"
        shutil.copyfile(self.template, path)
        self.db = Database(f"sqlite:///{path}")
        engines = self.db._here()
        for engine in (engines.writing, engines.reading):
            engine._compiled_cache = _COMPILED  # most of a short history would be compiling
            event.listen(engine, "connect", self._on_connect)
        trouble = self.rng.choice([0.0, 0.05, 0.2])
        self.world = World(self.clock, self._has_intent, trouble)
        self.gate = SimGate(self.clock.now)
        self.gate.clock = self.clock

    def _on_connect(self, connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        """The database's clock is the simulation's; the disk is not what is tested."""
        connection.execute("PRAGMA synchronous=OFF")

        def told(_format: str, _when: str) -> str:
            return self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]

        connection.create_function("strftime", 2, told)

    def _has_intent(self, call: Call) -> bool:
        target = call.targets[0] if call.targets else None
        with self.db.read() as connection:
            if target is None:
                asked = text("SELECT count(*) FROM jobs WHERE list_token <> 0")
                return bool(connection.execute(asked).scalar_one())
            asked = text(
                "SELECT count(*) FROM items WHERE state = 'sent' AND ((kind = :kind AND "
                "external_id = :id AND parent_external_id = :parent) "
                "OR (:below <> '' AND parent_external_id = :below))"
            )
            of = {"kind": target.kind, "id": target.external_id}
            below = "" if call.action is Action.DELETE else target.external_id
            of |= {"parent": target.parent_external_id, "below": below}
            return bool(connection.execute(asked, of).scalar_one())

    # --- what happens ----------------------------------------------------------------

    def play(self) -> list[str]:
        """Play it to the end; returns what does not hold."""
        try:
            self.clock.run_until_complete(self._play())
            return judged(self.db, self.world, permits=len(self.gate.granted))
        finally:
            with suppress(RuntimeError):
                self.clock.close()
            self.db.dispose()
            (self.folder / f"{self.seed}.db").unlink(missing_ok=True)

    async def _play(self) -> None:
        jobs = Jobs(self.db)
        for number in range(self.rng.choice([1, 1, 2])):
            self._submit(jobs, number)
        for number in (1, 2):
            self._start(number)
        end = self.clock.time() + HOURS * 3600
        while self.clock.time() < end:
            await asyncio.sleep(self.rng.uniform(0.05, 4))
            open_jobs = [job for job in jobs.recent(limit=10) if job.state not in FINAL]
            if not open_jobs:
                return
            self._people(jobs, open_jobs)
            self._births()
            if self.clock.time() > end / 4:
                self.clock.death = self.world.trouble = 0.0  # now it has to come to its end
        self.world.violations.append("not at its end after hours")

    def _submit(self, jobs: Jobs, number: int) -> None:
        rng, world = self.rng, self.world
        ids = [f"{number}{n}" for n in range(rng.randint(1, 4))]
        kinds = sorted(CATALOGUE.ranks.keys() - {PROJECT, "timer"})
        for own in ids:
            children = [(rng.choice(kinds), f"{own}{n}") for n in range(rng.randint(0, 3))]
            world.there[own] = dict.fromkeys(children, True)
        ids += ["404"] * (rng.random() < 0.2)
        new = a_new_job(account=ACCOUNT, cascade=tuple(kinds), recheck=rng.random() < 0.7)
        jobs.submit(new, enumerate(ids, 1), lambda: f"d{number}", CATALOGUE.rank(PROJECT))
        self._ring(ACCOUNT)

    def _people(self, jobs: Jobs, open_jobs: list[Job]) -> None:
        """A yes where one is wanted; now and then somebody pauses, resumes or cancels."""
        job = self.rng.choice(open_jobs)
        drawn = self.rng.random()
        decide: control.Decide
        if job.state == "awaiting_confirmation":
            decide = control.confirm(FREELY, actor="ann", word=None, yes=True)
        elif job.state == "paused":
            decide = control.resume(actor="ann")
        elif drawn < 0.03:
            decide = control.pause(actor="ann")
        elif drawn < 0.04:
            decide = control.cancel(actor="ann")
        else:
            return
        with suppress(BulkdelError):
            jobs.change(job.id, decide)
            self.clock.note(f"ann changes {job.id} that was {job.state}")
            self._ring(ACCOUNT)

    def _births(self) -> None:
        alive = [one for one in self.processes if not one.is_dead]
        if len(alive) < 2 and self.rng.random() < 0.3:
            self._start(len(self.processes) + 1)

    def _start(self, number: int) -> None:
        process = Process(number)
        self.processes.append(process)
        self._within(process, self._sweeping(process))

    def _within(self, process: Process, work: "asyncio.Future[None] | object") -> None:
        token = HERE.set(process)
        task = asyncio.ensure_future(work)  # type: ignore[type-var]  # a coroutine
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # the dead are left as they are
        HERE.reset(token)

    def _ring(self, _account: str, after: timedelta = timedelta(0)) -> None:
        """A doorbell: lost, doubled, late, in any order, and for any process."""
        for _ in range(self.rng.choice([0, 1, 1, 1, 1, 2, 3])):
            delay = after.total_seconds() + self.rng.choice([0.001, 0.01, self.rng.uniform(0, 20)])
            self.clock.call_later(delay, self._heard)

    def _heard(self) -> None:
        alive = [one for one in self.processes if not one.is_dead]
        if alive:
            process = self.rng.choice(alive)
            self._within(process, self._slice(process))

    async def _slice(self, process: Process) -> None:
        await self.clock.step("hearing a doorbell")
        try:
            after = await run_slice(self._tools(process), Pulses().of(ACCOUNT), asyncio.Event())
        except Exception as error:  # noqa: BLE001  told, and judged
            self.clock.note(f"slice failed: {error!r}")
            self.world.violations.append(f"a slice failed: {error!r}")
            return
        await self.clock.step("ringing")
        if after is not None and after <= timedelta(seconds=60):
            self._ring(ACCOUNT, after)

    async def _sweeping(self, process: Process) -> None:
        lease = SWEEP * 0.95
        mine = partial(presence.take_named_lease, self.db, "sweep", process.owner, lease)
        bell = _Bell(self._ring)
        while True:
            await self.clock.step("sweeping")
            call = partial(
                sweep, Accounts(self.db), Jobs(self.db), bell, every=SWEEP, is_mine=mine
            )
            await asyncio.to_thread(call)
            await asyncio.sleep(SWEEP.total_seconds())

    def _tools(self, process: Process) -> Tools:
        db = self.db
        purse = Purse(name=ACCOUNT, in_flight=4)
        facts = AccountFacts(
            name=ACCOUNT,
            catalogue=CATALOGUE,
            purses=(purse,),
            sharing={ACCOUNT: (ACCOUNT,)},
            protection=Protection(),
            max_items=10**6,
            canary_above=10**6,
            canary_percent=1,
            canary_least=5,
            call_timeout=timedelta(seconds=DEADLINE),
            confirm=FREELY,
        )
        return Tools(
            facts=facts,
            work=SqlWorkStore(db, CATALOGUE.ranks),
            plans=Plans(db, LEASE),
            ends=Endings(db, LEASE),
            chunks=Chunks(db, LEASE),
            accounts=Accounts(db),
            guards=SqlGuards(db, LEASE),
            gate=self.gate,
            provider=self.world,
            secret=lambda: "same",
            calls_since=lambda account, since: calls_since(db, account, since),
            refusals=lambda account, since: refusals_since(db, account, since),
            open_intents=Accounts(db).open_intents,
            confirm=self._confirm,
            pause=lambda *_: None,
            clock=self.clock.time,
            jitter=self.rng.random,
            owner=process.owner,
            lease=LEASE,
            policy=RetryPolicy(),
        )

    def _confirm(self, job: Job) -> Job:
        yes = control.confirm(FREELY, actor="ann", word=None, yes=True)
        return Jobs(self.db).change(job.id, yes)


@dataclass(frozen=True, slots=True)
class _Bell:
    rings: Callable[[str, timedelta], None]

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        self.rings(account, after)


def play(seed: int, folder: Path, template: Path) -> tuple[list[str], list[str]]:
    """Play a seed; returns what does not hold, and the trace."""
    history = History(seed, folder, template)
    problems = history.play()
    trace = history.clock.trace
    del history
    if seed % 20 == 0:
        gc.collect()
    return problems, trace
