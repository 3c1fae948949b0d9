"""A whole job inside one process: the sandbox over HTTP, a desk, slices, and the commands."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner
from sqlalchemy import text

from tests.integration.stage import ORGANIZATION, Stage
from worker.cli import cli
from worker.cli.desk import SilentBell
from worker.ports import Job


@dataclass
class Room:
    """A stage, and its commands."""

    stage: Stage
    env: dict[str, str]

    async def say(self, *args: str) -> tuple[int, str]:
        """A command's exit code, and what it printed."""

        def run() -> tuple[int, str]:
            done = CliRunner().invoke(cli, args, env=self.env, obj=SilentBell())
            return done.exit_code, done.output

        return await asyncio.to_thread(run)

    async def seed(self, projects: int, **amounts: object) -> list[str]:
        ids: list[str] = await self.stage.tell("seed", ORGANIZATION, projects=projects, **amounts)
        return ids

    async def plan(self, ids: list[str], **fields: Any) -> Job:  # noqa: ANN401  any field of a request
        asked: dict[str, Any] = {"cascade": ("none",)} | fields
        job_id = await asyncio.to_thread(lambda: self.stage.submit(ids, **asked))
        return await self.stage.planned(job_id)

    async def confirm(self, job: Job) -> int:
        code, _ = await self.say("confirm", job.id, "--word", job.plan.word, "--json")
        return code

    async def run(self, job: Job) -> Job:
        """Confirm a job and work it to its end, or to where a guard leaves it."""
        await self.confirm(job)
        return await self.stage.finished(job.id)

    def sql(self, statement: str) -> None:
        with self.stage.desk.db.write() as conn:
            conn.execute(text(statement))

    def hold(self, *ids: str, account: str = "acme") -> int:
        held = self.stage.desk.hold(account, ids, owner="legal", reason="case 1")
        return held[0].id

    def outcomes(self, job: Job) -> dict[str, str]:
        items = self.stage.items(self.stage.desk.jobs.get(job.id))
        return {i.seen.target.external_id: str(i.outcome) for i in items}

    async def gone(self) -> set[str]:
        return {row["id"] for row in await self.stage.deletions()}


Rooms = Callable[..., AbstractAsyncContextManager[Room]]
