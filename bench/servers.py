"""What a run rests on, each its own: a database, a Redis, the lean provider."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

from sqlalchemy import create_engine, text

from bench.provider import BASE, V4
from bench.waiting import eventually
from worker.processes import Child, spawn
from worker.server_program import candidates, choose_program
from worker.store.migrate import upgrade

REPOSITORY = Path(__file__).resolve().parents[1]
POSTGRES = os.environ.get("BENCH_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432")
READY_WITHIN = 30.0


class Provider:
    """The lean provider in a process of its own, and what the bench asks of it."""

    def __init__(self, child: Child, url: str) -> None:
        self.child = child
        self.url = url
        self.base_url = url + V4

    def organization(self, name: str, **fields: Any) -> None:  # noqa: ANN401  JSON
        """Make an organisation anew: `projects`, `calls`, `per`, `latency`, `rival`."""
        self._ask("set", {name: fields})

    def seen(self, name: str, *, since: float = 0.0, until: float = 1e18) -> dict[str, Any]:
        """What came for an organisation between two times of the provider's clock."""
        asked = {"organizations": [name], "since": since, "until": until}
        seen: dict[str, Any] = self._ask("seen", asked)[name]
        return seen

    def calls(self, *, since: float, until: float) -> dict[str, dict[str, Any]]:
        """The same of all organisations."""
        seen = self._ask("seen", {"since": since, "until": until})
        del seen["now"]
        return seen

    def now(self) -> float:
        """The provider's clock."""
        return float(self._ask("seen", {"until": 0.0})["now"])

    def _ask(self, verb: str, said: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(said).encode()
        request = Request(f"{self.url}/control/{verb}", data=body, method="POST")  # noqa: S310  ours
        with urlopen(request, timeout=60) as answer:  # noqa: S310  ours
            heard: dict[str, Any] = json.loads(answer.read())
        return heard


def ids(count: int, first: int = 1) -> Iterator[str]:
    """External ids of an organisation's projects."""
    return (str(BASE + number) for number in range(first, first + count))


@contextmanager
def a_provider(home: Path) -> Iterator[Provider]:
    """The lean provider, ended afterwards."""
    log = home / f"provider-{uuid4().hex[:6]}.log"
    command = [sys.executable, "-m", "bench.provider"]
    child = spawn(command, extra_env={"PYTHONPATH": str(REPOSITORY)}, log=log)
    try:
        eventually(
            lambda: log.exists() and log.read_text(encoding="utf-8").endswith("\n"),
            within=READY_WITHIN,
            what=f"the provider (see {log})",
        )
        yield Provider(child, log.read_text(encoding="utf-8").split()[0])
    finally:
        child.kill()


@contextmanager
def a_redis(home: Path) -> Iterator[tuple[Child, str]]:
    """A Redis-compatible server without persistence, ended afterwards."""
    port = _free_port()
    command = [str(choose_program(candidates())), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no", "--dir", str(home)]
    child = spawn(command, log=home / "redis.log")
    try:
        eventually(lambda: _listens(port), within=READY_WITHIN, what="the Redis of the bench")
        yield child, f"redis://127.0.0.1:{port}/0"
    finally:
        child.kill()


@contextmanager
def a_database() -> Iterator[str]:
    """The name of an empty database with all tables, dropped afterwards."""
    name = f"bench_{uuid4().hex[:10]}"
    _on_server(f"CREATE DATABASE {name}")
    try:
        upgrade(f"{POSTGRES}/{name}")
        yield name
    finally:
        _on_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _on_server(statement: str) -> None:
    engine = create_engine(f"{POSTGRES}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
