"""The commands of docker-compose.yml as processes of this machine, with a Redis of their own."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.servers import own_postgres
from tests.acceptance.stack import TOKEN, Kind, Stack, start_sandbox
from tests.acceptance.waiting import eventually
from tests.unit.deploy.compose import ROOT, Service, services, words
from worker.processes import Child, spawn
from worker.sandbox.client import Control
from worker.server_program import candidates, choose_program

PROGRAMS = Path(sys.executable).parent
ENTRY = {"bulkdel": "bulkdel", "bulkdel-flower": "celery"}
"""What the images of ours begin a command with, by the image's name."""


@dataclass(slots=True, kw_only=True)
class Composed:
    """The services of the file, run here: its paths and addresses are those of this machine."""

    home: Path
    port: int
    stack: Stack
    flower_port: int
    children: dict[str, list[Child]] = field(default_factory=dict)

    def argv(self, service: Service, command: Sequence[str]) -> list[str]:
        """A command of the file, its image's entry point before it."""
        image = service["image"].partition(":")[0]
        entry = [ENTRY[image]] if image in ENTRY else []
        return [*entry, *map(self.here, command)]

    def here(self, text: str) -> str:
        """A word of the file with the paths and addresses of this machine."""
        ours = {
            "/run/secrets": f"{self.home}/secrets",
            "/etc/bulkdel/flowerconfig.py": str(ROOT / "deploy" / "flowerconfig.py"),
            "/etc/bulkdel": str(self.home),
            "/data": f"{self.home}/data",
            "127.0.0.1:5555": f"127.0.0.1:{self.flower_port}",
        }
        theirs = "|".join(re.escape(one) for one in ours)
        return re.sub(rf"(?:{theirs})\b", lambda found: ours[found[0]], text)

    def environment(self, service: Service) -> dict[str, str]:
        """What the file gives a service, and what the image gives it."""
        given = {name: self.here(str(text)) for name, text in service["environment"].items()}
        changed = {"FLOWER_ADDRESS": "127.0.0.1", "FLOWER_PORT": str(self.flower_port)}
        return _base(self.home) | given | (changed if "FLOWER_ADDRESS" in given else {})

    def start(self, name: str) -> Child:
        """Start a service of the file."""
        service = services()[name]
        argv = self.argv(service, words(service))
        log = self.home / f"{name}.log"
        command = ["env", "-C", str(self.home), *argv]
        child = spawn(command, extra_env=self.environment(service), log=log)
        self.children.setdefault(name, []).append(child)
        return child

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service that ends by itself."""
        service = services()[name]
        return self._to_end(self.argv(service, words(service)), service)

    def health(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run the health check of a service."""
        service = services()[name]
        kind, *command = words(service["healthcheck"], "test")
        argv = ["sh", "-c", command[0]] if kind == "CMD-SHELL" else command
        return self._to_end([self.here(word) for word in argv], service)

    def _to_end(self, argv: Sequence[str], service: Service) -> subprocess.CompletedProcess[str]:
        env = self.environment(service) if "BULKDEL" in str(service) else _base(self.home)
        return subprocess.run(
            argv, env=env, cwd=self.home, capture_output=True, text=True, timeout=60, check=False
        )

    def stop(self) -> None:
        """End all that runs."""
        for child in [one for many in self.children.values() for one in many]:
            child.kill()


@contextmanager
def composed(home: Path) -> Iterator[Composed]:
    """PostgreSQL and a sandbox beside us, and the file's own Redis; nothing of ours runs yet."""
    with ExitStack() as ending:
        database = ending.enter_context(own_postgres())
        port = free_port()
        _write_secrets(home, database, port)
        sandbox, base_url = start_sandbox(home, _base(home))
        ending.callback(sandbox.kill)
        stack = Stack(
            kind=Kind.POSTGRES,
            home=home,
            env=_base(home) | _settings(home),
            database_url=database.replace("postgresql://", "postgresql+psycopg://"),
            control=Control(base_url, timeout=60),
            sandbox=sandbox,
            base_url=base_url,
        )
        here = Composed(home=home, port=port, stack=stack, flower_port=free_port())
        ending.callback(here.stop)
        here.children["redis"] = [_redis(here)]
        yield here


def _settings(home: Path) -> dict[str, str]:
    return {
        "BULKDEL_DATABASE_URL_FILE": f"{home}/secrets/database_url",
        "BULKDEL_REDIS_URL_FILE": f"{home}/secrets/redis_url",
        "BULKDEL_CONFIG": f"{home}/bulkdel.toml",
    }


def _base(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BULKDEL_")}
    return kept | {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SANDBOX_TOKEN": TOKEN,
        "BULKDEL_DATA_DIR": str(home / "tmp"),
        "NO_COLOR": "1",
    }


def _write_secrets(home: Path, database: str, port: int) -> None:
    """As deploy/make-secrets.sh writes them, with the addresses of this machine."""
    make = ["sh", str(ROOT / "deploy" / "make-secrets.sh"), str(home / "secrets")]
    subprocess.run(make, check=True, capture_output=True)
    password = (home / "secrets" / "redis_password").read_text().strip()
    for name, address in (
        ("database_url", database),
        ("redis_url", f"redis://:{password}@127.0.0.1:{port}/0"),
    ):
        path = home / "secrets" / name
        path.chmod(0o600)
        path.write_text(address + "\n", encoding="utf-8")


def _redis(here: Composed) -> Child:
    (here.home / "data").mkdir()
    service = services()["redis"]
    program = shutil.which("redis-server") or str(choose_program(candidates()))
    options = [here.here(word) for word in words(service)[1:]]
    log = here.home / "redis.log"
    child = spawn([program, *options, "--port", str(here.port), "--bind", "127.0.0.1"], log=log)
    eventually(lambda: _answers(here.port), within=20, what="redis")
    return child


def _answers(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
