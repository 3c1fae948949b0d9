"""A plan's yes and a second person's: decided under the locks, by its guards as they stand."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from worker.domain.errors import Refused
from worker.domain.states import JobState
from worker.ports import Job, Move, Note, Remeasured, Who
from worker.store.chain import lock_heads
from worker.store.engine import Database
from worker.store.engine import now as db_now
from worker.store.holds import remeasure
from worker.store.models import APPROVALS, JOBS
from worker.store.moves import perform, read_job, ring_bell

Decide = Callable[[Job, datetime, Remeasured], Move | Note | None]
LIKE_THAT = "that takes a second person: neither who submitted it nor who gave its word"


class Confirmations:
    """Confirmations and approvals. Two of one account are decided one after the other."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def confirm(self, job_id: str, decide: Decide) -> Job:
        """Confirm a plan as `decide` says; if a second person is to agree, they are asked."""
        with self._db.write() as conn:
            job, at, what = _decided(conn, job_id, decide)
            after = perform(conn, job, what)
            asked = isinstance(what, Move) and what.to is JobState.AWAITING_APPROVAL
            if asked and what is not None:
                _ask(conn, job, at, confirmer=what.actor)
            return after

    def second(self, job_id: str, decide: Decide, *, decision: str, who: Who, why: str) -> Job:
        """Write down what a second person says, and do what `decide` makes of it.

        Raises Refused if the database takes them for no second person.
        """
        try:
            with self._db.write() as conn:
                job, at, what = _decided(conn, job_id, decide)
                said = {
                    "decision": decision,
                    "approver": who.name,
                    "os_user": who.os_user,
                    "host": who.host,
                    "why": why,
                    "decided_at": at,
                }
                mine = update(APPROVALS).where(APPROVALS.c.job_id == job_id)
                undecided = mine.where(APPROVALS.c.decision == "")
                if conn.execute(undecided.values(said)).rowcount != 1:
                    raise Refused(f"job {job_id} was decided meanwhile")
                return perform(conn, job, what)
        except IntegrityError as error:
            if "second_person" not in str(error.orig):
                raise
        raise Refused(
            f"{who.name} cannot decide about job {job_id}: {LIKE_THAT}",
            fix="ask somebody else; bulkdel cancel stops it",
        )


def _decided(
    conn: Connection, job_id: str, decide: Decide
) -> tuple[Job, datetime, Move | Note | None]:
    """The job under its locks, the time, and what was decided about it."""
    at = db_now(conn)
    account = conn.execute(select(JOBS.c.account).where(JOBS.c.id == job_id)).scalar_one()
    ring_bell(conn, account, at)
    lock_heads(conn, [f"job:{job_id}"])
    job = read_job(conn, job_id)
    return job, at, decide(job, at, remeasure(conn, job, at))


def _ask(conn: Connection, job: Job, at: datetime, *, confirmer: str) -> None:
    asked = {
        "job_id": job.id,
        "submitter": job.who.name,
        "confirmer": confirmer,
        "plan_hash": job.plan.hash,
        "asked_at": at,
    }
    conn.execute(insert(APPROVALS).values(asked))
