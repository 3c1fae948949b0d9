"""A deployment to be ill-treated: own servers, own sandbox, workers with witnesses in them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.site import Bell
from tests.acceptance.commands import REPOSITORY
from tests.acceptance.site import Site
from tests.acceptance.stack import READY_WITHIN, Kind, Stack, _environment, start_sandbox
from tests.acceptance.waiting import eventually
from tests.chaos.entry import FOLDER
from tests.chaos.network import Network, TlsFiles
from tests.chaos.servers import OwnPostgres, OwnRabbit, OwnRedis
from worker.bootstrap import Desk
from worker.processes import Child, spawn
from worker.programs import worker_argv
from worker.sandbox.client import Control

NAME = "drill"
CALL_TIMEOUT = 3
"""Seconds; a lease is this and 15 more."""
LEASE = CALL_TIMEOUT + 15
PREVIOUS = "CHAOS_PREVIOUS"
"""Names a checkout of the previous commit; without it, one is made."""

_numbers = count(1)


@dataclass(slots=True, kw_only=True)
class Drill:
    """What a fault may touch."""

    home: Path
    stack: Stack
    postgres: OwnPostgres
    redis: OwnRedis
    rabbit: OwnRabbit | None
    network: Network
    workers: list[Child] = field(default_factory=list)

    def start_worker(
        self, *, extra: Mapping[str, str] | None = None, concurrency: int = 4
    ) -> Child:
        """One more worker; returned at once, `wait_for_workers` says when it is there."""
        argv = worker_argv(concurrency)
        command = [argv[0], "-m", "tests.chaos.entry", *argv[3:]]
        log = self.home / "workers.log"
        env = {**self.stack.env, **(extra or {})}
        child = spawn(["env", "-C", str(self.home), *command], extra_env=env, log=log)
        self.workers.append(child)
        return child

    def start_workers(self, number: int = 2) -> None:
        """As many as are missing to this number; returns when all of them are there."""
        self.workers = [child for child in self.workers if child.ended() is None]
        fresh = [self.start_worker() for _ in range(number - len(self.workers))]
        self.wait_for(*fresh)

    def wait_for(self, *children: Child) -> None:
        """Until these workers have shown themselves in the database."""
        eventually(
            lambda: {child.pid for child in children} <= self.seen(),
            within=READY_WITHIN,
            what="workers to show themselves",
        )

    def seen(self) -> set[int]:
        """The processes that ever said that they are alive: an owner ends in its pid."""
        with self.postgres.connect(NAME) as connection:
            owners = [str(row[0]) for row in connection.execute("SELECT owner FROM workers")]
        return {int(owner.rpartition(":")[2]) for owner in owners}

    def kill_workers(self) -> None:
        """SIGKILL to every worker's group."""
        for child in self.workers:
            child.kill()
        self.workers.clear()

    def signal_workers(self, signum: int) -> None:
        """One signal to all of them."""
        for child in self.workers:
            if child.ended() is None:
                os.killpg(child.pid, signum)

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Nothing of ours moves while the fault strikes, so that what is open can be counted."""
        self.signal_workers(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal_workers(signal.SIGCONT)

    def site(self, *lines: str) -> Site:
        """An account and an organisation that no other round has."""
        number = next(_numbers)
        site = Site(
            stack=self.stack,
            account=f"a{os.getpid()}n{number}",
            organization=f"8{number:06d}",
            since=len(self.stack.control.ledger()),
        )
        self.configure(site, *lines)
        self.stack.control.organization(site.organization)
        return site

    def configure(self, site: Site, *lines: str) -> None:
        """Write the site's account, with what all accounts of a drill have."""
        common = (f'call_timeout = "{CALL_TIMEOUT}s"', "auto_confirm_max = 100000")
        site.configure(*common, *lines)

    def confirm(self, *job_ids: str) -> None:
        """Give jobs their yes and ring: by the command line while that is another release's."""
        env = self.stack.env
        if env["PYTHONPATH"] != str(REPOSITORY):
            for job_id in job_ids:
                self.stack.run("confirm", job_id, "--yes").ended(0)
            return
        names = ("BULKDEL_DATABASE_URL", "BULKDEL_REDIS_URL")
        told = {name: env[name] for name in names}
        told["BULKDEL_CONFIG"] = str(self.home / "bulkdel.toml")
        broker = env.get("BULKDEL_BROKER_URL", env["BULKDEL_REDIS_URL"])
        desk = Desk.open(told, Bell(broker))
        try:
            for job_id in job_ids:
                desk.confirm(job_id, word=None, yes=True)
        finally:
            desk.db.dispose()

    def mend(self) -> None:
        """After a round, whatever became of it: clocks right, servers there, two good workers."""
        if (clock := self.home / "witness" / "clock").exists():
            clock.write_text("0", encoding="ascii")
        (self.home / "witness" / "die").unlink(missing_ok=True)
        for server in (self.postgres, self.redis, *([self.rabbit] if self.rabbit else [])):
            if not server.answers():
                server.kill()
                server.start()
        self.start_workers(2)

    def orders(self, name: str, text: str = "") -> Path:
        """A file in the folder that the witnesses look into."""
        path = self.home / "witness" / name
        path.write_text(text, encoding="utf-8")
        return path

    def witnessed(self) -> list[str]:
        """What the witnesses saw since they were asked last."""
        path = self.home / "witness" / "witnessed.jsonl"
        with suppress(FileNotFoundError):
            taken = path.rename(path.with_suffix(".taken"))
            return taken.read_text(encoding="utf-8").splitlines()
        return []

    def clock(self) -> dict[str, str]:
        """What moves the clock of a process started with it, by the seconds in a file."""
        library = self.home / "clock.so"
        if not library.exists():
            source = Path(__file__).with_name("clock.c")
            built = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
            subprocess.run(built, check=True, capture_output=True)
        clock = self.orders("clock", "0")
        clock.chmod(0o644)
        return {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(clock)}


