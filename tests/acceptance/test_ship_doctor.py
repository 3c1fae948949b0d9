"""SHIP 6: the doctor finds each planted fault and names its fix, and nothing on a sound stack."""

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from redis import Redis
from sqlalchemy import create_engine, text

from tests.acceptance.composed import free_port
from tests.acceptance.waiting import eventually
from worker.cli import cli
from worker.cli.desk import SilentBell
from worker.processes import spawn
from worker.server_program import candidates, choose_program
from worker.store import migrate
from worker.store.engine import Database
from worker.store.presence import SWEEP, gone, note, seen

pytestmark = [pytest.mark.number("ship-6"), pytest.mark.allow_hosts(["127.0.0.1", "0.0.0.0"])]  # noqa: S104  only asked, not listened on

CONFIG = """\
[accounts.acme]
provider = "zoho_books"
base_url = "https://www.zohoapis.com/books/v4"
organization_id = "10234695"
token = "file:{home}/token"
limits = {{ windows = [[100, "60s"]], per_day = 1000 }}
"""
POLICY = """
[policies.sleepers]
account = "acme"
schedule = "0 3 * * *"
select = { status = "inactive" }
"""
WORKER = "worker@one:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A sound stack: all the doctor looks at, ready to be broken."""

    home: Path
    url: str
    redis: "Redis"
    env: dict[str, str]
    patch: pytest.MonkeyPatch

    def doctor(self) -> list[dict[str, Any]]:
        """What is not as it should be."""
        told = self.run("doctor", "--json")
        rows = [json.loads(line) for line in told.stdout.splitlines()]
        worst = {"unsafe": 5, "missing": 9}
        codes = [worst[row["level"]] for row in rows if row["level"] in worst]
        assert told.exit_code == min(codes, default=0)
        return [row for row in rows if row["level"] != "ok"]

    def run(self, *args: str) -> Any:  # noqa: ANN401  click's own result
        return CliRunner().invoke(cli, args, env=self.env, obj=SilentBell())

    def write(self, name: str, content: str) -> None:
        (self.home / name).write_text(content, encoding="utf-8")

    def sql(self, statement: str) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            assert connection.execute(text(statement)).rowcount
        engine.dispose()

    def database(self, change: Callable[[Database], object]) -> None:
        opened = Database(self.url)
        change(opened)
        opened.dispose()

    def has_job(self) -> None:
        given = ("--account", "acme", "--ids", "1", "--cascade", "all", "--reason", "r")
        assert self.run("submit", *given, "--no-wait-plan").exit_code == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis that is as it should be."""
    home, port = tmp_path_factory.mktemp("redis"), free_port()
    program = shutil.which("redis-server") or str(choose_program(candidates()))
    options = ["--port", str(port), "--dir", str(home), "--appendonly", "yes"]
    child = spawn([program, *options, "--maxmemory-policy", "noeviction"], log=home / "log")
    with Redis(port=port) as client:
        eventually(lambda: _pings(client), within=20, what="redis")
    yield port
    child.kill()


def _pings(client: "Redis") -> bool:
    try:
        return bool(client.ping())
    except ConnectionError:
        return False
    except Exception as error:
        if type(error).__name__ in {"ConnectionError", "BusyLoadingError"}:
            return False
        raise


@pytest.fixture
def machine(
    tmp_path: Path, sqlite_url: str, server: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    with Redis(port=server) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "yes")
        there = Machine(
            home=tmp_path,
            url=sqlite_url,
            redis=client,
            env={
                "BULKDEL_DATABASE_URL": sqlite_url,
                "BULKDEL_REDIS_URL": f"redis://127.0.0.1:{server}/0",
                "BULKDEL_CONFIG": str(tmp_path / "bulkdel.toml"),
                "BULKDEL_DATA_DIR": str(tmp_path / "data"),
            },
            patch=monkeypatch,
        )
        there.write("bulkdel.toml", CONFIG.format(home=tmp_path))
        there.write("token", "secret")
        (tmp_path / "token").chmod(0o600)
        there.database(lambda db: seen(db, WORKER, "worker", "0"))
        there.database(lambda db: note(db, SWEEP, WORKER))
        yield there


def no_config(machine: Machine) -> None:
    (machine.home / "bulkdel.toml").unlink()


def wrong_key(machine: Machine) -> None:
    machine.write("bulkdel.toml", CONFIG.format(home=machine.home).replace("provider", "providr"))


def no_token(machine: Machine) -> None:
    (machine.home / "token").unlink()


def open_token(machine: Machine) -> None:
    (machine.home / "token").chmod(0o644)


def open_address(machine: Machine) -> None:
    machine.write("address", machine.env.pop("BULKDEL_REDIS_URL"))
    machine.env["BULKDEL_REDIS_URL_FILE"] = str(machine.home / "address")
    (machine.home / "address").chmod(0o644)


def limits_assumed(machine: Machine) -> None:
    text = CONFIG.format(home=machine.home)
    machine.write("bulkdel.toml", text.partition("limits")[0])


def parked(machine: Machine) -> None:
    machine.has_job()
    machine.sql("UPDATE accounts SET parked_code = 'unauthorised', parked_text = 'HTTP 401'")


def no_database(machine: Machine) -> None:
    machine.env["BULKDEL_DATABASE_URL"] = f"sqlite:///{machine.home}/none.db"


def database_behind(machine: Machine) -> None:
    migrate.downgrade(machine.url, "0001")


def sqlite_on_two_machines(machine: Machine) -> None:
    machine.database(lambda db: seen(db, "worker@two:1", "worker", "0"))


def wrong_clock(machine: Machine) -> None:
    real = time.time
    machine.patch.setattr(time, "time", lambda: real() + 60)


def redis_gone(machine: Machine) -> None:
    machine.env["BULKDEL_REDIS_URL"] = f"redis://127.0.0.1:{free_port()}/0"


def redis_forgets(machine: Machine) -> None:
    machine.redis.config_set("appendonly", "no")
    machine.redis.config_set("save", "")


def redis_evicts(machine: Machine) -> None:
    machine.redis.config_set("maxmemory-policy", "allkeys-lru")


def redis_open(machine: Machine) -> None:
    url = machine.env["BULKDEL_REDIS_URL"]
    machine.env["BULKDEL_REDIS_URL"] = url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104  an address that is not loopback by its name


def broker_gone(machine: Machine) -> None:
    machine.env["BULKDEL_BROKER_URL"] = f"amqp://127.0.0.1:{free_port()}//"


def no_worker(machine: Machine) -> None:
    machine.database(lambda db: gone(db, WORKER))


def no_sweep(machine: Machine) -> None:
    machine.sql("UPDATE leases SET until = '2020-01-01 00:00:00.000000' WHERE name = 'sweep'")


def work_overdue(machine: Machine) -> None:
    machine.has_job()
    machine.sql("UPDATE accounts SET next_wake_at = '2020-01-01 00:00:00.000000'")


def no_beat(machine: Machine) -> None:
    machine.write("bulkdel.toml", CONFIG.format(home=machine.home) + POLICY)


def few_files(machine: Machine) -> None:
    machine.patch.setattr(resource, "getrlimit", lambda _which: (256, 4096))


def never_verified(machine: Machine) -> None:
    machine.has_job()
    machine.sql("UPDATE jobs SET finished_at = '2020-01-01 00:00:00.000000'")


FAULTS = (
    (no_config, "config", "bulkdel init"),
    (wrong_key, "config", "provider"),
    (no_token, "secrets of acme", "token"),
    (open_token, "secrets of acme", "chmod 600"),
    (open_address, "address files", "chmod 600"),
    (limits_assumed, "limits of acme", "[accounts.acme] limits"),
    (parked, "account acme", "bulkdel accounts check acme"),
    (no_database, "database", "bulkdel db upgrade"),
    (database_behind, "database", "bulkdel db upgrade"),
    (sqlite_on_two_machines, "database", "PostgreSQL"),
    (wrong_clock, "clock", "time server"),
    (redis_gone, "redis", "BULKDEL_REDIS_URL"),
    (redis_forgets, "redis persistence", "appendonly yes"),
    (redis_evicts, "redis eviction", "maxmemory-policy noeviction"),
    (redis_open, "redis access", "requirepass"),
    (broker_gone, "broker", "BULKDEL_BROKER_URL"),
    (no_worker, "workers", "bulkdel worker"),
    (no_sweep, "sweep", "restart the workers"),
    (work_overdue, "sweep", "bulkdel worker"),
    (no_beat, "beat", "bulkdel beat"),
    (few_files, "open files", "ulimit -n"),
    (never_verified, "audit log", "bulkdel audit verify"),
)


def test_nothing_is_found_on_a_sound_stack(machine: Machine) -> None:
    assert machine.doctor() == []


@pytest.mark.parametrize(
    ("plant", "name", "fix"), FAULTS, ids=lambda it: getattr(it, "__name__", "")
)
def test_a_planted_fault_is_found_with_its_fix(
    machine: Machine, plant: Callable[[Machine], None], name: str, fix: str
) -> None:
    plant(machine)

    found = [row for row in machine.doctor() if row["name"] == name]

    assert len(found) == 1
    assert fix in found[0]["fix"] or fix in found[0]["text"]
    assert found[0]["fix"]


@pytest.mark.parametrize(
    ("plant", "name", "fix"), FAULTS[2:7], ids=lambda it: getattr(it, "__name__", "")
)
def test_one_fault_is_one_finding(
    machine: Machine, plant: Callable[[Machine], None], name: str, fix: str
) -> None:
    plant(machine)

    assert [row["name"] for row in machine.doctor()] == [name], fix
