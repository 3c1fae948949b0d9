"""Jobs from Python programs: `from worker.producer import submit, DeleteProjects`.

job_id = submit(
    DeleteProjects(account="acme", reason="closed", cascade=["all"], key="run-7"), ["101", "102"]
)
"""

import os
from collections.abc import Iterable
from importlib import import_module

from worker.bootstrap import Desk
from worker.config.settings import Settings
from worker.ports import DoorBell
from worker.services.submit import DeleteProjects

__all__ = ["DeleteProjects", "submit"]


def submit(
    request: DeleteProjects, ids: Iterable[str] = (), *, bell: DoorBell | None = None
) -> str:
    """Keep a job by the settings of the environment; returns its id.

    The same key with the same request gives the job there is. `ids` may be a stream, and there
    are none where the request has filters; nothing is kept if it raises.

    Raises InvalidInput, KeyReused and Unreachable.
    """
    desk = Desk.open(os.environ, bell or _bell(Settings.load(os.environ)))
    try:
        kept = desk.submit(request, enumerate(ids, start=1))
    finally:
        desk.db.dispose()
    return kept.job.id


def _bell(settings: Settings) -> DoorBell:
    # Celery is known to the app alone, and this module stands below it.
    bell: DoorBell = import_module("worker.app").CeleryBell(settings)
    return bell
