"""The calls that due items need: a pure chooser; nothing else branches on the strategy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from worker.domain.bulk import groups
from worker.domain.calls import PROJECT, Action, Call, Target
from worker.domain.catalogue import Catalogue
from worker.domain.steps import TOGETHER, Step
from worker.ports import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call to make for some items of one job. No items: a page of the job's listing."""

    job_id: str
    call: Call
    items: tuple[Item, ...] = ()


def choose(
    items: Sequence[Item],
    catalogue: Catalogue,
    cascades: Mapping[str, Sequence[str]],
    *,
    bulk_size: int = 0,
) -> list[Work]:
    """One work per item, in order; looks that need the same read share it, chunks one call.

    `cascades` gives each job's child kinds, `bulk_size` how many projects may go in a chunk.
    """
    together = [item for item in items if item.progress.step in TOGETHER]
    single = [item for item in items if item.progress.step not in TOGETHER]
    return [*_chunks(together, bulk_size), *_single(single, catalogue, cascades)]


def _chunks(items: Sequence[Item], size: int) -> list[Work]:
    """Bulk deletes; an item that goes alone is deleted like any other."""
    canary = [item for item in items if item.progress.step is Step.CANARY]
    rest = iter(item for item in items if item.progress.step is Step.CHUNK)
    sizes = groups([item.progress.source for item in items if item not in canary], max(size, 1))
    parts = [canary] if canary else []
    parts += [list(islice(rest, number)) for number in sizes]
    return [_together(part) for part in parts]


def _together(items: Sequence[Item]) -> Work:
    if len(items) == 1:
        items = [replace(items[0], progress=replace(items[0].progress, step=Step.DELETE))]
    targets = tuple(item.seen.target for item in items)
    call = Call(action=Action.DELETE, targets=targets)
    return Work(job_id=items[0].job_id, call=call, items=tuple(items))


def _single(
    items: Sequence[Item], catalogue: Catalogue, cascades: Mapping[str, Sequence[str]]
) -> list[Work]:
    chosen: dict[object, Work] = {}
    for item in items:
        call = call_for(item, catalogue, cascades[item.job_id])
        shared = item.progress.step is Step.LOOK
        key = (item.job_id, call) if shared else item.id
        there = chosen.get(key)
        grouped = (*there.items, item) if there else (item,)
        chosen[key] = Work(job_id=item.job_id, call=call, items=grouped)
    return list(chosen.values())


def call_for(item: Item, catalogue: Catalogue, cascade: Sequence[str]) -> Call:
    """The call an item's step asks for."""
    target = item.seen.target
    match item.progress.step:
        case Step.DELETE:
            return Call(action=Action.DELETE, targets=(target,))
        case Step.LOOK:
            apart = "" if item.progress.source else catalogue.kind(target.kind).source
            return _read(_project_of(target), apart or PROJECT)
        case Step.WITNESS:
            return _read(target, catalogue.kind(target.kind).source)
        case _:
            return _read(target, catalogue.sources(cascade)[item.progress.source])


def _project_of(target: Target) -> Target:
    if target.kind == PROJECT:
        return target
    return Target(kind=PROJECT, external_id=target.parent_external_id)


def _read(project: Target, source: str) -> Call:
    return Call(action=Action.READ, targets=(project,), source=source)
