"""The Celery tasks: a few lines each, no decisions."""

from datetime import timedelta
from typing import Any

from worker.app import app, runtime
from worker.domain.errors import BulkdelError, InvalidInput, Unreachable
from worker.services.inbox import request_of
from worker.telemetry import logger

AGAIN_AFTER = timedelta(seconds=10)
"""How long until a submission is sent again that could not be kept."""
log = logger("tasks")


@app.task(name="bulkdel.run_slice")
def run_slice(account: str) -> None:
    """Work an account for one slice."""
    runtime().work(account)


@app.task(name="bulkdel.plan_job")
def plan_job(job_id: str) -> None:
    """Work the account of a job that was just submitted."""
    runtime().work(runtime().desk.jobs.get(job_id).account)


@app.task(name="bulkdel.sweep")
def sweep() -> None:
    """Sweep now, if it is this process' turn."""
    runtime().sweep(timedelta(seconds=10))


@app.task(name="bulkdel.submit", acks_late=True, bind=True, max_retries=None)
def submit(self: Any, /, request: Any = None, **named: Any) -> str:  # noqa: ANN401  whatever is sent
    """Take a job in for another service; the key makes a redelivery harmless.

    The request is one object, or its fields by their names. While the database is away it is
    sent again: this message is the only place where it stands.
    """
    try:
        desk = runtime().desk.acting_as(f"task:{self.request.origin or 'unknown'}")
        asked, ids = request_of(named if request is None else request)
        return desk.submit(asked, ids).job.id
    except Unreachable as error:
        log.warning("submission.waits", what=error.what, fix=error.fix)
        raise self.retry(countdown=AGAIN_AFTER.total_seconds(), exc=error) from None
    except InvalidInput as error:
        log.warning("submission.refused", what=error.what, fix=error.fix)
        return ""


@app.task(name="bulkdel.run_policy")
def run_policy(name: str) -> None:
    """Run what is due of a policy; what another worker was faster with is left alone."""
    try:
        runtime().policies.settle(name)
    except BulkdelError as error:
        log.warning("policy.failed", policy=name, what=error.what, fix=error.fix)
