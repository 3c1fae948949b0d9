"""A job that goes by chunks: its canary, the proof of what was taken, and the way back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from worker.domain.bulk import (
    LEAST,
    Advice,
    Bulk,
    Probe,
    Stage,
    advise,
    is_too_long,
    place_of,
    proven_by_reads,
)
from worker.domain.calls import Action, Answer, Call
from worker.domain.outcomes import Verdict
from worker.domain.states import ItemState, JobState
from worker.domain.steps import Progress, Step
from worker.ports import Item, Job, Lease
from worker.services.choose import Work
from worker.services.proof import page_read_next, reads_pages
from worker.services.refresh import REPEATS, again, is_old
from worker.services.tools import Tools, off

GONE = "the listing does not show it any more after its bulk delete"
_STATES = frozenset({JobState.RUNNING, JobState.VERIFYING})


async def advance(tools: Tools, lease: Lease, job: Job) -> bool:
    """Do what the canary asks for, and turn back if there is no bulk delete.

    Returns whether anything changed.
    """
    if is_old(job, lease.now) and await off(tools.chunks.has_unsent, job.id):
        why = "the plan is older than an hour: it is compared with the listing"
        await _write(tools, lease, job, again(job, lease.now), why=why)
        return True
    if job.state is not JobState.RUNNING or job.stopping:
        return False
    if job.bulk.refusal and job.bulk.stage in {Stage.CANARY, Stage.ON}:
        return await _turn_back(tools, lease, job, job.bulk.refusal)
    if job.bulk.stage is not Stage.CANARY:
        return False
    canary, witnesses = await _probes(tools, job)
    advice, why = advise(job.bulk, _seen(canary), _seen(witnesses))
    return await _follow(tools, lease, job, (advice, why), (canary, witnesses))


async def _turn_back(tools: Tools, lease: Lease, job: Job, why: str) -> bool:
    """Plan the job anew once it is known what every call so far came to: a plan makes no looks."""
    left = await off(tools.chunks.left, job.id)
    if left.unproven or left.in_doubt:
        return False
    await off(tools.chunks.turn_back, lease, job, why)
    return True


async def _probes(tools: Tools, job: Job) -> tuple[Sequence[Item], Sequence[Item]]:
    ids = (*job.bulk.canary, *job.bulk.witnesses)
    items = await off(tools.chunks.items, ids) if ids else ()
    canary = [item for item in items if item.id in job.bulk.canary]
    return canary, [item for item in items if item.id in job.bulk.witnesses]


def _seen(items: Sequence[Item]) -> list[Probe]:
    return [
        Probe(
            id=item.id,
            step=item.progress.step,
            state=ItemState(item.state),
            source=item.progress.source,
            attempts=item.progress.attempts,
            outcome=item.outcome,
        )
        for item in items
    ]


async def _follow(
    tools: Tools,
    lease: Lease,
    job: Job,
    advice: tuple[Advice, str],
    probes: tuple[Sequence[Item], Sequence[Item]],
) -> bool:
    kind, why = advice
    canary, witnesses = probes
    match kind:
        case Advice.WAIT:
            return False
        case Advice.CHOOSE:
            await _choose(tools, lease, job, [*canary, *witnesses])
        case Advice.SEND | Advice.FINISH:
            await _release(tools, lease, job, canary)
        case Advice.READ_AGAIN:
            await _release(tools, lease, job, witnesses)
        case Advice.TRUST:
            why = f"the first {len(canary)} projects are gone by a bulk delete, no other is"
            await _write(tools, lease, job, job.bulk.anew(Stage.ON), why=why)
        case Advice.TURN_BACK:
            return await _turn_back(tools, lease, job, why)
        case Advice.PAUSE:
            await _write(tools, lease, job, replace(job.bulk, refusal=why), why=why)
            await off(tools.pause, job.id, f"{why}; look with bulkdel report {job.id}")
    return True


async def _choose(tools: Tools, lease: Lease, job: Job, before: Sequence[Item]) -> None:
    """Take another pair and a neighbour on either side; single deletes if too few are left."""
    left = await off(tools.chunks.left, job.id)
    spared = {item.id: (ItemState.PENDING, _as(item, Step.CHUNK)) for item in _waiting(before)}
    place = place_of(job.bulk.tries, left.unsent)
    if left.unsent + len(spared) < LEAST:
        rest = [*_waiting(before), *await off(tools.chunks.pick, job.id, 0, LEAST)]
        alone = {item.id: (ItemState.PENDING, _as(item, Step.DELETE)) for item in rest}
        why = "too few projects are left for a bulk delete"
        await off(tools.chunks.write, lease, job.id, job.bulk.anew(Stage.OFF), alone, why=why)
        return
    if left.unsent < LEAST:  # the last pair or its neighbours are needed for the next
        await off(tools.chunks.write, lease, job.id, replace(job.bulk, canary=()), spared)
        return
    low, *pair, high = await off(tools.chunks.pick, job.id, place, LEAST)
    held = {item.id: (ItemState.BLOCKED, _as(item, Step.CANARY)) for item in pair}
    read = {item.id: (ItemState.PENDING, _as(item, Step.WITNESS)) for item in (low, high)}
    bulk = replace(
        job.bulk,
        canary=tuple(held),
        witnesses=tuple(read),
        tries=job.bulk.tries + 1,
    )
    ids = ", ".join(item.seen.target.external_id for item in pair)
    why = f"first bulk delete: {ids}"
    await off(tools.chunks.write, lease, job.id, bulk, {**spared, **held, **read}, why=why)


def _waiting(items: Sequence[Item]) -> list[Item]:
    """Those of the last try that nothing became of."""
    held = {Step.CANARY, Step.WITNESS}
    return [item for item in items if item.outcome is None and item.progress.step in held]


def _as(item: Item, step: Step) -> Progress:
    return replace(item.progress, step=step, source=0, tries=0)


async def _release(tools: Tools, lease: Lease, job: Job, items: Sequence[Item]) -> None:
    """Let blocked items go."""
    freed = {
        item.id: (ItemState.PENDING, item.progress)
        for item in items
        if item.state == ItemState.BLOCKED
    }
    await _write(tools, lease, job, job.bulk, freed)


async def _write(
    tools: Tools,
    lease: Lease,
    job: Job,
    bulk: Bulk,
    items: Mapping[int, tuple[ItemState, Progress]] | None = None,
    *,
    why: str = "",
) -> None:
    await off(tools.chunks.write, lease, job.id, bulk, items or {}, why=why)


async def prove(tools: Tools, lease: Lease, job: Job) -> Work | bool:
    """What shows whether the chunks took what they said, once there is nothing else to call.

    A page to read; or whether something was written down.
    """
    stage = job.bulk.stage
    if job.state not in _STATES or stage in {Stage.NONE, Stage.CANARY}:
        return False
    if reads_pages(job):
        return await _read_on(tools, lease, job)
    if stage is Stage.PROVEN:
        while await off(tools.chunks.settle_gone, lease, job, GONE):
            pass
        bulk = job.bulk.anew(Stage.ON, job.bulk.refusal)
        await _write(tools, lease, job, bulk, why="what the chunks took is proven")
        return True
    left = await off(tools.chunks.left, job.id)
    chunks_wait = left.unsent and job.bulk.may_go and not job.stopping
    if not left.unproven or chunks_wait:
        return False
    await _begin(tools, lease, job, left.unproven)
    return True


async def _read_on(tools: Tools, lease: Lease, job: Job) -> Work | bool:
    if job.list_due_at is not None and job.list_due_at > lease.now:
        return False
    if job.bulk.stage is Stage.REFRESH and job.bulk.trail.repeats:
        await _write(tools, lease, job, again(job, lease.now), why=REPEATS)
        await off(tools.pause, job.id, REPEATS)
        return True
    if job.bulk.is_refused:
        await _read_each(tools, lease, job)
        return True
    if job.bulk.reading is not None:
        left = await off(tools.chunks.left, job.id)
        if is_too_long(job.bulk.reading, left.unproven):
            await _read_each(tools, lease, job)
            return True
    shows_all = tools.facts.shows_all if job.bulk.stage is Stage.PROOF else ()
    call = Call(action=Action.LIST, cursor=page_read_next(job), filters=shows_all)
    return Work(job_id=job.id, call=call)


async def _begin(tools: Tools, lease: Lease, job: Job, unproven: int) -> None:
    """A read each where that is cheaper than the listing, else the listing."""
    if not proven_by_reads(unproven, job.list_pages):
        await _write(tools, lease, job, replace(job.bulk, stage=Stage.PROOF, reading=None))
    else:
        await _read_each(tools, lease, job)


async def _read_each(tools: Tools, lease: Lease, job: Job) -> None:
    items = await off(tools.chunks.unproven, job.id)
    reads = {i.id: (ItemState.PENDING, replace(i.progress, step=Step.LOOK)) for i in items}
    bulk = replace(job.bulk, stage=Stage.ON, reading=None, is_refused=False)
    await _write(tools, lease, job, bulk, reads)


def is_refused_as_such(work: Work, answer: Answer) -> bool:
    """Whether a bulk delete was refused, and not what it was to delete."""
    redirects = answer.http_status is not None and 300 <= answer.http_status < 400  # noqa: PLR2004  3xx
    together = work.call.action is Action.DELETE and len(work.call.targets) > 1
    return together and answer.verdict is Verdict.INVALID and not redirects


async def refuse(tools: Tools, lease: Lease, job: Job, answer: Answer) -> None:
    """Let no chunk go any more: the provider does not know the bulk delete."""
    code = f" (code {answer.provider_code})" if answer.provider_code else ""
    why = f"the provider refuses the bulk delete as such: {answer.message}{code}"
    bulk = replace(job.bulk, refusal=why[:300])
    await _write(tools, lease, job, bulk, why=why)
