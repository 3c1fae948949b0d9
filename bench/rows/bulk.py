"""How many calls a project costs where the provider deletes in bulk; one call per id costs one."""

from collections.abc import Iterator
from pathlib import Path

from bench.scale import Scale
from bench.servers import ids
from bench.site import Site, a_site
from bench.table import Line, at_most

NAME = "bulk"
MOST = 0.05
FEW = 60
SIZE = 200
OPEN = "limits = { windows = [], per_day = 0, in_flight = 20 }"


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """All calls from the submission to the end: the plan's pages and the proof are in them."""
    with a_site(folder) as site:
        bulk_account(site, "a1")
        site.start_workers(1)
        projects = scale.bulk_projects
        if not is_there(site, "a1"):
            what = f"calls a deleted project, {projects} projects"
            yield Line(bench=NAME, what=what, value="not there yet", target=f"<= {MOST:g} x")
            return
        site.provider.organization("1", projects=projects)
        job = site.planned("a1", ids(projects))
        planning = site.provider.seen("1")["calls"]
        site.confirm(job)
        site.finished(job)
        seen = site.provider.seen("1")
        yield at_most(
            NAME,
            f"calls a deleted project, {projects} projects, chunks of {SIZE} "
            f"({planning} calls of planning among them)",
            seen["calls"] / seen["gone"],
            most=MOST,
            calls=seen["calls"],
            gone=seen["gone"],
            bulk_calls=seen["bulk"],
        )


def bulk_account(site: Site, name: str) -> None:
    """An account that deletes in bulk."""
    site.account(name, OPEN, f"bulk_delete = {{ enabled = true, size = {SIZE} }}")


def is_there(site: Site, account: str) -> bool:
    """Whether this release deletes in bulk at all."""
    organization = account.removeprefix("a")
    site.provider.organization(organization, projects=FEW)
    began = bool(site.workers)
    if not began:
        site.start_workers(1)
    job = site.planned(account, ids(FEW))
    site.confirm(job)
    site.finished(job)
    if not began:
        site.stop_workers()
    return bool(site.provider.seen(organization)["bulk"])
