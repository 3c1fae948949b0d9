"""What settled items mean for the others: the next kind, the project, what went with it.

The decisions are pure (`after_children`, `with_parent`); `follow` reads and writes what they
need, in the transaction of the items that settled.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from worker.domain.calls import PROJECT
from worker.domain.decide import Step
from worker.domain.outcomes import Bucket, Outcome
from worker.domain.states import ItemState
from worker.ports import Item, Job
from worker.store.models import ITEMS

_SETTLE = (
    update(ITEMS)
    .where(ITEMS.c.id == bindparam("b_id"), ITEMS.c.state != ItemState.SETTLED.value)
    .values(
        state=ItemState.SETTLED.value,
        outcome=bindparam("outcome"),
        reason=bindparam("reason"),
        due_at=None,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledItem:
    """An item that has its outcome now."""

    id: int
    job_id: str
    kind: str
    external_id: str
    parent_external_id: str
    parent_item_id: int | None
    outcome: Outcome
    reason: str = ""

    @classmethod
    def of(cls, item: Item, outcome: Outcome, reason: str) -> "SettledItem":
        """The item, settled."""
        target = item.seen.target
        return cls(
            id=item.id,
            job_id=item.job_id,
            kind=target.kind,
            external_id=target.external_id,
            parent_external_id=target.parent_external_id,
            parent_item_id=item.parent_item_id,
            outcome=outcome,
            reason=reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What a decision about a project must know of one child."""

    kind: str
    external_id: str
    rank: int
    state: ItemState
    outcome: Outcome | None
    provider_code: str


def after_children(children: Sequence[Child], *, proceed: bool) -> Outcome | int | None:
    """What becomes of a project whose own children are these.

    A rank: children of that rank may go now. None: some are still under way. An outcome:
    DELETED stands for "the project may go", DEPENDENCY_FAILED for "it may not".
    """
    if any(child.state not in _AT_REST for child in children):
        return None
    blocked = [child.rank for child in children if child.state is ItemState.BLOCKED]
    if blocked:
        return min(blocked)
    return Outcome.DELETED if proceed or not failures(children) else Outcome.DEPENDENCY_FAILED


_AT_REST = frozenset({ItemState.BLOCKED, ItemState.SETTLED})


def failures(children: Iterable[Child]) -> list[Child]:
    """Children that are still there, or of which nobody knows."""
    return [
        child
        for child in children
        if child.outcome is not None and child.outcome.bucket is not Bucket.SUCCEEDED
    ]


def with_parent(parent: Outcome) -> Outcome:
    """How children end that go with their project, given how it ended."""
    match parent.bucket:
        case Bucket.SUCCEEDED:
            return Outcome.DELETED_WITH_PARENT
        case Bucket.SKIPPED | Bucket.UNPROCESSED:
            return parent
        case Bucket.FAILED | Bucket.UNKNOWN:
            return Outcome.DEPENDENCY_FAILED


def follow(
    conn: Connection, settled: Sequence[SettledItem], jobs: Mapping[str, Job]
) -> list[SettledItem]:
    """Settle and release what follows from `settled`; returns what was settled on the way."""
    all_new: list[SettledItem] = []
    fresh = list(settled)
    while fresh:
        new = [*_release_parents(conn, fresh, jobs), *_settle_companions(conn, fresh)]
        settle(conn, new)
        all_new += new
        fresh = new
    return all_new


def settle(conn: Connection, items: Sequence[SettledItem]) -> None:
    """Write outcomes that no call of the item's own decided."""
    if items:
        conn.execute(
            _SETTLE,
            [{"b_id": i.id, "outcome": i.outcome.value, "reason": i.reason[:300]} for i in items],
        )


def _release_parents(
    conn: Connection, settled: Sequence[SettledItem], jobs: Mapping[str, Job]
) -> list[SettledItem]:
    job_by_parent = {i.parent_item_id: jobs[i.job_id] for i in settled if i.parent_item_id}
    ended: list[SettledItem] = []
    for parent_id, children in _children_of(conn, list(job_by_parent)).items():
        options = job_by_parent[parent_id].options
        what = after_children(children, proceed=options.on_child_refused == "proceed")
        match what:
            case None:
                pass
            case Outcome.DEPENDENCY_FAILED:
                first = failures(children)[0]
                code = f" (code {first.provider_code})" if first.provider_code else ""
                why = f"{first.kind} {first.external_id} ended {first.outcome}{code}"
                ended += _parent(conn, parent_id, Outcome.DEPENDENCY_FAILED, why)
            case Outcome():
                step = Step.RECHECK if options.recheck else Step.DELETE
                _release(conn, ITEMS.c.id == parent_id, step)
            case rank:
                own = (ITEMS.c.parent_item_id == parent_id) & (ITEMS.c.rank == rank)
                _release(conn, own & ~ITEMS.c.goes_with_parent, Step.DELETE)
    return ended


def _children_of(conn: Connection, parents: Sequence[int]) -> dict[int, list[Child]]:
    found: dict[int, list[Child]] = {}
    if not parents:
        return found
    rows = conn.execute(
        select(ITEMS).where(ITEMS.c.parent_item_id.in_(parents), ~ITEMS.c.goes_with_parent)
    )
    for row in rows:
        found.setdefault(row.parent_item_id, []).append(
            Child(
                kind=row.kind,
                external_id=row.external_id,
                rank=row.rank,
                state=ItemState(row.state),
                outcome=Outcome(row.outcome) if row.outcome else None,
                provider_code=row.provider_code,
            )
        )
    return found


def _release(conn: Connection, which: Any, step: Step) -> None:  # noqa: ANN401  an SQL condition
    blocked = ITEMS.c.state == ItemState.BLOCKED.value
    values = {"state": ItemState.PENDING.value, "step": step.value}
    conn.execute(update(ITEMS).where(which, blocked).values(values))


def _parent(conn: Connection, item_id: int, outcome: Outcome, why: str) -> list[SettledItem]:
    rows = conn.execute(select(ITEMS).where(ITEMS.c.id == item_id, ITEMS.c.state == "blocked"))
    return [_settled_row(row, outcome, why) for row in rows]


def _settle_companions(conn: Connection, settled: Sequence[SettledItem]) -> list[SettledItem]:
    parents = {item.id: item for item in settled if item.kind == PROJECT}
    if not parents:
        return []
    rows = conn.execute(
        select(ITEMS).where(
            ITEMS.c.parent_item_id.in_(list(parents)), ITEMS.c.state != ItemState.SETTLED.value
        )
    )
    return [
        _settled_row(
            row,
            with_parent(parents[row.parent_item_id].outcome),
            f"its project ended {parents[row.parent_item_id].outcome}",
        )
        for row in rows
    ]


def _settled_row(row: Any, outcome: Outcome, why: str) -> SettledItem:  # noqa: ANN401  a row of items
    return SettledItem(
        id=row.id,
        job_id=row.job_id,
        kind=row.kind,
        external_id=row.external_id,
        parent_external_id=row.parent_external_id,
        parent_item_id=row.parent_item_id,
        outcome=outcome,
        reason=why,
    )
