"""What can be certified of a finished job: its counts, and the head of its chain at its end."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from worker.domain.audit import Event, job_chain
from worker.domain.errors import Refused
from worker.domain.states import FINAL
from worker.ports import Job
from worker.store.engine import Database
from worker.store.models import AUDIT, JOBS


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """The entry that moved the job to its end, and the calls that came back after it."""

    seq: int
    hash: str
    at: datetime
    late: int


def chain_end(db: Database, job: Job) -> ChainEnd:
    """The end of a finished job's chain; Refused if it is not finished."""
    if job.state not in FINAL:
        raise Refused(
            f"job {job.id} is {job.state}: only a finished job has a certificate",
            fix=f"bulkdel watch {job.id} follows it to its end",
        )
    own = AUDIT.c.chain == job_chain(job.id)
    last = (
        select(AUDIT.c.seq, AUDIT.c.hash, AUDIT.c.at)
        .where(own, AUDIT.c.event == Event.JOB_MOVED.value)
        .order_by(AUDIT.c.seq.desc())
        .limit(1)
    )
    with db.read() as conn:
        seq, digest, at = conn.execute(last).one()
        late = select(func.count()).where(own, AUDIT.c.seq > seq)
        return ChainEnd(seq=seq, hash=digest, at=at, late=conn.execute(late).scalar_one())


def first_ended(conn: Connection) -> datetime | None:
    """When the first of all jobs ended."""
    at: datetime | None = conn.execute(select(func.min(JOBS.c.finished_at))).scalar_one()
    return at
