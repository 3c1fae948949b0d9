"""What came under a protection since the plan was made: by itself, above it or below it."""

from collections.abc import Sequence

from worker.domain.calls import PROJECT
from worker.domain.steps import MAY_BE_SPARED
from worker.ports import Item, Job
from worker.services.tools import Tools, off


async def why_spared(tools: Tools, job: Job, items: Sequence[Item]) -> dict[int, str]:
    """Which of these items are spared by now, and by which rule; by item id."""
    rules = tools.facts.protection
    about = [item for item in items if item.progress.step in MAY_BE_SPARED]
    if not (about and (rules.ids or rules.names)):
        return {}
    through = await _through_kin(tools, job, about) if job.options.cascade else {}
    own = {
        item.id: why
        for item in about
        if (why := rules.why(item.seen) or rules.why_below(item.seen))
    }
    return through | own


async def _through_kin(tools: Tools, job: Job, about: Sequence[Item]) -> dict[int, str]:
    """Children of a project with a protected name, and projects that take such a child with them.

    Where children are read again just before their project goes, that read tells of them.
    """
    rules = tools.facts.protection
    projects = {item.id: _project_of(item) for item in about}
    kin = await off(tools.ends.kin, sorted({id_ for id_ in projects.values() if id_ is not None}))
    spared: dict[int, str] = {}
    for one in kin:
        target, why = one.seen.target, rules.why(one.seen)
        if why and target.kind == PROJECT:
            spared[one.id] = f"its project {target.external_id}: {why}"
        elif why and one.parent_item_id is not None and not job.options.recheck:
            said = f"its {target.kind} {target.external_id}: {why}"
            spared.setdefault(one.parent_item_id, said)
    return {id_: spared[above] for id_, above in projects.items() if above in spared}


def _project_of(item: Item) -> int | None:
    return item.id if item.seen.target.kind == PROJECT else item.parent_item_id
