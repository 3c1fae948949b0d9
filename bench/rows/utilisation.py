"""Whether four processes use all of one account's window, and no more; then with a rival."""

from collections.abc import Iterator
from pathlib import Path

from bench.scale import Scale
from bench.servers import ids
from bench.site import Site, a_site
from bench.table import Line
from bench.waiting import rest

NAME = "utilisation"
WORKERS = 4
LATENCY = 0.05
RIVAL = 0.3
ALONE, BESIDE_A_RIVAL = 0.99, 0.95


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """Both runs, one after the other, on the same workers."""
    with a_site(folder) as site:
        windows = f'windows = [[{scale.calls}, "{scale.window:g}s"]]'
        for name in ("a1", "a2"):
            limits = f"limits = {{ {windows}, per_day = 0, in_flight = 20 }}"
            site.account(name, limits, "rate_share = 1.0")
        site.start_workers(WORKERS)
        yield _measured(site, scale, "1", rival=0.0, least=ALONE)
        yield _measured(site, scale, "2", rival=RIVAL, least=BESIDE_A_RIVAL)


def _measured(site: Site, scale: Scale, name: str, *, rival: float, least: float) -> Line:
    seconds = scale.warm + scale.measured
    permitted = scale.calls * scale.measured / scale.window
    items = int(scale.calls * (seconds / scale.window + 2))
    limits = {"calls": scale.calls, "per": scale.window, "latency": LATENCY}
    site.provider.organization(name, projects=items)  # while it is planned: without limits
    job = site.planned(f"a{name}", ids(items))
    rest(scale.window)  # what planning took is out of the window again
    site.provider.organization(name, projects=items, rival=rival, **limits)
    site.confirm(job)
    rest(seconds)
    now = site.provider.now()
    seen = site.provider.seen(name, since=now - scale.measured, until=now)
    of_all = site.provider.seen(name)
    left = permitted - seen["rivals"]
    share = seen["calls"] / left
    spent = _attempts_over_one(site, job.id)
    clean = spent == 0 and (rival > 0 or not of_all["refused"])
    clean = clean and of_all["worst"] <= scale.calls
    beside = f", {of_all['refused']} x 429, {spent} attempts spent" if rival else ""
    return Line(
        bench=NAME,
        what=f"{'beside a rival' if rival else 'alone'}, {WORKERS} processes, "
        f"{scale.calls} per {scale.window:g} s{beside}",
        value=f"{share:.3f}",
        target=f">= {least:g}, {'no attempt spent' if rival else 'no 429'}",
        met=share >= least and clean,
        facts={
            "share": share,
            "calls": seen["calls"],
            "permitted": left,
            "rivals": seen["rivals"],
            "throttled": of_all["refused"],
            "worst_window": of_all["worst"],
            "attempts_spent": spent,
        },
    )


def _attempts_over_one(site: Site, job: str) -> int:
    """Attempts that did not end their item: a throttled call must not be one."""
    return sum(
        max(0, item.progress.attempts - (item.outcome is not None))
        for item in site.desk.jobs.items(job)
    )
