"""Tools whose store gives way at a chosen write, and a new lease holder who goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from tests.integration.stage import SLICES, Stage
from worker.domain.states import JobState, Waiting
from worker.ports import Job
from worker.services.execute import Pulses, run_slice
from worker.services.tools import Tools
from worker.store.engine import now as db_now
from worker.store.models import ACCOUNTS, ITEMS, JOBS

READS = frozenset(
    {
        "load",
        "children",
        "match",
        "items",
        "left",
        "has_unsent",
        "pick",
        "unproven",
        "get",
        "is_alone",
    }
)
LONG_AGO = timedelta(hours=2)
Hook = Callable[[int, str], None]


class Killed(BaseException):
    """The process that held the lease is gone, and took nothing down in order."""


@dataclass
class Wreck:
    """Counts what is written, and gives way at the write of this number, before or after it."""

    at: int = 0
    after: bool = False
    written: int = 0
    seen: str = ""
    hook: Hook | None = None  # called before each write

    def wrap(self, store: Any) -> Any:  # noqa: ANN401  any store
        return _Wrecked(store, self)

    def meet(self, name: str, do: Callable[[], Any]) -> Any:  # noqa: ANN401  what the store returns
        self.written += 1
        number = self.written
        if self.hook is not None:
            self.hook(number, name)
        if number == self.at and not self.after:
            self.seen = name
            raise Killed(name)
        result = do()
        if number == self.at:
            self.seen = name
            raise Killed(name)
        return result


@dataclass
class _Wrecked:
    """A store whose writes meet the wreck."""

    store: Any
    wreck: Wreck

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  any method of the store
        real = getattr(self.store, name)
        if name in READS:
            return real
        return lambda *args, **fields: self.wreck.meet(name, lambda: real(*args, **fields))


def wrecked(tools: Tools, wreck: Wreck) -> Tools:
    """These tools, with a store that gives way."""
    return replace(
        tools,
        work=wreck.wrap(tools.work),
        plans=wreck.wrap(tools.plans),
        ends=wreck.wrap(tools.ends),
        chunks=wreck.wrap(tools.chunks),
    )


def bury(stage: Stage, account: str = "acme") -> None:
    """Let the lease of a dead holder run out, and all that is deferred come due."""
    with stage.desk.db.write() as conn:
        past = db_now(conn) - LONG_AGO
        gone = update(ACCOUNTS).where(ACCOUNTS.c.name == account, ACCOUNTS.c.lease_owner != "")
        conn.execute(gone.values(lease_until=past))
        conn.execute(update(ITEMS).where(ITEMS.c.due_at.is_not(None)).values(due_at=past))
        conn.execute(update(JOBS).where(JOBS.c.list_due_at.is_not(None)).values(list_due_at=past))


async def work_on(
    stage: Stage,
    job_id: str,
    until: set[JobState],
    *,
    wreck: Wreck | None = None,
    slices: int = SLICES,
) -> Job:
    """Work a job until it stands in one of these states, whatever dies on the way."""
    tools, pulses = stage.tools_of("acme"), Pulses()
    tools = wrecked(tools, wreck) if wreck else tools
    job = stage.desk.jobs.get(job_id)
    for _ in range(slices):
        if job.state in until:
            return job
        try:
            wait = await run_slice(tools, pulses.of("acme"), asyncio.Event())
        except Killed:
            wait = timedelta(0)
        job = stage.desk.jobs.get(job_id)
        assert wait is not None or job.state in until or job.state is JobState.PAUSED, "asleep"
        if wait and job.waiting_on and job.waiting_on.code is Waiting.RATE_LIMIT:
            await asyncio.sleep(min(wait.total_seconds(), 2))  # the gate's time cannot be set
        bury(stage)
    raise AssertionError(f"{job.state}: {job.waiting_on} {job.bulk}")
