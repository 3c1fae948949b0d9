"""TRUST, point 6: workers left alone over a weekend, with 200 sleeping accounts, use nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic
from urllib.parse import urlsplit

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from bench.cpu import of_session
from tests.acceptance.stack import Kind, Stack, a_stack
from tests.acceptance.waiting import eventually
from worker.bootstrap import Desk
from worker.producer import DeleteProjects
from worker.testing.bell import SilentBell

pytestmark = pytest.mark.number("trust-6")

SHARE_OF_A_CORE = 0.01
GROWTH = 2 << 20
"""Bytes that a worker may grow: what the allocator takes and keeps once."""
WAYS_TO_SLEEP = ("quota_reset", "window", "grace")
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
ROWS = "SELECT (SELECT count(*) FROM audit_entries) + (SELECT count(*) FROM workers)"
ASLEEP = "SELECT count(*) FROM accounts WHERE next_wake_at > now() + interval '6 hours'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the workers hold at a moment: `cpu` in seconds of all, `memory` of the largest."""

    cpu: float
    memory: int
    threads: int
    files: int
    connections: int
    clients: int
    waiting: int
    rows: int


@pytest.mark.timeout(2400)
def test_a_worker_left_alone_with_sleeping_accounts_uses_nothing(
    tmp_path: Path, full: bool
) -> None:
    settings = {} if full else {"BULKDEL_SWEEP_SECONDS": "2"}
    with a_stack(Kind.POSTGRES, tmp_path, settings=settings) as stack:
        _put_to_sleep(stack, accounts=200 if full else 30)
        _rest(60 if full else 12)  # until connections that were needed for it are closed
        calls = len(stack.control.ledger())
        before, began = _seen(stack), monotonic()

        _rest(1800 if full else 20)

        after, took = _seen(stack), monotonic() - began
        share = (after.cpu - before.cpu) / took / len(stack.processes)
        print(f"{share:.3%} of a core for each worker in {took:.0f} s; {before} -> {after}")
        assert len(stack.control.ledger()) == calls
        assert share < SHARE_OF_A_CORE
        assert after.memory - before.memory < GROWTH
        assert after.connections <= before.connections
        assert after.clients <= before.clients
        assert after.threads <= before.threads
        assert after.files <= before.files
        assert after.waiting == before.waiting == 0
        assert after.rows == before.rows


def _put_to_sleep(stack: Stack, *, accounts: int) -> None:
    """Give each account a job that has nothing to do before the weekend is over."""
    soon = datetime.now(UTC) + timedelta(hours=12)  # noqa: TID251  hours are of today
    ways = {
        "quota_reset": f'limits = {{ windows = [[1000, "60s"]], per_day = 3, '
        f'day_resets = "{soon:%H:%M} UTC", in_flight = 2 }}',
        "window": f'hours = "{soon:%H:%M}-{soon + timedelta(hours=1):%H:%M} UTC"',
        "grace": 'grace = { above = 0, wait = "2d" }',
    }
    for number in range(accounts):
        way = WAYS_TO_SLEEP[number % len(WAYS_TO_SLEEP)]
        stack.control.organization(f"66{number}")
        stack.add_account(f"a{number}", f"66{number}", ways[way], "auto_confirm_max = 100")
    stack.start_workers(2)
    desk = _desk(stack)
    for number in range(accounts):
        ids = stack.control.seed(f"66{number}", projects=5)
        request = DeleteProjects(
            account=f"a{number}", reason="weekend", cascade=["none"], yes=True
        )
        desk.submit(request, enumerate(ids, start=1))
    desk.db.dispose()
    eventually(lambda: _count(stack, ASLEEP) == accounts, within=300, what="all accounts asleep")


def _desk(stack: Stack) -> Desk:
    """A way in that needs no command for each job; the sweep notices what it keeps."""
    names = ("BULKDEL_DATABASE_URL", "BULKDEL_REDIS_URL")
    env = {name: stack.env[name] for name in names}
    return Desk.open(env | {"BULKDEL_CONFIG": str(stack.home / "bulkdel.toml")}, SilentBell())


def _seen(stack: Stack) -> Seen:
    pids = [child.pid for child in stack.processes]
    status = [Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in pids]
    with Redis.from_url(stack.env["BULKDEL_REDIS_URL"]) as redis:
        database = urlsplit(stack.env["BULKDEL_REDIS_URL"]).path.removeprefix("/")
        clients = [one for one in redis.client_list() if one["db"] == database]
        # Celery's own lists of bindings are no messages.
        waiting = redis.llen("celery") + redis.hlen("unacked")
    return Seen(
        cpu=sum(of_session(pid).seconds for pid in pids),
        memory=max(_field(one, "VmRSS") for one in status) * 1024,
        threads=sum(_field(one, "Threads") for one in status),
        files=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        connections=_count(stack, CONNECTIONS),
        clients=len(clients),
        waiting=int(waiting),
        rows=_count(stack, ROWS),
    )


def _field(status: str, name: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


def _count(stack: Stack, asked: str) -> int:
    engine = create_engine(stack.database_url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(asked)).scalar_one())
    finally:
        engine.dispose()


def _rest(seconds: float) -> None:
    """Let real time pass, in which nothing should happen."""
    Event().wait(seconds)
