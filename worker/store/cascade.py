"""What settled items mean for the others: the next kind, the project, what went with it.

The decisions are pure (`after_children`, `with_parent`); `follow` reads and writes what they
need, in the transaction of the items that settled.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, update

from worker.domain.calls import PROJECT, TIMER
from worker.domain.outcomes import Bucket, Outcome
from worker.domain.states import ItemState
from worker.domain.steps import SENT, Step
from worker.ports import Item, Job
from worker.store.changes import write_items
from worker.store.models import ITEMS
from worker.store.rows import settled_columns

AT_REST = and_(
    ITEMS.c.state.in_(
        [ItemState.PENDING.value, ItemState.BLOCKED.value, ItemState.DEFERRED.value]
    ),
    ITEMS.c.step.not_in([step.value for step in SENT]),
)
"""Items of which no call is under way, and none was sent whose answer was lost."""


def after_timer(job_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Items that may go now in a job that stops the timer first: it alone, until it has ended."""
    timer = ITEMS.alias("timer")
    runs = exists().where(
        timer.c.job_id == job_id,
        timer.c.kind == TIMER,
        timer.c.state != ItemState.SETTLED.value,
    )
    return or_(ITEMS.c.kind == TIMER, ~runs)


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
    DELETED stands for "the project may go"; any other is its own. Children that were spared,
    and nothing else, spare the project as well.
    """
    if any(child.state not in _AT_REST for child in children):
        return None
    blocked = [child.rank for child in children if child.state is ItemState.BLOCKED]
    if blocked:
        return min(blocked)
    left = {child.outcome for child in blockers(children, proceed=proceed) if child.outcome}
    if left and left <= _SPARED:
        return min(left)
    return Outcome.DEPENDENCY_FAILED if left else Outcome.DELETED


_AT_REST = frozenset({ItemState.BLOCKED, ItemState.SETTLED})
_SPARED: frozenset[Outcome] = frozenset({Outcome.SKIPPED_PROTECTED, Outcome.SKIPPED_HELD})


def blockers(children: Iterable[Child], *, proceed: bool) -> list[Child]:
    """Children over which the project may not go."""
    return [child for child in failures(children) if not (proceed and _has_failed(child))]


def _has_failed(child: Child) -> bool:
    """Whether `--on-child-refused proceed` forgives the child: spared ones it does not."""
    return child.outcome is not None and child.outcome.bucket is Bucket.FAILED


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
        case Bucket.FAILED:
            return Outcome.DEPENDENCY_FAILED
        case Bucket.SKIPPED | Bucket.UNPROCESSED | Bucket.UNKNOWN:
            return parent


def follow(
    conn: Connection, settled: Sequence[SettledItem], jobs: Mapping[str, Job]
) -> list[SettledItem]:
    """Settle and release what follows from `settled`; returns what was settled on the way."""
    all_new: list[SettledItem] = []
    fresh = list(settled)
    while fresh:
        new = [*_release_parents(conn, fresh, jobs), *_settle_companions(conn, fresh, jobs)]
        settle(conn, new)
        all_new += new
        fresh = new
    return all_new


def settle(conn: Connection, items: Sequence[SettledItem]) -> None:
    """Write outcomes that no call of the item's own decided."""
    write_items(conn, [{"id": i.id, **settled_columns(i.outcome, i.reason)} for i in items])


def _release_parents(
    conn: Connection, settled: Sequence[SettledItem], jobs: Mapping[str, Job]
) -> list[SettledItem]:
    job_by_parent = {i.parent_item_id: jobs[i.job_id] for i in settled if i.parent_item_id}
    ended: dict[int, tuple[Outcome, str]] = {}
    by_step: dict[Step, list[int]] = {}
    by_rank: dict[int, list[int]] = {}
    for parent_id, children in _children_of(conn, list(job_by_parent)).items():
        options = job_by_parent[parent_id].options
        match after_children(children, proceed=options.on_child_refused == "proceed"):
            case None:
                pass
            case Outcome.DELETED:
                step = Step.RECHECK if options.recheck else Step.DELETE
                by_step.setdefault(step, []).append(parent_id)
            case Outcome() as outcome:
                proceed = options.on_child_refused == "proceed"
                ended[parent_id] = (outcome, _why(blockers(children, proceed=proceed)[0]))
            case rank:
                by_rank.setdefault(rank, []).append(parent_id)
    for step, parents in by_step.items():
        _release(conn, ITEMS.c.id.in_(parents), step)
    for rank, parents in by_rank.items():
        own = ITEMS.c.parent_item_id.in_(parents) & (ITEMS.c.rank == rank)
        _release(conn, own & ~ITEMS.c.goes_with_parent, Step.DELETE)
    return _ended_parents(conn, ended)


def _why(child: Child) -> str:
    failed = child.outcome is not None and child.outcome.bucket is Bucket.FAILED
    code = f" (code {child.provider_code})" if failed and child.provider_code else ""
    return f"{child.kind} {child.external_id} ended {child.outcome}{code}"


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


def _ended_parents(
    conn: Connection, ended: Mapping[int, tuple[Outcome, str]]
) -> list[SettledItem]:
    if not ended:
        return []
    blocked = ITEMS.c.state == ItemState.BLOCKED.value
    rows = conn.execute(select(ITEMS).where(ITEMS.c.id.in_(list(ended)), blocked))
    return [_settled_row(row, *ended[row.id]) for row in rows]


def _settle_companions(
    conn: Connection, settled: Sequence[SettledItem], jobs: Mapping[str, Job]
) -> list[SettledItem]:
    """What hangs on projects that settled, and has nothing under way.

    A child that was sent, or whose answer was lost, ends by its own answer or look: a project
    can settle before it only if it was not deleted.
    """
    parents = {i.id: i for i in settled if i.kind == PROJECT and jobs[i.job_id].options.cascade}
    if not parents:
        return []
    rows = conn.execute(select(ITEMS).where(ITEMS.c.parent_item_id.in_(list(parents)), AT_REST))
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
