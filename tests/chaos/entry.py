"""A worker with witnesses in it: `python -m tests.chaos.entry CELERY-ARGUMENTS`.

The product carries no hooks. This module starts the same Celery worker after wrapping the ports
of a slice: to die at a named point while another call is in flight, to move its own clock, and to
note every call that leaves without a committed intent.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from celery.__main__ import main
from sqlalchemy import text

import worker.app
from worker.domain.calls import Action, Answer, Call
from worker.providers.http import HttpProvider
from worker.store.engine import Database
from worker.store.work import SqlWorkStore

FOLDER = "CHAOS_FOLDER"
SENT_AFTER = 0.03
"""Seconds after which a request has left: the sandbox takes longer to answer."""


class Point(StrEnum):
    """Where a worker can be made to die."""

    BEFORE_INTENT = "before intent"
    AFTER_INTENT = "after intent"
    AFTER_SEND = "after send"
    AFTER_ANSWER = "after answer"
    BEFORE_SETTLE = "before settle"
    AFTER_SETTLE = "after settle"
    BEFORE_DOORBELL = "before the next doorbell"


class Witness:
    """What this process knows of its own calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database: Database | None = None
        self.flying = 0

    def at(self, point: Point) -> None:
        """Die here, if that is wanted, and if a call is in flight; the order is taken once."""
        order = self._folder / "die"
        if not self.flying or not order.exists() or order.read_text(encoding="utf-8") != point:
            return
        try:
            order.rename(self._folder / f"died-{os.getpid()}")
        except FileNotFoundError:
            return  # another thread or process was quicker
        os.kill(os.getpid(), signal.SIGKILL)

    def check_intent(self, call: Call) -> None:
        """Note a call that leaves although no intent of it is committed."""
        if call.action is Action.LIST:
            return
        if self._database is None:
            self._database = Database(os.environ["BULKDEL_DATABASE_URL"])
        target = call.targets[0]
        asked = text(
            "SELECT count(*) FROM items WHERE state = 'sent' AND ((kind = :kind AND "
            "external_id = :id AND parent_external_id = :parent) "
            "OR (:below <> '' AND parent_external_id = :below))"
        )
        parent = target.parent_external_id
        of = {"kind": target.kind, "id": target.external_id, "parent": parent}
        # Children are looked at by reading their project.
        of["below"] = "" if call.action is Action.DELETE else target.external_id
        with self._database.read() as connection:
            if connection.execute(asked, of).scalar_one():
                return
        line = json.dumps({"no_intent": str(call.action), **of})
        with (self._folder / "witnessed.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _watch_store(witness: Witness) -> None:
    commit = SqlWorkStore.commit

    def watched(self: SqlWorkStore, lease: Any, batch: Any, length: Any) -> Any:  # noqa: ANN401  passed on
        if batch.opens:
            witness.at(Point.BEFORE_INTENT)
        if batch.done:
            witness.at(Point.BEFORE_SETTLE)
        committed = commit(self, lease, batch, length)
        if batch.done:
            witness.at(Point.AFTER_SETTLE)
        if batch.opens:
            witness.at(Point.AFTER_INTENT)
        return committed

    SqlWorkStore.commit = watched  # type: ignore[method-assign]  # the point of this module


def _watch_provider(witness: Witness) -> None:
    perform = HttpProvider.perform

    async def watched(self: HttpProvider, call: Call) -> Answer:
        try:
            await asyncio.to_thread(witness.check_intent, call)
        except Exception as error:  # noqa: BLE001  the database may be gone: nothing is witnessed
            sys.stderr.write(f"not witnessed: {error}\n")
        witness.flying += 1
        try:
            task = asyncio.ensure_future(perform(self, call))
            await asyncio.wait({task}, timeout=SENT_AFTER)
            if not task.done():
                witness.at(Point.AFTER_SEND)
            answer = await task
            witness.at(Point.AFTER_ANSWER)
            return answer
        finally:
            witness.flying -= 1

    HttpProvider.perform = watched  # type: ignore[method-assign]  # the same


def _watch_bell(witness: Witness) -> None:
    ring: Callable[..., None] = worker.app.CeleryBell.ring

    def watched(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  passed on
        witness.at(Point.BEFORE_DOORBELL)
        ring(self, *args, **kwargs)

    worker.app.CeleryBell.ring = watched  # type: ignore[method-assign]  # the same


if __name__ == "__main__":
    watching = Witness(Path(os.environ[FOLDER]))
    _watch_store(watching)
    _watch_provider(watching)
    _watch_bell(watching)
    sys.argv = ["celery", *sys.argv[1:]]
    sys.exit(main())
