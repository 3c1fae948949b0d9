"""Which items of a job may go now, where some wait for others by the job's own rules."""

from sqlalchemy import ColumnElement, Connection, and_, literal_column, select, true

from worker.domain.bulk import Bulk
from worker.domain.states import ItemState
from worker.domain.steps import Step
from worker.store.models import ITEMS

_OPEN = ITEMS.c.state != ItemState.SETTLED.value
NO_CHUNK = ITEMS.c.step != Step.CHUNK.value
"""What does not go by chunks."""


def not_before_canary(bulk: Bulk) -> ColumnElement[bool]:
    """What goes by chunks waits until the first one is through, and goes no more if refused."""
    return true() if bulk.may_go else NO_CHUNK


def state_is(*states: ItemState) -> ColumnElement[bool]:
    """Whether an item has one of these states, which stand in the text of the statement."""
    return ITEMS.c.state.in_([literal_column(f"'{state.value}'") for state in states])


def has_open(conn: Connection, job_id: str, step: Step) -> bool:
    """Whether an open item of the job is at this step."""
    wanted = and_(ITEMS.c.job_id == job_id, _OPEN, ITEMS.c.step == step.value)
    return conn.execute(select(ITEMS.c.id).where(wanted).limit(1)).first() is not None


def awaits_proof(conn: Connection, job_id: str, bulk: Bulk, *, stopping: bool) -> bool:
    """Whether the chunks of a job are all sent, and what they took waits for the proof."""
    if not has_open(conn, job_id, Step.PROVE):
        return False
    return stopping or not bulk.may_go or not has_open(conn, job_id, Step.CHUNK)
