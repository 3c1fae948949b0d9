"""Whether a larger job costs more an item, or more memory, than one of 10,000."""

from collections.abc import Iterator
from pathlib import Path

from bench.cpu import peak_memory
from bench.rows.bulk import bulk_account, is_there
from bench.scale import Scale
from bench.servers import ids
from bench.site import Site, a_site
from bench.table import Line

NAME = "growth"
WITHIN = 1.2
PLANNED_WITHIN = 1200.0
"""Seconds: a million projects are 5,000 pages, one after the other."""
MEGABYTE = 1 << 20


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """Each size on workers of its own, so that each has its own peak of memory."""
    sizes = sorted(scale.growth, key=lambda size: size != _middle(scale))  # the measure first
    base: tuple[float, int] | None = None
    with a_site(folder) as site:
        site.account("a1", "limits = { windows = [], per_day = 0, in_flight = 20 }")
        for size in sizes:
            rate, peak = _measured(site, "a1", size)
            base = base or (rate, peak)
            yield _line(f"{size} singles", rate, peak, base)
        bulk_account(site, "a2")
        if not is_there(site, "a2"):
            yield Line(bench=NAME, what=f"{scale.growth_bulk} in bulk", value="not there yet")
            return
        base = _measured(site, "a2", _middle(scale))
        yield _line(f"{_middle(scale)} in bulk", *base, base)
        yield _line(
            f"{scale.growth_bulk} in bulk", *_measured(site, "a2", scale.growth_bulk), base
        )


def _middle(scale: Scale) -> int:
    return sorted(scale.growth)[len(scale.growth) // 2]


def _measured(site: Site, account: str, size: int) -> tuple[float, int]:
    """Items a second from its start to its end, and the worker's peak from submission on."""
    site.provider.organization(account.removeprefix("a"), projects=size)
    site.start_workers(1)
    job = site.planned(account, ids(size), within=PLANNED_WITHIN)
    site.confirm(job)
    ended = site.finished(job)
    peak = max(peak_memory(child.pid) for child in site.workers)
    site.stop_workers()
    if ended.started_at is None or ended.finished_at is None:
        raise RuntimeError(f"{job.id} has no times")
    return size / (ended.finished_at - ended.started_at).total_seconds(), peak


def _line(what: str, rate: float, peak: int, base: tuple[float, int]) -> Line:
    slower, larger = base[0] / rate, peak / base[1]
    return Line(
        bench=NAME,
        what=f"{what}: {rate:.0f} items/s, {peak / MEGABYTE:.0f} MB",
        value=f"{slower:.2f} x time an item, {larger:.2f} x memory",
        target=f"<= {WITHIN:g} x both",
        met=slower <= WITHIN and larger <= WITHIN,
        facts={"rate": rate, "peak_bytes": peak, "slower": slower, "larger": larger},
    )
