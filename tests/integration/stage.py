"""A sandbox, a desk and a worker's slices inside one test: no process beside it, no server."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from worker.bootstrap import Desk
from worker.cli.desk import SilentBell
from worker.connecting import connection_of
from worker.domain.retry import RetryPolicy
from worker.domain.states import FINAL, JobState
from worker.ports import Item, Job, Provider
from worker.producer import DeleteProjects
from worker.providers.http import HttpProvider
from worker.ratelimit.tokens import RedisTokens
from worker.sandbox.client import Control
from worker.sandbox.server import Sandbox
from worker.services import control
from worker.services.execute import Pulses, run_slice
from worker.services.tools import Tools
from worker.store.accounts import Accounts
from worker.store.audit_log import calls_since, refusals_since
from worker.store.chunks import Chunks
from worker.store.endings import Endings
from worker.store.holds import SqlGuards
from worker.store.plans import Plans
from worker.store.verify import verify
from worker.store.work import SqlWorkStore
from worker.testing.gate import CountingGate
from worker.wiring import account_facts, confirm_rules

ORGANIZATION = "10234695"
OLD = "20000001"
CRM = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
TOKEN = "t-canary-41c7"
LEASE = timedelta(seconds=30)
SLICES = 400
OPEN = 'limits = {{ windows = [], per_day = 0, in_flight = 20 }}\ntoken = "env:STAGE_TOKEN"'
CONFIG = f"""
[accounts.acme]
provider = "zoho_books"
base_url = "{{v4}}"
organization_id = "{ORGANIZATION}"
{OPEN}
max_items = 100000
auto_confirm_max = 100000
{{more}}

[accounts.old]
provider = "zoho_books"
base_url = "{{v3}}"
organization_id = "{OLD}"
{OPEN}
auto_confirm_max = 100000

