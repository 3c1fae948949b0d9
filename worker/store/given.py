"""Items as a submission gives them: its projects, and the timer that goes before them."""

import json
from typing import IO, Any

from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.dialects import sqlite

from worker.domain.calls import CURRENT, PROJECT, TIMER
from worker.domain.outcomes import Outcome
from worker.domain.states import ItemState
from worker.domain.steps import Step
from worker.ports import NewJob
from worker.store.models import ITEMS

_PG_ITEMS = text(
    "INSERT INTO items (job_id, account, position, rank, kind, external_id, step) "
    "SELECT :job_id, :account, row.position, :rank, 'project', row.external_id, :step "
    "FROM unnest(CAST(:positions AS integer[]), CAST(:ids AS text[])) "
    "AS row (position, external_id) "
    "ON CONFLICT DO NOTHING"
)
_SQLITE_ITEMS = sqlite.insert(ITEMS).on_conflict_do_nothing()


def insert_items(
    conn: Connection, new: NewJob, job_id: str, spool: IO[str], rank: int
) -> tuple[int, int]:
    """Insert the projects, a line of them at a time; returns how many were given, and kept."""
    if new.options.stop_timer:
        conn.execute(insert(ITEMS).values(**_timer_values(new, job_id)))
    same = {
        "job_id": job_id,
        "account": new.account,
        "rank": rank,
        "step": (Step.READ if new.options.cascade else Step.READY).value,
    }
    given = kept = 0
    spool.seek(0)
    for line in spool:
        chunk = json.loads(line)
        positions = range(given + 1, given + len(chunk) + 1)
        if conn.dialect.name == "postgresql":
            values = {**same, "positions": list(positions), "ids": chunk}
            kept += conn.execute(_PG_ITEMS, values).rowcount
        else:
            rows = [
                {**same, "kind": PROJECT, "state": ItemState.PENDING.value}
                | {"position": position, "external_id": external_id}
                for position, external_id in zip(positions, chunk, strict=True)
            ]
            kept += conn.execute(_SQLITE_ITEMS, rows).rowcount
        given += len(chunk)
    return given, kept


def carry_lost(conn: Connection, new: NewJob, job_id: str) -> None:
    """A retry takes up projects of which nobody knows whether our last attempt deleted them.

    One that is gone by now is gone by that attempt, whose answer was lost.
    """
    before = ITEMS.alias("before")
    lost = select(before.c.external_id).where(
        before.c.job_id == new.parent_job_id,
        before.c.account == new.account,
        before.c.kind == PROJECT,
        before.c.outcome == Outcome.UNKNOWN.value,
    )
    mine = update(ITEMS).where(ITEMS.c.job_id == job_id, ITEMS.c.kind == PROJECT)
    conn.execute(mine.where(ITEMS.c.external_id.in_(lost)).values(lost=1))


def _timer_values(new: NewJob, job_id: str) -> dict[str, Any]:
    """The caller's running timer: it goes before everything else."""
    return {
        "job_id": job_id,
        "account": new.account,
        "position": 0,
        "rank": -1,
        "kind": TIMER,
        "external_id": CURRENT,
        "state": ItemState.PENDING.value,
        "step": Step.DELETE.value,
    }
