"""One account, one lease: take it, work a slice, say what it waits for, give it back."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from worker.domain.calls import Answer
from worker.domain.errors import LeaseLost
from worker.domain.states import JobState, Waiting
from worker.ports import AccountRow, EndStore, Job, Lease, WaitingOn, WorkStore
from worker.ratelimit.port import GateClosed
from worker.services.proof import page_read_next, reads_pages
from worker.services.queue import why_left_out
from worker.services.slice import Ending, Slice, closed_gate
from worker.services.tools import Tools, off

PARKED_LOOK = timedelta(seconds=60)
"""How often a parked account looks whether its secret was replaced."""
PARKED_PROBE = timedelta(minutes=10)
"""After this it is tried again with the same secret: the provider may have changed its mind."""
AFTER_ERROR = timedelta(seconds=5)
"""How long an account rests after a slice that broke off."""
OUTAGE_CAP = timedelta(seconds=30)


@dataclass(slots=True)
class Pulse:
    """What a process remembers of an account between slices. Forgetting it does no harm."""

    outages: int = 0  # slices in a row that ended in an outage


@dataclass(slots=True)
class Pulses:
    """The pulses by account."""

    by_account: dict[str, Pulse] = field(default_factory=dict)

    def of(self, account: str) -> Pulse:
        """The account's pulse."""
        return self.by_account.setdefault(account, Pulse())


async def run_slice(tools: Tools, pulse: Pulse, stopping: asyncio.Event) -> timedelta | None:
    """Work the account once; returns in how long it is due again, None if never or not ours."""
    account = tools.facts.name
    asked = tools.clock()
    taken = await off(tools.work.take_lease, account, tools.owner, tools.lease)
    if taken is None:
        return None
    part = Slice(
        tools=tools,
        lease=taken.lease,
        stopping=stopping,
        renewed=asked,
        calm=pulse.outages == 0,
        jobs={job.id: job for job in taken.jobs},
    )
    try:
        ending = _with_outage(await _work(part, taken.row), part, pulse)
        said = _said(part, ending)
        return await off(tools.work.give_lease, part.lease, ending.wake_after, said)
    except LeaseLost:
        await _write_late(part)
        return None
    except Exception:
        # What went out is looked at by the next holder; it may come as soon as this one is gone.
        await _write_late(part)
        await off(tools.work.give_lease, part.lease, AFTER_ERROR)
        raise


async def _write_late(part: Slice) -> None:
    late = await part.land()
    if late:
        await off(part.tools.work.late, part.lease, late)


async def _work(part: Slice, row: AccountRow) -> Ending:
    tools = part.tools
    if row.parked_code and await _is_still_parked(tools, row, part.lease):
        await _end_stopping(part)
        return Ending(wake_after=PARKED_LOOK, waiting=_credentials(row.parked_text))
    try:
        await tools.gate.begin()
    except GateClosed as closed:
        await _end_stopping(part)
        return closed_gate(closed)
    ending = await part.run()
    if ending.parked is None:
        return ending
    text = parked_text(ending.parked, tools.facts.name)
    await off(
        tools.accounts.park, part.lease, code="credentials", text=text, secret=tools.secret()
    )
    return Ending(wake_after=PARKED_LOOK, waiting=_credentials(text))


async def _end_stopping(part: Slice) -> None:
    """End what is being stopped although no call can be made: that takes none."""
    tools = part.tools
    for job in part.jobs.values():
        if job.stopping:
            while await off(tools.ends.leave_out, part.lease, job, why_left_out(job)):
                pass
            await off(tools.ends.close, part.lease, job)


def end_without_account(
    work: WorkStore, ends: EndStore, *, account: str, owner: str, lease: timedelta, said: str
) -> None:
    """End what is being stopped, and let the other jobs say what they wait for."""
    taken = work.take_lease(account, owner, lease)
    if taken is None:
        return
    held = taken.lease
    lasting = [job for job in taken.jobs if not (job.stopping and _ended(ends, held, job))]
    waits = replace(_credentials(said), next_wake=held.now + PARKED_LOOK)
    waiting = dict.fromkeys((job.id for job in lasting), waits)
    work.give_lease(held, PARKED_LOOK if lasting else None, waiting)


