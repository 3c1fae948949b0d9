"""A worker process: one event loop and its clients for life, made lazily after any fork."""

import asyncio
import contextlib
import gc
import importlib
import importlib.util
import random
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version

from worker.bootstrap import Desk
from worker.config.accounts import Config
from worker.connecting import connection_of
from worker.domain.errors import BulkdelError, Refused
from worker.domain.retry import RetryPolicy
from worker.policies import PolicyDesk
from worker.ports import DoorBell, Job, TokenStore
from worker.providers.http import HttpProvider
from worker.ratelimit.port import Gate
from worker.ratelimit.redis_gate import RedisGate
from worker.ratelimit.tokens import RedisTokens
from worker.services import control
from worker.services.execute import Pulses, end_without_account, run_slice
from worker.services.sweep import sweep
from worker.services.tools import Tools
from worker.store import presence
from worker.store.accounts import Accounts
from worker.store.audit_log import calls_since, refusals_since
from worker.store.chunks import Chunks
from worker.store.endings import Endings
from worker.store.holds import SqlGuards
from worker.store.plans import Plans
from worker.store.work import SqlWorkStore
from worker.telemetry import bound, logger
from worker.wiring import (
    account_facts,
    addresses,
    confirm_rules,
    owner_name,
    secret_digest,
)

TASK_LIMIT = 4.6
"""Seconds after which a task returns although calls of its slice are still in flight."""
RING_WITHIN = timedelta(seconds=60)
"""Longer waits are the sweep's: a message with a countdown lives in a worker's memory."""
LOSS_LASTS = timedelta(seconds=1)
"""All processes that lose the broker within this time lose the same one."""
LEASE_MARGIN = timedelta(seconds=15)
"""A lease outlives the longest call by this; it is renewed every few seconds."""
DRAIN = 25.0
"""Seconds that a stopping process waits for its calls in flight."""
COLLECT_AFTER = 20_000
"""New objects that may hold others, after which the collector looks for cycles among them."""
VERSION = version("bulkdel")
log = logger("worker")


