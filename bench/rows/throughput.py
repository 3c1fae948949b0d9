"""Single deletions without limits: one worker process of ours against what others would write."""

import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from sqlalchemy import create_engine, text

from bench.cpu import of_session
from bench.provider import BASE
from bench.scale import Scale
from bench.servers import POSTGRES, REPOSITORY, ids
from bench.site import Site, a_site, per_item
from bench.table import Line, ratio
from bench.waiting import eventually
from worker.processes import Child, spawn

NAME = "throughput"
PEERS = REPOSITORY / "bench" / "peers"
FOUR_TIMES, THREE_TIMES, OF_THE_WIRE = 4.0, 3.0, 0.6
POOLS = {"prefork": (2, 4, 8), "threads": (4, 8, 16)}
CREATE = """
CREATE TABLE IF NOT EXISTS peer_items (
  id bigint PRIMARY KEY, external_id text NOT NULL, state text NOT NULL DEFAULT 'pending',
  http_status integer, ended_at timestamptz
)
"""


@dataclass(slots=True)
class Side:
    """One way to do it: a run of it returns calls a second and CPU microseconds by part."""

    name: str
    run: Callable[[int, int], tuple[float, Mapping[str, int]]]  # (items, in flight)
    choices: tuple[int, ...]
    best: int = 0
    rates: list[float] = field(default_factory=list)
    costs: list[Mapping[str, int]] = field(default_factory=list)

    def choose(self, items: int) -> None:
        """Find its best number in flight."""
        rates = {number: self.run(items, number)[0] for number in self.choices}
        self.best = max(rates, key=lambda number: rates[number])

    def measure(self, items: int) -> None:
        rate, cost = self.run(items, self.best)
        self.rates.append(rate)
        self.costs.append(cost)

    @property
    def rate(self) -> float:
        """Calls a second, the median of its runs."""
        return statistics.median(self.rates)

    def line(self) -> Line:
        """What it did, for the table."""
        cost = {
            part: round(statistics.median(one[part] for one in self.costs))
            for part in self.costs[0]
        }
        spent = ", ".join(f"{part} {used}" for part, used in cost.items())
        return Line(
            bench=NAME,
            what=f"{self.name}, {self.best} in flight",
            value=f"{self.rate:.0f} /s",
            facts={"rates": self.rates, "in_flight": self.best, "cpu_us_per_item": cost},
            target=f"CPU us: {spent}",
        )


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """All sides in turn, round after round, so that they share what else the machine does."""
    with a_site(folder) as site:
        for number in scale.in_flights:
            limits = f"limits = {{ windows = [], per_day = 0, in_flight = {number} }}"
            site.account(f"a{number}", limits)
        with _their_table(site):
            yield from _compared(site, scale)


def _compared(site: Site, scale: Scale) -> Iterator[Line]:
    alone = Side("the provider alone", _loop(site, "raw_loop"), scale.in_flights)
    httpx_loop = Side("a bare loop on httpx", _loop(site, "httpx_loop"), scale.in_flights)
    wire_loop = Side("a bare loop on our wire", _loop(site, "wire_loop"), scale.in_flights)
    ours = Side("bulkdel, one process", _ours(site), scale.in_flights)
    theirs = [
        Side(f"Celery, {pool}", _celery(site, pool), counts[: scale.pools])
        for pool, counts in POOLS.items()
    ]
    site.start_workers(1)
    _race(scale, (alone, httpx_loop, wire_loop, ours), theirs)
    for side in (alone, httpx_loop, wire_loop, *theirs, ours):
        yield side.line()
    peer = max(theirs, key=lambda side: side.rate)
    yield ratio(NAME, f"against {peer.name}", ours.rate / peer.rate, least=FOUR_TIMES)
    yield ratio(
        NAME, "against a bare loop on httpx", ours.rate / httpx_loop.rate, least=THREE_TIMES
    )
    yield ratio(
        NAME, "against a bare loop on our wire", ours.rate / wire_loop.rate, least=OF_THE_WIRE
    )


