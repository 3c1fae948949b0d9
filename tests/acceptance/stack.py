"""A whole deployment for tests: sandbox, database, Redis, workers; real processes, all ended."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from subprocess import Popen

from tests.acceptance.commands import BULKDEL, LONGEST, REPOSITORY, Ran, begin, run
from tests.acceptance.servers import own_postgres, own_redis
from tests.acceptance.timing import FILE as TASKS
from tests.acceptance.waiting import eventually
from tests.acceptance.warm import Warm
from tests.services import need_rabbitmq
from worker.processes import Child, spawn
from worker.programs import worker_argv
from worker.sandbox.client import Control
from worker.store.engine import Database
from worker.store.presence import alive

TOKEN = "sandbox-token"
READY_WITHIN = 60.0
STOP_WITHIN = 20.0


class Kind(StrEnum):
    """What a deployment rests on."""

    POSTGRES = "postgresql+redis"  # what a company runs: services, and workers started singly
    SQLITE = "sqlite+valkey"  # what a laptop runs: `bulkdel up`, and nothing else
    RABBITMQ = "postgresql+rabbitmq"  # the same, with RabbitMQ as Celery's broker


@dataclass(slots=True, kw_only=True)
class Stack:
    """One deployment; its accounts are added while it runs."""

    kind: Kind
    home: Path
    env: dict[str, str]
    database_url: str
    control: Control
    sandbox: Child
    base_url: str
    warm: Warm | None = None
    processes: list[Child] = field(default_factory=list)
    beats: list[Child] = field(default_factory=list)
    _accounts: dict[str, str] = field(default_factory=dict)

    def run(self, *args: str, stdin: str = "", timeout: float = LONGEST) -> Ran:
        """Run `bulkdel ARGS` to its end."""
        return run(args, env=self.env, cwd=self.home, stdin=stdin, timeout=timeout, warm=self.warm)

    def begin(self, *args: str) -> "Popen[str]":
        """Start `bulkdel ARGS` and leave it running."""
        return begin(args, env=self.env, cwd=self.home)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the sandbox, where every provider of it is found."""
        return self.base_url.removesuffix("/books/v4")

    def add_account(self, name: str, organization: str, *lines: str) -> None:
        """Write an account into bulkdel.toml; one of `lines` may take a usual one's place."""
        given = {line.partition("=")[0].strip() for line in lines}
        usual = {
            "provider": 'provider = "zoho_books"',
            "base_url": f'base_url = "{self.base_url}"',
            "organization_id": f'organization_id = "{organization}"',
            "token": 'token = "env:SANDBOX_TOKEN"',
            "limits": _LIMITS_LINE,
            "max_items": "max_items = 1000000",
        }
        for key in {_INSTEAD_OF.get(key, key) for key in given}:
            usual.pop(key, None)
        text = "\n".join([f"[accounts.{name}]", *usual.values(), *lines])
        self._accounts[name] = text
        fresh = self.home / "bulkdel.toml.new"
        fresh.write_text("\n\n".join(self._accounts.values()) + "\n", encoding="utf-8")
        fresh.replace(self.home / "bulkdel.toml")

    def start_workers(self, number: int = 2, *, concurrency: int = 4, wait: bool = True) -> None:
        """Start workers: one by one on services, with `bulkdel up` on a laptop."""
        log = self.home / f"workers-{len(self.processes)}.log"
        self.env[TASKS] = str(self.home / "tasks.jsonl")
        if self.kind is Kind.SQLITE:
            options = ("--workers", str(number), "--concurrency", str(concurrency))
            commands: list[Sequence[str]] = [(*BULKDEL, "up", *options)]
        else:
            commands = [_worker_command(self.kind, concurrency)] * number
        for command in commands:
            self.processes.append(_spawn(command, self.env, self.home, log))
        if wait:
            eventually(lambda: self.workers_alive() >= number, within=READY_WITHIN, what="workers")

    def start_beat(self) -> Child:
        """Start a clock of the policies, beside those there are."""
        child = _spawn((*BULKDEL, "beat"), self.env, self.home, self.home / "beat.log")
        self.beats.append(child)
        return child

    def workers_alive(self) -> int:
        """How many workers have shown themselves lately."""
        database = Database(self.database_url)
        try:
            return len(alive(database, timedelta(seconds=12)))
        finally:
            database.dispose()

    def kill_workers(self) -> None:
        """End every worker at once, as the kernel does it: kill -9 of their groups."""
        for child in self.processes:
            child.kill()
        self.processes.clear()

    def kill_beats(self) -> None:
        """End every clock at once."""
        for child in self.beats:
            child.kill()
        self.beats.clear()

    def stop_workers(self) -> None:
        """Ask every worker to end, and see to it that they do."""
        for child in self.processes:
            child.terminate()
        for child in self.processes:
            if child.wait(STOP_WITHIN) is None:
                child.kill()
        self.processes.clear()

    def logs(self) -> str:
        """The end of every log, for the report of a test that failed."""
        parts = []
        for log in sorted(self.home.glob("*.log")):
            text = log.read_text(encoding="utf-8", errors="replace")
            parts.append(f"--- {log}\n{text[-4000:]}")
        return "\n".join(parts)


