"""The scheduler of celery beat: it rings for policies that are due, and decides nothing itself."""

from datetime import timedelta
from typing import Any

from celery.beat import Scheduler

from worker.app import RUN_POLICY, runtime, send
from worker.domain.errors import BulkdelError
from worker.policies import LOOK_EVERY
from worker.telemetry import logger

SHORTEST = timedelta(milliseconds=50)
log = logger("clock")


class PolicyClock(Scheduler):
    """Looks at the policies, at least every five seconds, beside what `beat_schedule` may hold.

    It keeps nothing that matters: the database knows which slots are decided, so that beats
    may be several, be killed, or come back late.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:  # noqa: ANN401  Celery's signature
        """Ring for what is due; returns in how many seconds to look again."""
        others: float = super().tick(*args, **kwargs)
        return min(others, max(_look(), SHORTEST).total_seconds())


def _look() -> timedelta:
    try:
        return runtime().policies.look(_ring)
    except BulkdelError as error:
        log.warning("clock.failed", what=error.what, fix=error.fix)
    except Exception:
        log.exception("clock.broken")
    return LOOK_EVERY


def _ring(name: str) -> None:
    send(RUN_POLICY, name, timedelta(0))