[accounts.crm]
provider = "truto"
base_url = "{{truto}}"
dialect = "{{crm}}"
integrated_account_id = "{CRM}"
{OPEN}
auto_confirm_max = 100000
"""


@dataclass
class Stage:
    """What a test asks of both sides."""

    desk: Desk
    sandbox: Sandbox
    control: Control
    gate: CountingGate
    tools: dict[str, Tools] = field(default_factory=dict)
    pulses: Pulses = field(default_factory=Pulses)

    def tools_of(self, name: str) -> Tools:
        if name not in self.tools:
            self.tools[name] = self._tools(name)
        return self.tools[name]

    def _tools(self, name: str) -> Tools:
        config, db = self.desk.config, self.desk.db
        account = config.account(name)
        facts = account_facts(account, config)
        tokens = RedisTokens.at("redis://127.0.0.1:1/0")  # asked by accounts with oauth alone
        return Tools(
            facts=facts,
            work=SqlWorkStore(db, facts.catalogue.ranks, facts.breakers),
            plans=Plans(db, LEASE),
            ends=Endings(db, LEASE, facts.breakers),
            chunks=Chunks(db, LEASE),
            accounts=Accounts(db),
            guards=SqlGuards(db, LEASE),
            gate=self.gate,
            provider=HttpProvider(connection_of(account, tokens)),
            secret=lambda: "same",
            calls_since=lambda account, since: calls_since(db, account, since),
            refusals=lambda account, since: refusals_since(db, account, since),
            open_intents=Accounts(db).open_intents,
            confirm=self._confirm,
            pause=self._pause,
            clock=time.monotonic,
            jitter=lambda: 0.0,
            owner="stage",
            lease=LEASE,
            policy=RetryPolicy(),
        )

    @staticmethod
    def with_provider(tools: Tools, provider: Provider) -> Tools:
        """The tools, with another connection to the provider."""
        return replace(tools, provider=provider)

    def _confirm(self, job: Job) -> Job:
        rules = confirm_rules(self.desk.config.account(job.account))
        decide = control.confirm(rules, actor="stage", word=None, yes=True)
        return self.desk.confirmations.confirm(job.id, decide)

    def _pause(self, job_id: str, why: str) -> None:
        self.desk.jobs.change(job_id, control.pause(actor="stage", why=why))

    def submit(self, ids: Iterable[str] = (), *, account: str = "acme", **fields: Any) -> str:  # noqa: ANN401  any field of a request
        request = DeleteProjects(account=account, reason="closed", **fields)
        return self.desk.submit(request, enumerate(ids, start=1)).job.id

    async def planned(self, job_id: str) -> Job:
        """The job once its plan is made."""
        return await self._until(job_id, {*FINAL, JobState.AWAITING_CONFIRMATION})

    async def run(self, ids: Iterable[str] = (), **fields: Any) -> Job:  # noqa: ANN401  any field of a request
        """Submit, confirm and work a job to its end."""
        job_id = await asyncio.to_thread(lambda: self.submit(ids, yes=True, **fields))
        return await self.finished(job_id)

    async def finished(self, job_id: str) -> Job:
        """The job at its end, with an audit that holds."""
        job = await self._until(job_id, set(FINAL))
        assert verify(self.desk.db, job.id).problems == ()
        return job

    async def _until(self, job_id: str, states: set[JobState]) -> Job:
        job = self.desk.jobs.get(job_id)
        for _ in range(SLICES):
            if job.state in states:
                return job
            tools = self.tools_of(job.account)
            await run_slice(tools, self.pulses.of(job.account), asyncio.Event())
            job = self.desk.jobs.get(job_id)
        raise AssertionError(f"{job.state}: {job.waiting_on}")

    def items(self, job: Job) -> list[Item]:
        return list(self.desk.jobs.items(job.id))

    def outcomes(self, job: Job) -> dict[tuple[str, str], int]:
        """How many items of which kind ended how."""
        ends = Counter((i.seen.target.kind, str(i.outcome)) for i in self.items(job))
        return dict(ends)

    def selected(self, job: Job) -> set[str]:
        """The projects among the job's items."""
        found = (item.seen.target for item in self.items(job))
        return {target.external_id for target in found if target.kind == "project"}

    async def deletions(self) -> list[dict[str, Any]]:
        """The deletions of the ledger, in order."""
        rows: list[dict[str, Any]] = await self.tell("ledger")
        return [row for row in rows if row["method"] == "DELETE"]

    async def tell(self, name: str, *args: Any, **fields: Any) -> Any:  # noqa: ANN401  any word of the control
        """Tell or ask the sandbox."""
        return await asyncio.to_thread(lambda: getattr(self.control, name)(*args, **fields))

    async def left(self, organization: str = ORGANIZATION) -> dict[str, Any]:
        """The projects that still live."""
        state: dict[str, Any] = await self.tell("state", organization)
        return state


@asynccontextmanager
async def on_stage(
    sqlite_url: str, tmp_path: Path, *, more: str = "", crm: str = "capsule"
) -> AsyncIterator[Stage]:
    random.seed(7)
    async with Sandbox() as sandbox:
        path = tmp_path / "bulkdel.toml"
        urls = {"v4": sandbox.url, "v3": sandbox.url_v3, "truto": sandbox.truto_url}
        path.write_text(CONFIG.format(**urls, more=more, crm=crm), encoding="utf-8")
        environ = {"BULKDEL_DATABASE_URL": sqlite_url, "BULKDEL_CONFIG": str(path)}
        stage = Stage(
            desk=Desk.open(environ, SilentBell()),
            sandbox=sandbox,
            control=Control(sandbox.url),
            gate=CountingGate(lambda: datetime.now(UTC)),  # noqa: TID251 - the sandbox's clock is real
        )
        for organization in (ORGANIZATION, OLD):
            await stage.tell("organization", organization, token=TOKEN)
        await stage.tell("truto", CRM, token=TOKEN, provider=crm)
        for account in (ORGANIZATION, OLD, CRM):
            await stage.tell("limits", account, windows=[])
        await stage.tell("purse", TOKEN, windows=[])
        try:
            yield stage
        finally:
            for tools in stage.tools.values():
                await tools.provider.aclose()
            stage.desk.db.dispose()
