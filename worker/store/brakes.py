"""The breakers of jobs: counted with the outcomes, in the transaction that writes them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, update

from worker.domain.audit import Event
from worker.domain.breakers import Breakers, Tally, Trip, Tripped, judge
from worker.domain.calls import PROJECT
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import PAUSABLE, JobState, Waiting
from worker.domain.steps import Step
from worker.ports import Done, Job, Lease, WaitingOn
from worker.store.cascade import SettledItem
from worker.store.chain import append
from worker.store.models import JOBS
from worker.store.moves import job_entry, move
from worker.store.rows import TALLY, waiting_columns

_KEEP = update(JOBS).where(JOBS.c.id == bindparam("b_id")).values(tally=bindparam("b_tally"))


def watch(
    conn: Connection,
    lease: Lease,
    jobs: Mapping[str, Job],
    came: tuple[Sequence[Done], Sequence[SettledItem]],
    rules: Breakers,
) -> bool:
    """Count what came back and what settled by it; stop jobs whose breaker says so.

    Returns whether one was stopped, so that the jobs are read again.
    """
    done, settled = came
    stopped = False
    for job_id in dict.fromkeys(one.job_id for one in done):
        job = jobs[job_id]
        ended = [item for item in settled if item.job_id == job_id]
        read = [one for one in done if one.job_id == job_id]
        now = job.tally.saw(_looked(job, read, ended), first=rules.absent_first)
        if job.state is not JobState.PLANNING:
            now = now.ended([*_taken(read), *(item.outcome for item in ended)])
        if job.bulk.is_in_use:  # what chunks leave is tried by itself, one after the other
            now = replace(now, in_a_row=0)
        stopped |= _count(conn, lease, job, now, rules)
    return stopped


def count_ended(
    conn: Connection, lease: Lease, job: Job, outcomes: Iterable[Outcome], rules: Breakers
) -> None:
    """Count items that ended without a call."""
    _count(conn, lease, job, job.tally.ended(outcomes), rules)


def doubt(conn: Connection, lease: Lease, job: Job, why: str) -> None:
    """Pause a job to ask whether its list is the right one; it is noted that it was asked."""
    asked = replace(job.tally, asked=True)
    conn.execute(_KEEP, {"b_id": job.id, "b_tally": TALLY.dump_json(asked).decode()})
    _pause(conn, lease, job, Tripped(trip=Trip.PAUSE, why=why))


def stop(conn: Connection, lease: Lease, job: Job, to: JobState, why: str) -> None:
    """Bring a job to this end; what is left of it ends with the reason."""
    columns = {"stopping": to.value, "stop_reason": why}
    detail = {"why": why, **columns}
    append(conn, [job_entry(job, Event.JOB_CHANGED, actor=lease.owner, detail=detail)])
    waiting = WaitingOn(
        code=Waiting.WORKER, sentence=f"{why}; being brought to its end", since=lease.now
    )
    values = {**columns, **waiting_columns(waiting)}
    conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(values))


def _looked(job: Job, done: Sequence[Done], ended: Sequence[SettledItem]) -> list[bool]:
    """Which of the job's projects were found to be there, or not, in this order.

    A job with children reads each project for its plan; one without learns it by deleting.
    What a retry takes up was in a plan before, and may well be gone by now.
    """
    plans = job.state is JobState.PLANNING
    if plans is not bool(job.options.cascade) or job.parent_job_id:
        return []
    absent = [False for item in ended if _is(item, Outcome.ALREADY_ABSENT)]
    if not plans:
        there = [True for item in ended if _is(item, Outcome.DELETED)]
        return [True for _ in _taken(done)] + there + absent
    return [True for one in done if _shows_project(one)] + absent


def _taken(done: Sequence[Done]) -> list[Outcome]:
    """What a bulk delete took counts as gone at once: its proof comes much later."""
    accepted = [one for one in done if one.answer.verdict is Verdict.ACCEPTED]
    return [Outcome.DELETED for one in accepted for _ in one.changes]


def _is(item: SettledItem, outcome: Outcome) -> bool:
    return item.kind == PROJECT and item.outcome is outcome


def _shows_project(one: Done) -> bool:
    if one.answer.verdict is not Verdict.SEEN or len(one.changes) != 1:
        return False
    item = one.changes[0].item
    progress = item.progress
    is_read = progress.step is Step.READ and progress.source == 0
    return is_read and item.seen.target.kind == PROJECT


def _count(conn: Connection, lease: Lease, job: Job, now: Tally, rules: Breakers) -> bool:
    if now == job.tally:
        return False
    conn.execute(_KEEP, {"b_id": job.id, "b_tally": TALLY.dump_json(now).decode()})
    tripped = judge(rules, job.tally, now)
    if tripped is None or job.stopping or job.dry_run or job.state not in PAUSABLE:
        return False
    if tripped.trip is Trip.PAUSE:
        _pause(conn, lease, job, tripped)
    else:
        why = f"a breaker stopped the job: {tripped.why}"
        stop(conn, lease, job, JobState.FAILED, why)
    return True


def _pause(conn: Connection, lease: Lease, job: Job, tripped: Tripped) -> None:
    sentence = (
        f"{tripped.why} Look with bulkdel report {job.id}, "
        f"then bulkdel cancel {job.id}, or bulkdel resume {job.id}"
    )
    waiting = WaitingOn(code=Waiting.CONFIRMATION, sentence=sentence)
    move(
        conn,
        job,
        JobState.PAUSED,
        actor=lease.owner,
        why=tripped.why,
        waiting=waiting,
        paused_from=job.state.value,
    )