class Runtime:
    """Everything one worker process keeps. Threads of its pool hand slices to its loop."""

    def __init__(self, desk: Desk, sweep_bell: DoorBell) -> None:
        self.desk = desk
        self.policies = PolicyDesk(desk)
        self._sweep_bell = sweep_bell
        self.owner = owner_name("worker")
        self._loop = new_loop()
        self._stopping = asyncio.Event()
        self._pulses = Pulses()
        self._gate: Gate | None = None
        self._access: RedisTokens | None = None
        self._tools: dict[str, tuple[Config, Tools]] = {}
        self._making = threading.Lock()
        self._running: set[Future[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def work(self, account: str) -> None:
        """Work the account for one slice; returns within five seconds, whatever is in flight."""
        future = self.begin(account)
        try:
            future.result(timeout=TASK_LIMIT)
        except StillRunning:
            log.info("slice.draining", account=account)

    def begin(self, account: str) -> Future[None]:
        """Start a slice and do not wait for it."""
        future = asyncio.run_coroutine_threadsafe(self._slice(account), self._loop)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def begin_later(self, account: str, after: timedelta) -> None:
        """Start a slice of this account in a while, whoever else may be told to."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: this process ends
            self._loop.call_soon_threadsafe(
                self._loop.call_later, after.total_seconds(), self.begin, account
            )

    async def _slice(self, account: str) -> None:
        if not self._stopping.is_set():
            with bound(account=account):
                await self._work_on(account)

    async def _work_on(self, account: str) -> None:
        try:
            if account not in self.desk.config.accounts:
                await asyncio.to_thread(self._stand_in, account)
                return
            tools = await asyncio.to_thread(self._tools_of, account)
            after = await run_slice(tools, self._pulses.of(account), self._stopping)
        except BulkdelError as error:
            log.warning("slice.failed", what=error.what, fix=error.fix)
            return
        except Exception:
            log.exception("slice.broken")
            return
        if after is not None and after <= RING_WITHIN:
            await asyncio.to_thread(self.desk.bell.ring, account, after)

    def _stand_in(self, account: str) -> None:
        """End what is being stopped for an account this worker does not know, and say so."""
        said = f"account {account} is not in {self.desk.settings.config.name} of {self.owner}"
        lease = timedelta(seconds=30)
        store, ends = SqlWorkStore(self.desk.db, {}), Endings(self.desk.db, lease)
        end_without_account(store, ends, account=account, owner=self.owner, lease=lease, said=said)

    def _tools_of(self, account: str) -> Tools:
        """The account's tools; made anew when the configuration has changed."""
        with self._making:
            config = self.desk.config
            there = self._tools.get(account)
            if there is not None and there[0] is config:
                return there[1]
            tools = self._make_tools(config, account)
            if there is not None:
                asyncio.run_coroutine_threadsafe(there[1].provider.aclose(), self._loop)
            self._tools[account] = (config, tools)
            return tools

    def _make_tools(self, config: Config, name: str) -> Tools:
        account = config.account(name)
        facts = account_facts(account, config)
        lease = account.call_timeout + LEASE_MARGIN
        db = self.desk.db
        return Tools(
            facts=facts,
            work=SqlWorkStore(db, facts.catalogue.ranks, facts.breakers),
            plans=Plans(db, lease),
            ends=Endings(db, lease, facts.breakers),
            chunks=Chunks(db, lease),
            accounts=Accounts(db),
            guards=SqlGuards(db, lease),
            gate=self._gate_of(),
            provider=HttpProvider(connection_of(account, self._tokens_of())),
            secret=partial(secret_digest, account),
            calls_since=self._calls_since,
            refusals=partial(refusals_since, db),
            open_intents=Accounts(db).open_intents,
            confirm=self._confirm,
            pause=self._pause,
            clock=time.monotonic,
            jitter=random.random,
            owner=self.owner,
            lease=lease,
            policy=RetryPolicy(),
        )

    def _gate_of(self) -> Gate:
        if self._gate is None:
            prefix = f"bulkdel:{presence.deployment(self.desk.db)}"
            self._gate = RedisGate.at(addresses(self.desk.settings).redis, prefix=prefix)
        return self._gate

    def _tokens_of(self) -> TokenStore:
        if self._access is None:
            self._access = RedisTokens.at(addresses(self.desk.settings).redis)
        return self._access

    def _calls_since(self, account: str, since: datetime) -> list[datetime]:
        return calls_since(self.desk.db, account, since)

    def _confirm(self, job: Job) -> Job:
        """The yes that was given with a submission, or once and for all with a policy."""
        rules = confirm_rules(self.desk.config.account(job.account))
        if job.options.confirms_itself:
            rules = replace(rules, auto_confirm_max=job.plan.items)
        decide = control.confirm(rules, actor=job.who.name, word=None, yes=True)
        try:
            return self.desk.confirmations.confirm(job.id, decide)
        except Refused as refused:  # what changed since the plan was made: a person looks
            log.warning("plan.not_confirmed", job=job.id, what=refused.what)
            return self.desk.jobs.get(job.id)

    def _pause(self, job_id: str, why: str) -> None:
        """A guard's pause, while the job may be paused."""
        with contextlib.suppress(Refused):
            self.desk.jobs.change(job_id, control.pause(actor=self.owner, why=why))

    def sweep(self, every: timedelta) -> int:
        """One sweep, if it is this process' turn."""
        db = self.desk.db
        lease = timedelta(seconds=every.total_seconds() * 0.95)
        if not presence.take_named_lease(db, presence.SWEEP, self.owner, lease):
            return 0
        rung = self._ring_due(every)
        self.policies.watch()
        return rung

    def sweep_after_loss(self, every: timedelta) -> int:
        """One sweep beside the others, as messages were lost; one process is enough."""
        is_mine = presence.take_named_lease(self.desk.db, presence.LOSS, self.owner, LOSS_LASTS)
        return self._ring_due(every) if is_mine else 0

    def _ring_due(self, every: timedelta) -> int:
        accounts, bell = Accounts(self.desk.db), self._sweep_bell
        return sweep(accounts, self.desk.jobs, bell, every=every, is_mine=lambda: True)

    def beat(self, role: str) -> None:
        """Say that this process is alive."""
        presence.seen(self.desk.db, f"{role}{self.owner.removeprefix('worker')}", role, VERSION)

    def start_nothing(self) -> None:
        """Start no new call; slices end as their calls come back."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def close(self) -> None:
        """Start nothing new, wait for the calls in flight, and leave."""
        self.start_nothing()
        for future in list(self._running):
            _wait(future)
        with contextlib.suppress(BulkdelError):  # who is not told it sees it soon
            presence.gone(self.desk.db, self.owner)
        _wait(asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2)
        if not self._thread.is_alive():
            self._loop.close()
        self.desk.close()

    async def _hang_up(self) -> None:
        """Close the connections to providers and Redis."""
        kept = [self._gate, self._access, *(tools.provider for _, tools in self._tools.values())]
        for one in kept:
            if one is not None:
                await one.aclose()


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop where that is installed, which costs less a call; else asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    return loop


def spare_the_collector() -> None:
    """Have Python's cycle collector look less often, and never at what was loaded at the start.

    A call makes hundreds of short-lived objects and no cycles, and a worker carries all of Celery
    and SQLAlchemy: the collector took a sixth of the CPU of a call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


def _wait(future: Future[None]) -> None:
    try:
        future.result(timeout=DRAIN)
    except StillRunning:
        log.warning("slice.left", fix="its calls are looked up by the next worker")
