"""Items that planning makes or takes away: found by filters, children, what a cleanup keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from worker.domain.audit import Event
from worker.domain.calls import PROJECT, Seen
from worker.domain.outcomes import Outcome
from worker.domain.states import ItemState
from worker.domain.steps import Step
from worker.ports import UNLISTED, Found, Item, Job, Lease
from worker.store import cascade
from worker.store.cascade import SettledItem
from worker.store.chain import append
from worker.store.models import ITEMS, JOBS
from worker.store.moves import job_entry, read_job
from worker.store.rows import PLAN, item_of, seen_columns

_NAMED = 10


def insert_children(
    conn: Connection,
    parent: Item,
    account: str,
    children: Sequence[Seen],
    ranks: Mapping[str, int],
) -> None:
    """Keep the children that a read showed below a project, those that are none yet."""
    known = conn.execute(
        select(ITEMS.c.kind, ITEMS.c.external_id).where(ITEMS.c.parent_item_id == parent.id)
    )
    there = {(kind, external_id) for kind, external_id in known}
    rows = [
        {
            "job_id": parent.job_id,
            "account": account,
            "position": parent.position,
            "rank": ranks[child.target.kind],
            "kind": child.target.kind,
            "external_id": child.target.external_id,
            "parent_external_id": parent.seen.target.external_id,
            "parent_item_id": parent.id,
            "goes_with_parent": child.goes_with_parent,
            "step": Step.DELETE.value,
            **seen_columns(child),
        }
        for child in {(c.target.kind, c.target.external_id): c for c in children}.values()
        if (child.target.kind, child.target.external_id) not in there
    ]
    if rows:
        conn.execute(insert(ITEMS), rows)


def insert_found(
    conn: Connection, job: Job, found: Sequence[Found], rank: int
) -> list[SettledItem]:
    """Keep projects of a page as items, those that are none yet; returns those settled at once.

    Pages shift while others edit, so a project may be shown twice.
    """
    by_id = {one.seen.target.external_id: one for one in found}
    mine = and_(ITEMS.c.job_id == job.id, ITEMS.c.kind == PROJECT)
    which = and_(mine, ITEMS.c.external_id.in_(list(by_id)))
    there = set(conn.execute(select(ITEMS.c.external_id).where(which)).scalars())
    new = [one for external_id, one in by_id.items() if external_id not in there]
    if not new:
        return []
    last = conn.execute(select(func.max(ITEMS.c.position)).where(mine)).scalar() or 0
    same = {
        "job_id": job.id,
        "account": job.account,
        "rank": rank,
        "kind": PROJECT,
        "state": ItemState.PENDING.value,
        "step": (Step.READ if job.options.cascade else Step.READY).value,
    }
    rows = [
        {
            **same,
            "position": position,
            "external_id": one.seen.target.external_id,
            **seen_columns(one.seen),
        }
        for position, one in enumerate(new, start=last + 1)
    ]
    conn.execute(insert(ITEMS), rows)
    return _spare(conn, job, {one.seen.target.external_id: one for one in new if one.spared})


def _spare(conn: Connection, job: Job, spared: Mapping[str, Found]) -> list[SettledItem]:
    if not spared:
        return []
    rows = conn.execute(
        select(ITEMS).where(
            ITEMS.c.job_id == job.id,
            ITEMS.c.kind == PROJECT,
            ITEMS.c.external_id.in_(list(spared)),
        )
    )
    settled = [
        SettledItem.of(item_of(row), Outcome.SKIPPED_PROTECTED, spared[row.external_id].spared)
        for row in rows
    ]
    cascade.settle(conn, settled)
    return settled


def first_ids(
    conn: Connection, job_id: str, unlisted: ColumnElement[bool]
) -> dict[str, list[str]]:
    """The first ids of projects that are absent, and of those that are in no list."""
    absent = and_(
        ITEMS.c.job_id == job_id,
        ITEMS.c.kind == PROJECT,
        ITEMS.c.outcome == Outcome.ALREADY_ABSENT.value,
    )
    found = {}
    for name, which in ((Outcome.ALREADY_ABSENT.value, absent), (UNLISTED, unlisted)):
        ids = select(ITEMS.c.external_id).where(which).order_by(ITEMS.c.position).limit(_NAMED)
        found[name] = list(conn.execute(ids).scalars())
    return found


def projects_given(conn: Connection, job: Job) -> tuple[int, int]:
    """How many projects the job's list has, what it keeps included; and how many are absent."""
    is_absent = ITEMS.c.outcome == Outcome.ALREADY_ABSENT.value
    counted = select(func.count(), func.count().filter(is_absent)).where(
        ITEMS.c.job_id == job.id, ITEMS.c.kind == PROJECT
    )
    given, absent = conn.execute(counted).one()
    return given + job.plan.kept.get(PROJECT, 0), absent


def keep_projects(conn: Connection, lease: Lease, job: Job) -> Job:
    """Take the open projects out of a cleanup, and what goes only with them; audited.

    Their children are freed of them: nothing of one child waits for another.
    """
    is_open = and_(ITEMS.c.job_id == job.id, ITEMS.c.state != ItemState.SETTLED.value)
    projects = and_(is_open, ITEMS.c.kind == PROJECT)
    leaves = and_(is_open, (ITEMS.c.kind == PROJECT) | ITEMS.c.goes_with_parent)
    counted = select(ITEMS.c.kind, func.count().label("left")).where(leaves).group_by(ITEMS.c.kind)
    kept: dict[str, int] = {row.kind: row.left for row in conn.execute(counted)}
    if not kept:
        return job
    ids = select(ITEMS.c.id).where(projects)
    freed = update(ITEMS).where(ITEMS.c.job_id == job.id, ITEMS.c.parent_item_id.in_(ids))
    conn.execute(delete(ITEMS).where(leaves, ITEMS.c.goes_with_parent))
    conn.execute(freed.values(parent_item_id=None))
    conn.execute(delete(ITEMS).where(projects))
    before = job.plan.kept
    plan = replace(job.plan, kept={**before, **{k: before.get(k, 0) + n for k, n in kept.items()}})
    detail = {"why": "a cleanup keeps its projects", "kept": kept}
    append(conn, [job_entry(job, Event.JOB_CHANGED, actor=lease.owner, detail=detail)])
    values = {"plan": PLAN.dump_json(plan).decode()}
    conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(values))
    return read_job(conn, job.id)
