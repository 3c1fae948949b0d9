"""Jobs from Python programs: `from worker.producer import submit, DeleteProjects`.

job_id = submit(
    DeleteProjects(account="acme", reason="closed", cascade=["all"], key="run-7"), ["101", "102"]
)

or, as a message to another service says it, `submit(DeleteProjects(…, ids=["101", "102"]))`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib import import_module

from worker.bootstrap import Desk
from worker.config.settings import Settings
from worker.domain.errors import InvalidInput
from worker.ports import DoorBell
from worker.services import submit as submitting
from worker.services.inbox import words_of

__all__ = ["DeleteProjects", "submit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteProjects(submitting.DeleteProjects):
    """A request by a Python program: it may carry its ids, and use the command's own words.

    `cascade` may be the one text that `--cascade` takes, `idempotency_key` stands for `key`.
    """

    ids: Iterable[str] = ()
    idempotency_key: str | None = None


def submit(
    request: submitting.DeleteProjects, ids: Iterable[str] = (), *, bell: DoorBell | None = None
) -> str:
    """Keep a job by the settings of the environment; returns its id.

    The same key with the same request gives the job there is. `ids` may be a stream, and there
    are none where the request has filters; nothing is kept if it raises.

    Raises InvalidInput, KeyReused and Unreachable.
    """
    if isinstance(request, DeleteProjects):
        ids = ids or request.ids
        request = _plain(request)
    if isinstance(ids, str):
        raise InvalidInput("ids are a list of texts, not one text", fix='ids=["101", "102"]')
    desk = Desk.open(os.environ, bell or _bell(Settings.load(os.environ)))
    try:
        kept = desk.submit(request, enumerate(ids, start=1))
    finally:
        desk.db.dispose()
    return kept.job.id


def _plain(request: DeleteProjects) -> submitting.DeleteProjects:
    given = {one.name: getattr(request, one.name) for one in fields(submitting.DeleteProjects)}
    given["key"] = request.key or request.idempotency_key
    given["cascade"] = words_of(request.cascade)
    return submitting.DeleteProjects(**given)


def _bell(settings: Settings) -> DoorBell:
    # Celery is known to the app alone, and this module stands below it.
    bell: DoorBell = import_module("worker.app").CeleryBell(settings)
    return bell
