"""The calls that due items need: a pure chooser; nothing else branches on the strategy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.domain.calls import PROJECT, Action, Call, Target
from worker.domain.catalogue import Catalogue
from worker.domain.decide import Step
from worker.ports import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call to make for some items of one job. No items: a page of the job's listing."""

    job_id: str
    call: Call
    items: tuple[Item, ...] = ()


def choose(
    items: Sequence[Item], catalogue: Catalogue, cascades: Mapping[str, Sequence[str]]
) -> list[Work]:
    """One work per item, in order; looks that need the same read share it.

    `cascades` gives each job's child kinds.
    """
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
            return _read(_project_of(target), catalogue.kind(target.kind).source)
        case _:
            return _read(target, catalogue.sources(cascade)[item.progress.source])


def _project_of(target: Target) -> Target:
    if target.kind == PROJECT:
        return target
    return Target(kind=PROJECT, external_id=target.parent_external_id)


def _read(project: Target, source: str) -> Call:
    return Call(action=Action.READ, targets=(project,), source=source)