def _ended(ends: EndStore, lease: Lease, job: Job) -> bool:
    """Bring a job that is stopping to its end, unless something of it must be looked at first."""
    while ends.leave_out(lease, job, why_left_out(job)):
        pass
    return ends.close(lease, job) is not None


async def _is_still_parked(tools: Tools, row: AccountRow, lease: Lease) -> bool:
    replaced = tools.secret() != row.parked_secret
    waited = row.parked_at is None or lease.now - row.parked_at >= PARKED_PROBE
    if not (replaced or waited):
        return True
    why = "its secret was replaced" if replaced else "tried again after a while"
    await off(tools.accounts.unpark, row.name, actor=tools.owner, why=why)
    return False


def parked_text(answer: Answer, account: str) -> str:
    """What the provider said of the credentials, and the fix."""
    said = answer.message or f"HTTP {answer.http_status}"
    code = f" (code {answer.provider_code})" if answer.provider_code else ""
    fix = f"mend the token, then: bulkdel accounts check {account}"
    return f"credentials refused: {said}{code}; {fix}"


def _credentials(text: str) -> WaitingOn:
    return WaitingOn(code=Waiting.CREDENTIALS, sentence=text)


def _with_outage(ending: Ending, part: Slice, pulse: Pulse) -> Ending:
    """Wait longer the longer the provider is down; one that answers now and then is not."""
    waiting = ending.waiting
    if waiting is None or waiting.code is not Waiting.PROVIDER_OUTAGE:
        if part.calm:
            pulse.outages = 0
        return ending
    pulse.outages = 1 if part.heard else pulse.outages + 1
    after = min(OUTAGE_CAP, timedelta(seconds=1) * (1 << min(pulse.outages, 10)))
    return replace(ending, wake_after=after)


def _said(part: Slice, ending: Ending) -> Mapping[str, WaitingOn]:
    """What each job waits for now, by its id."""
    return {
        job.id: _dated(ending.waiting or _of_job(job, part.lease), part.lease, ending.wake_after)
        for job in part.jobs.values()
    }


def _of_job(job: Job, lease: Lease) -> WaitingOn:
    waits = _held_up(job, lease.now)
    if waits is not None:
        return waits
    if job.list_tries and (reads_pages(job) or not job.listed):
        page = page_read_next(job) if reads_pages(job) else job.list_cursor
        sentence = f"page {page or '1'} of the listing cannot be read"
        return WaitingOn(
            code=Waiting.PROVIDER_OUTAGE, sentence=sentence, next_wake=job.list_due_at
        )
    there = job.waiting_on
    if there is not None and there.code is Waiting.DEPENDENCY and job.state is JobState.VERIFYING:
        return there
    return WaitingOn(code=Waiting.WORKER, sentence="a worker is on it")


def _held_up(job: Job, now: datetime) -> WaitingOn | None:
    """What holds a running job up by itself: the rest after its canary, or its hours."""
    opens = job.opens_at(now)
    if opens <= now:
        return None
    if job.canary_until is not None and opens == job.canary_until:
        sentence = f"its canary went well; the rest goes at {opens:%Y-%m-%d %H:%M:%S} UTC"
        return WaitingOn(code=Waiting.GRACE, sentence=sentence, next_wake=opens)
    sentence = f"outside of its hours, {job.knobs.hours}"
    return WaitingOn(code=Waiting.WINDOW, sentence=sentence, next_wake=opens)


def _dated(waiting: WaitingOn, lease: Lease, after: timedelta | None) -> WaitingOn:
    if waiting.next_wake is not None or after is None:
        return waiting
    return replace(waiting, next_wake=lease.now + after)
