"""Which of Celery's pools carries a worker best: one fast account, and several that are slow."""

from collections.abc import Iterator
from pathlib import Path

from bench.cpu import peak_memory
from bench.scale import Scale
from bench.servers import ids
from bench.site import Site, a_site, per_item
from bench.table import Line

NAME = "pools"
POOLS = {
    "threads": ("--pool", "threads", "--concurrency", "4"),
    "solo": ("--pool", "solo"),
    "prefork": ("--pool", "prefork", "--concurrency", "2"),
}
SLOW = ("a2", "a3", "a4", "a5")
LATENCY = 0.05
MEGABYTE = 1 << 20


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """The same jobs on each pool; the last option of a command line wins with Celery."""
    with a_site(folder) as site:
        site.account("a1", "limits = { windows = [], per_day = 0, in_flight = 20 }")
        for name in SLOW:
            site.account(name, "limits = { windows = [], per_day = 0, in_flight = 5 }")
        for pool, options in POOLS.items():
            site.start_workers(1, more=options)
            yield _measured(site, scale, pool)
            site.stop_workers()


def _measured(site: Site, scale: Scale, pool: str) -> Line:
    fast, cost = _together(site, ("a1",), scale.sweep_items, latency=0.0)
    slow, _ = _together(site, SLOW, scale.sweep_items // 10, latency=LATENCY)
    peak = sum(peak_memory(child.pid) for child in site.workers) / MEGABYTE
    return Line(
        bench=NAME,
        what=f"{pool}: one account {fast:.0f} /s, {len(SLOW)} accounts at {LATENCY:g} s a call",
        value=f"{slow:.0f} /s",
        facts={"fast": fast, "slow": slow, "cpu_us_per_item": cost, "peak_mb": round(peak)},
    )


def _together(
    site: Site, accounts: tuple[str, ...], items: int, *, latency: float
) -> tuple[float, int]:
    """Calls a second of jobs that run at the same time, and CPU microseconds an item."""
    for name in accounts:
        site.provider.organization(name.removeprefix("a"), projects=items)
    jobs = [site.planned(name, ids(items)) for name in accounts]
    for name in accounts:
        site.provider.organization(name.removeprefix("a"), projects=items, latency=latency)
    before = site.uses()
    for job in jobs:
        site.confirm(job)
    for job in jobs:
        site.finished(job)
    cost = per_item(site.uses() - before, items * len(jobs))["workers"]
    seen = [site.provider.seen(name.removeprefix("a")) for name in accounts]
    began, ended = min(one["first"] for one in seen), max(one["last"] for one in seen)
    return sum(one["calls"] for one in seen) / (ended - began), cost
