"""A deployment to measure: accounts, real worker processes, and jobs from submission to end."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from celery import Celery

from bench.cpu import Use, bytes_written, of_database, of_session
from bench.servers import POSTGRES, REPOSITORY, Provider, a_database, a_provider, a_redis
from bench.waiting import eventually
from worker.bootstrap import Desk
from worker.domain.states import FINAL, JobState
from worker.ports import Job
from worker.processes import Child, spawn
from worker.producer import DeleteProjects
from worker.programs import worker_argv
from worker.store.presence import alive

OPEN = "limits = { windows = [], per_day = 0, in_flight = 20 }"
READY_WITHIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """CPU seconds by part."""

    workers: Use
    database: Use
    redis: Use
    provider: Use

    def __sub__(self, other: "Uses") -> "Uses":
        return Uses(
            workers=self.workers - other.workers,
            database=self.database - other.database,
            redis=self.redis - other.redis,
            provider=self.provider - other.provider,
        )


class Bell:
    """Rings over a broker, as `worker.app` does it, for any site of this process."""

    def __init__(self, broker: str) -> None:
        self._app = Celery("bench", broker=broker)

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        self._app.send_task(
            "bulkdel.run_slice", args=[account], countdown=after.total_seconds() or None
        )


@dataclass(slots=True, kw_only=True)
class Site:
    """One deployment, with all it rests on."""

    home: Path
    env: dict[str, str]
    database: str
    redis: Child
    provider: Provider
    desk: Desk
    workers: list[Child] = field(default_factory=list)
    _accounts: dict[str, str] = field(default_factory=dict)

    def account(self, name: str, *lines: str, write: bool = True) -> str:
        """Add an account whose organisation is named after it; returns its name."""
        organization = name.removeprefix("a")
        given = [*lines, *([] if any(line.startswith("limits") for line in lines) else [OPEN])]
        head = [
            f"[accounts.{name}]",
            'provider = "zoho_books"',
            f'base_url = "{self.provider.base_url}"',
            f'organization_id = "{organization}"',
            'token = "env:BENCH_TOKEN"',
            "max_items = 10000000",
        ]
        self._accounts[name] = "\n".join([*head, *given])
        if write:
            self.write_accounts()
        return name

    def write_accounts(self) -> None:
        """Write bulkdel.toml in one step."""
        fresh = self.home / "bulkdel.toml.new"
        fresh.write_text("\n\n".join(self._accounts.values()) + "\n", encoding="utf-8")
        fresh.replace(self.home / "bulkdel.toml")

    def start_workers(
        self, number: int = 1, *, concurrency: int = 4, more: Sequence[str] = (), **env: str
    ) -> None:
        """Start worker processes and wait until they have shown themselves."""
        for _ in range(number):
            log = self.home / f"worker-{len(self.workers)}.log"
            command = [*worker_argv(concurrency), *more]
            moved = ["env", "-C", str(self.home), *command]
            self.workers.append(spawn(moved, extra_env={**self.env, **env}, log=log))
        seen = timedelta(seconds=12)
        eventually(
            lambda: len(alive(self.desk.db, seen)) >= len(self.workers),
            within=READY_WITHIN,
            what=f"the workers (see {self.home})",
        )

    def stop_workers(self) -> None:
        for child in self.workers:
            child.terminate()
        for child in self.workers:
            if child.wait(30) is None:
                child.kill()
        self.workers.clear()

    def planned(self, account: str, ids: Iterable[str], *, within: float = 600) -> Job:
        """A job whose plan waits for its word."""
        job = self.submit(account, ids)
        return self.has_plan(job, within=within)

    def submit(self, account: str, ids: Iterable[str]) -> Job:
        """Hand a job in: projects alone, nothing below them."""
        request = DeleteProjects(account=account, reason="bench", cascade=("none",))
        return self.desk.submit(request, enumerate(ids, start=1)).job

    def has_plan(self, job: Job, *, within: float = 600) -> Job:
        """The job once its plan waits for its word."""

        def look() -> Job | None:
            there = self.desk.jobs.get(job.id)
            if there.state in FINAL:
                raise RuntimeError(f"{there.id} ended {there.state} before it was confirmed")
            return there if there.state is JobState.AWAITING_CONFIRMATION else None

        return eventually(look, within=within, what=f"the plan of {job.id}")

    def confirm(self, job: Job) -> None:
        self.desk.confirm(job.id, word=job.plan.word)

    def finished(self, job: Job, *, within: float = 1200) -> Job:
        """The job at its end."""

        def look() -> Job | None:
            there = self.desk.jobs.get(job.id)
            return there if there.state in FINAL else None

        ended = eventually(look, within=within, what=f"the end of {job.id}")
        if ended.state is not JobState.SUCCEEDED:
            raise RuntimeError(f"{ended.id} ended {ended.state}: {ended.waiting_on}")
        return ended

    def uses(self) -> Uses:
        """CPU so far."""
        workers = sum(of_session(child.pid).seconds for child in self.workers)
        return Uses(
            workers=Use(workers),
            database=of_database(self.database),
            redis=of_session(self.redis.pid),
            provider=of_session(self.provider.child.pid),
        )

    def written(self, pids: Iterable[int]) -> int | None:
        """Bytes that these backends of the database have had written."""
        return bytes_written(pids)


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """A deployment without workers yet; ended with all it runs, whatever happens."""
    home = folder / f"site-{len(list(folder.iterdir()))}"
    home.mkdir()
    with ExitStack() as ending:
        provider = ending.enter_context(a_provider(home))
        redis, redis_url = ending.enter_context(a_redis(home))
        database = ending.enter_context(a_database())
        env = _environment(home) | {
            "BULKDEL_DATABASE_URL": f"{POSTGRES}/{database}",
            "BULKDEL_REDIS_URL": redis_url,
        }
        desk = Desk.open(
            {k: v for k, v in env.items() if k.startswith("BULKDEL_")}, Bell(redis_url)
        )
        ending.callback(desk.db.dispose)
        site = Site(
            home=home, env=env, database=database, redis=redis, provider=provider, desk=desk
        )
        ending.callback(site.stop_workers)
        yield site


def _environment(home: Path) -> dict[str, str]:
    return {
        "BULKDEL_CONFIG": str(home / "bulkdel.toml"),
        "BULKDEL_DATA_DIR": str(home / "data"),
        "BULKDEL_LOG_LEVEL": "warning",
        "BENCH_TOKEN": "bench-token-41c7",
        "PYTHONPATH": str(REPOSITORY),
        "PATH": os.environ["PATH"],
        "VIRTUAL_ENV": str(Path(sys.executable).parents[1]),
    }


def per_item(uses: Uses, items: int) -> Mapping[str, int]:
    """CPU microseconds an item, by part."""
    return {
        name: round(getattr(uses, name).seconds * 1e6 / items)
        for name in ("workers", "database", "redis", "provider")
    }
