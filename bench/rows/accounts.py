"""Many accounts with small windows on two processes: what all may do, and the worst of them."""

from collections.abc import Iterator
from pathlib import Path

from bench.scale import Scale
from bench.servers import ids
from bench.site import a_site
from bench.table import Line
from bench.waiting import rest

NAME = "accounts"
WORKERS = 2
CONCURRENCY = 8
LATENCY = 0.05
IN_FLIGHT = 10
ALL, WORST = 0.9, 0.8


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """All accounts at once, each with one job that outlasts the bench."""
    with a_site(folder) as site:
        limits = f'windows = [[{scale.account_calls}, "{scale.window:g}s"]], per_day = 0'
        names = [str(number) for number in range(1, scale.accounts + 1)]
        seconds = scale.warm + scale.measured
        items = int(scale.account_calls * (seconds / scale.window + 1))
        for name in names:
            given = (f"limits = {{ {limits}, in_flight = {IN_FLIGHT} }}", "rate_share = 1.0")
            site.account(f"a{name}", *given, write=False)
            site.provider.organization(name, projects=items)
        site.write_accounts()
        site.start_workers(WORKERS, concurrency=CONCURRENCY)
        jobs = [site.submit(f"a{name}", ids(items)) for name in names]
        planned = [site.has_plan(job) for job in jobs]
        rest(scale.window)
        windows = {"calls": scale.account_calls, "per": scale.window, "latency": LATENCY}
        for name in names:
            site.provider.organization(name, projects=items, **windows)
        for job in planned:
            site.confirm(job)
        rest(seconds)
        now = site.provider.now()
        seen = site.provider.calls(since=now - scale.measured, until=now)
        permitted = scale.account_calls * scale.measured / scale.window
        share = sum(one["calls"] for one in seen.values()) / (permitted * len(names))
        worst = min(one["calls"] for one in seen.values()) / permitted
        refused = sum(one["refused"] for one in seen.values())
        yield Line(
            bench=NAME,
            what=f"{len(names)} accounts at {scale.account_calls} per {scale.window:g} s, "
            f"{WORKERS} processes; the worst {worst:.3f}; {refused} x 429",
            value=f"{share:.3f}",
            target=f">= {ALL:g}, worst >= {WORST:g}",
            met=share >= ALL and worst >= WORST,
            facts={"share": share, "worst": worst, "throttled": refused},
        )