@contextmanager
def a_drill(home: Path, *, rabbit: bool = False, sweep: float = 10) -> Iterator[Drill]:
    """The servers, the sandbox and two workers; all ended afterwards."""
    with ExitStack() as ending:
        postgres, redis = OwnPostgres(home), OwnRedis(home)
        servers = [postgres, redis, *([OwnRabbit(home)] if rabbit else [])]
        for server in servers:
            ending.callback(server.kill)
            server.start()
        with postgres.connect() as connection:
            connection.execute(f"CREATE DATABASE {NAME}".encode())
        (home / "witness").mkdir()
        (home / "witness").chmod(0o755)
        tls = TlsFiles.make(home)
        env = _environment() | {
            "BULKDEL_DATABASE_URL": postgres.url(NAME),
            "BULKDEL_REDIS_URL": redis.url,
            "BULKDEL_SWEEP_SECONDS": str(sweep),
            "DRILL_CLIENT": "drill",
            "DRILL_SECRET": "drill-secret",
            "SSL_CERT_FILE": str(tls.certificate),
            FOLDER: str(home / "witness"),
        }
        node = servers[-1] if rabbit else None
        if isinstance(node, OwnRabbit):
            env["BULKDEL_BROKER_URL"] = node.url
        sandbox, base_url = start_sandbox(home, env)
        ending.callback(sandbox.kill)
        network = ending.enter_context(Network.between(base_url, tls))
        stack = Stack(
            kind=Kind.POSTGRES,
            home=home,
            env=env,
            database_url=postgres.url(NAME).replace("postgresql://", "postgresql+psycopg://"),
            control=Control(base_url, timeout=60),
            sandbox=sandbox,
            base_url=base_url,
        )
        stack.run("db", "upgrade").ended(0)
        drill = Drill(
            home=home,
            stack=stack,
            postgres=postgres,
            redis=redis,
            rabbit=node if isinstance(node, OwnRabbit) else None,
            network=network,
        )
        ending.callback(drill.kill_workers)
        drill.start_workers(2)
        yield drill


def python() -> str:
    """The interpreter of this environment."""
    return sys.executable
