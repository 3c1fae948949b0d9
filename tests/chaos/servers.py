"""Servers of a drill's own, to be killed and started again: PostgreSQL, Redis, RabbitMQ."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from tests.acceptance.waiting import eventually
from worker.processes import Child, spawn
from worker.server_program import candidates, choose_program

UP_WITHIN = 60.0
BELOW_CONNECTIONS = range(12_000, 32_000)
RABBIT_PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server")


def free_port() -> int:
    """A port of this machine that nobody listens on now.

    It is none that the kernel gives to connections: while a server is down, one of them could
    take its place, and the server could not come back.
    """
    for port in random.SystemRandom().sample(BELOW_CONNECTIONS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


class Server(ABC):
    """A server process that can be killed and started again at the same place, with its data."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home / name
        self.home.mkdir(parents=True)
        self.log = home / f"{name}.log"
        self.port = free_port()
        self.env: dict[str, str] = {}
        self._child: Child | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What is run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes requests."""

    def start(self) -> None:
        """Start it; returns once it answers."""
        self._child = spawn(self.command(), extra_env=self.env, log=self.log)
        eventually(self.answers, within=UP_WITHIN, what=f"{self.home.name} on {self.port}")

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """End it by a signal to its leader; returns once it is gone."""
        child, self._child = self._child, None
        if child is not None and child.ended() is None:
            os.kill(child.pid, signum)
            if child.wait(20) is None:
                child.kill()

    @property
    def pid(self) -> int:
        """The process, while it runs."""
        if self._child is None:
            raise RuntimeError(f"{self.home.name} does not run")
        return self._child.pid


class OwnRedis(Server):
    """A Redis; what it held is kept over a restart only if `keeps`."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "redis")
        self.keeps = True
        self._program = choose_program(candidates())

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.home))
        kept = ("--appendonly", "yes", "--appendfsync", "everysec") if self.keeps else ()
        return (str(self._program), *place, "--save", "", *kept)

    def answers(self) -> bool:
        with self.client() as redis:
            try:
                return bool(redis.ping())
            except RedisError:
                return False

    def client(self) -> "Redis":
        """A connection, for what a drill does to it."""
        return Redis.from_url(self.url, socket_timeout=5, retry_on_error=[])


class OwnPostgres(Server):
    """A PostgreSQL; as root it is run by a user of its own, as it refuses root."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "postgresql")
        self._as_user = _not_root()
        self.clock: Mapping[str, str] = {}
        if self._as_user:
            _open_to_all(home)
            shutil.chown(self.home, _other_user())
        made = ("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync")
        subprocess.run(
            [*self._as_user, *made, "-E", "UTF8", "--no-locale"],
            check=True,
            capture_output=True,
            cwd=self.home,
        )

    @property
    def data(self) -> Path:
        return self.home / "data"

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def command(self) -> Sequence[str]:
        # The machine does not go down, so nothing needs to reach the disk.
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
        }
        told = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        clock = [f"{name}={value}" for name, value in self.clock.items()]
        server = ("postgres", "-D", str(self.data), "-p", str(self.port), *told)
        # A change of user makes the kernel forget the leash, so it is put on again.
        return (*self._as_user, "env", "-C", str(self.home), *clock, *server)

    def answers(self) -> bool:
        with contextlib.suppress(psycopg.Error), self.connect():
            return True
        return False

    @contextlib.contextmanager
    def connect(
        self, name: str = "postgres"
    ) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        """A connection of the owner, every statement a transaction of its own."""
        with psycopg.connect(self.url(name), autocommit=True, connect_timeout=3) as connection:
            yield connection

    def stop_at_once(self) -> None:
        """`pg_ctl stop -m immediate`: no checkpoint, no goodbye."""
        self.kill(signal.SIGQUIT)

    def backends(self, name: str) -> list[int]:
        """The processes that serve clients of this database."""
        asked = (
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend' AND application_name = 'bulkdel'"
        )
        with self.connect() as connection:
            return [int(str(pid)) for (pid,) in connection.execute(asked, (name,))]


class OwnRabbit(Server):
    """A RabbitMQ node of its own name and ports."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "rabbitmq")
        program = rabbit_program()
        if program is None:
            raise RuntimeError("there is no RabbitMQ here")
        self._program = program
        plugins = self.home / "enabled_plugins"
        plugins.write_text("[].\n", encoding="ascii")
        self.env = {
            "HOME": str(self.home),
            "RABBITMQ_NODENAME": f"drill{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_PID_FILE": str(self.home / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def command(self) -> Sequence[str]:
        return (self._program,)

    def answers(self) -> bool:
        """It greets: an open port alone is not a broker yet."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(probe.recv(1))
        except OSError:
            return False


def rabbit_program() -> str | None:
    """The program of RabbitMQ, if it is installed."""
    return next((path for path in RABBIT_PROGRAMS if Path(path).exists()), None)


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _not_root() -> tuple[str, ...]:
    """What makes a command run as somebody else, if we are root."""
    if os.geteuid():
        return ()
    user = pwd.getpwnam(_other_user())
    who = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    return ("setpriv", *who, "--pdeathsig", "KILL")


def _open_to_all(folder: Path) -> None:
    """Let another user through to a folder of ours below the temporary one."""
    for place in (folder, *folder.parents):
        if place.owner() == "root" and not place.stat().st_mode & 0o001:
            place.chmod(place.stat().st_mode | 0o011)