def _race(scale: Scale, fast: Sequence[Side], slow: Sequence[Side]) -> None:
    """Each at its best number in flight, all in turn in every round."""
    for side in fast:
        side.choose(scale.sweep_items)
    for side in slow:
        side.choose(scale.peer_items // 2)
    for _ in range(scale.rounds):
        for side in fast:
            side.measure(scale.items)
        for side in slow:
            side.measure(scale.peer_items)


def _ours(site: Site) -> Callable[[int, int], tuple[float, Mapping[str, int]]]:
    def once(items: int, in_flight: int) -> tuple[float, Mapping[str, int]]:
        account = f"a{in_flight}"
        site.provider.organization(str(in_flight), projects=items)
        job = site.planned(account, ids(items))
        before, since = site.uses(), site.provider.now()
        site.confirm(job)
        site.finished(job)
        return _rate(site, str(in_flight), since), per_item(site.uses() - before, items)

    return once


def _loop(site: Site, name: str) -> Callable[[int, int], tuple[float, Mapping[str, int]]]:
    def once(items: int, in_flight: int) -> tuple[float, Mapping[str, int]]:
        site.provider.organization("1", projects=items)
        numbers = [str(number) for number in (BASE + 1, items, in_flight)]
        log = site.home / f"{name}.log"
        command = [
            sys.executable,
            str(PEERS / f"{name}.py"),
            site.provider.base_url,
            "1",
            *numbers,
        ]
        child = spawn(command, extra_env={"PYTHONPATH": str(REPOSITORY)}, log=log)
        started = _at_work(site, child)
        # A zombie still tells what it used; who reaps it would not learn it any more.
        used = eventually(lambda: _ended(child.pid), within=600, what=f"{name} (see {log})")
        if child.wait(10):
            raise RuntimeError(f"{name} broke off: see {log}")
        return _rate(site, "1", 0.0), {"client": round((used - started) * 1e6 / items)}

    return once


def _at_work(site: Site, child: Child) -> float:
    """CPU seconds of a side that has just made its first call: its start is not counted."""
    eventually(lambda: site.provider.seen("1")["calls"], within=60, what="a first call")
    return of_session(child.pid).seconds


def _ended(pid: int) -> float:
    state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    return of_session(pid).seconds if state == "Z" else 0.0


def _celery(site: Site, pool: str) -> Callable[[int, int], tuple[float, Mapping[str, int]]]:
    def once(items: int, concurrency: int) -> tuple[float, Mapping[str, int]]:
        site.provider.organization("1", projects=items)
        _fill(site, items)
        broker = site.env["BULKDEL_REDIS_URL"].replace("/0", "/1")
        env = {
            **os.environ,
            "PEER_BROKER": broker,
            "PEER_DATABASE": f"{POSTGRES}/{site.database}",
            "PEER_BASE_URL": site.provider.base_url,
            "PEER_ORGANIZATION": "1",
            "PYTHONPATH": str(REPOSITORY),
        }
        app = Celery("peer", broker=broker)
        with app.producer_pool.acquire(block=True) as producer:
            for number in range(1, items + 1):
                args = [number, str(BASE + number)]
                app.send_task("peer.delete", args=args, queue="peer", producer=producer)
        command = [sys.executable, "-m", "celery", "-A", "bench.peers.celery_per_item", "--quiet"]
        command += ["worker", "--pool", pool, "--concurrency", str(concurrency), "-Q", "peer"]
        command += ["--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
        child = spawn(command, extra_env=env, log=site.home / f"celery-{pool}.log")
        try:
            started, before = _at_work(site, child), site.uses()
            eventually(lambda: _all_ended(site, items), within=600, what="the Celery peer")
            client = of_session(child.pid).seconds - started
            used = per_item(site.uses() - before, items)
        finally:
            child.terminate()
            if child.wait(20) is None:
                child.kill()
        cost = {**used, "workers": round(client * 1e6 / items)}
        return _rate(site, "1", 0.0), cost

    return once


def _rate(site: Site, organization: str, since: float) -> float:
    """Calls a second between the first and the last that came: the same for every side."""
    seen = site.provider.seen(organization, since=since)
    return float((seen["calls"] - 1) / (seen["last"] - seen["first"]))


@contextmanager
def _their_table(site: Site) -> Iterator[None]:
    _sql(site, CREATE)
    yield
    _sql(site, "DROP TABLE peer_items")


def _fill(site: Site, items: int) -> None:
    _sql(site, "TRUNCATE peer_items")
    fill = (
        "INSERT INTO peer_items SELECT n, CAST(:base + n AS text) "
        "FROM generate_series(1, :items) n"
    )
    _sql(site, fill, base=BASE, items=items)
    _sql(site, "ANALYZE peer_items")


def _all_ended(site: Site, items: int) -> bool:
    count = "SELECT count(*) FROM peer_items WHERE state <> 'pending'"
    return bool(_sql(site, count) == items)


def _sql(site: Site, statement: str, **values: object) -> Any:  # noqa: ANN401  a column's value
    engine = create_engine(f"{POSTGRES}/{site.database}")
    try:
        with engine.begin() as connection:
            rows = connection.execute(text(statement), values)
            return rows.scalar() if rows.returns_rows else None
    finally:
        engine.dispose()
