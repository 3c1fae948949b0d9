"""A small job behind a large one: on the same account, and on another account."""

from collections.abc import Iterator
from pathlib import Path

from bench.provider import BASE
from bench.scale import Scale
from bench.servers import ids
from bench.site import Site, a_site
from bench.table import Line, at_most
from bench.waiting import rest
from worker.domain.states import JobState
from worker.ports import Job

NAME = "fairness"
SAME, OTHER = 3.0, 1.5
LATENCY = 0.02


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """The small job alone first, then on another account, then behind the large one."""
    with a_site(folder) as site:
        limits = 'limits = { windows = [[10, "1s"]], per_day = 0, in_flight = 5 }'
        open_limits = "limits = { windows = [], per_day = 0, in_flight = 5 }"
        for name in ("a1", "a2", "a3"):
            site.account(name, open_limits if name == "a1" else limits, "rate_share = 1.0")
        site.start_workers(2)
        alone = _time_of(site, _small(site, scale, "2"))
        large = _large(site, scale, limits)
        beside = _time_of(site, _small(site, scale, "3"))
        yield at_most(
            NAME,
            f"{scale.few} items, another account works {scale.behind}: time, against alone "
            f"({alone:.2f} s)",
            beside / alone,
            most=OTHER,
            alone=alone,
            beside=beside,
        )
        yield _behind(site, scale, large)


def _large(site: Site, scale: Scale, limits: str) -> Job:
    """The large job, under way and slowed down once it is planned."""
    site.provider.organization("1", projects=scale.behind + scale.few)
    large = site.planned("a1", ids(scale.behind))
    site.account("a1", limits, "rate_share = 1.0")
    site.confirm(large)
    rest(1.0)
    return large


def _small(site: Site, scale: Scale, name: str) -> Job:
    site.provider.organization(name, projects=scale.few, latency=LATENCY)
    return site.planned(f"a{name}", ids(scale.few))


def _time_of(site: Site, job: Job) -> float:
    site.confirm(job)
    ended = site.finished(job)
    if ended.started_at is None or ended.finished_at is None:
        raise RuntimeError(f"{job.id} has no times")
    return (ended.finished_at - ended.started_at).total_seconds()


def _behind(site: Site, scale: Scale, large: Job) -> Line:
    small = site.planned("a1", ids(scale.few, first=scale.behind + 1))
    since = site.provider.now()
    site.confirm(small)
    site.finished(small)
    calls = site.provider.seen("1", since=since)["calls"]
    if site.desk.jobs.get(large.id).state is not JobState.RUNNING:
        raise RuntimeError(f"{large.id} did not outlast the bench (ids from {BASE})")
    return at_most(
        NAME,
        f"{scale.few} items behind {scale.behind} on one account: permits passed",
        calls / scale.few,
        most=SAME,
        calls=calls,
    )