_LIMITS_LINE = 'limits = { windows = [[1000000, "60s"]], per_day = 10000000, in_flight = 20 }'
_INSTEAD_OF = {"oauth": "token", "integrated_account_id": "organization_id"}


@contextmanager
def a_stack(
    kind: Kind,
    home: Path,
    *,
    settings: Mapping[str, str] | None = None,
    warm: Warm | None = None,
) -> Iterator[Stack]:
    """A deployment without workers yet; ended with all it runs, whatever happens."""
    with ExitStack() as ending:
        env = _environment() | dict(settings or {})
        if kind is not Kind.SQLITE:
            env["BULKDEL_DATABASE_URL"] = ending.enter_context(own_postgres())
            env["BULKDEL_REDIS_URL"] = ending.enter_context(own_redis())
        if kind is Kind.RABBITMQ:
            env["BULKDEL_BROKER_URL"] = need_rabbitmq()
        sandbox, base_url = start_sandbox(home, env)
        ending.callback(sandbox.kill)
        url = env.get("BULKDEL_DATABASE_URL", f"sqlite:///{home}/.bulkdel/bulkdel.db")
        stack = Stack(
            kind=kind,
            home=home,
            env=env,
            database_url=url.replace("postgresql://", "postgresql+psycopg://"),
            control=Control(base_url, timeout=60),
            sandbox=sandbox,
            base_url=base_url,
            warm=warm,
        )
        ending.callback(stack.stop_workers)
        ending.callback(stack.kill_beats)
        stack.run("db", "upgrade").ended(0)
        yield stack


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BULKDEL_")}
    return kept | {"SANDBOX_TOKEN": TOKEN, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"}


def _worker_command(kind: Kind, concurrency: int) -> Sequence[str]:
    """`bulkdel worker`, or what it becomes, with the clock of the tests in it."""
    if kind is Kind.RABBITMQ:
        return (*BULKDEL, "worker", "--concurrency", str(concurrency))
    return [*worker_argv(concurrency), "--include", "tests.acceptance.timing"]


def start_sandbox(home: Path, env: Mapping[str, str]) -> tuple[Child, str]:
    """A sandbox, and its address."""
    log = home / "sandbox.log"
    command = [sys.executable, "-m", "worker.sandbox", "--ledger", str(home / "ledger.jsonl")]
    sandbox = _spawn(command, env, home, log)
    eventually(
        lambda: log.exists() and '"url"' in log.read_text(encoding="utf-8"),
        within=READY_WITHIN,
        what="the sandbox",
    )
    url: str = json.loads(log.read_text(encoding="utf-8").splitlines()[0])["url"]
    return sandbox, url


def _spawn(command: Sequence[str], env: Mapping[str, str], home: Path, log: Path) -> Child:
    """A child that leads its own group and dies with us."""
    # `spawn` adds to our environment, which has no BULKDEL_* (tests/conftest.py sees to it).
    return spawn(["env", "-C", str(home), *command], extra_env=env, log=log)
