"""What one item costs: CPU by part, SQL statements, bytes written; and where it goes."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.cpu import backends
from bench.scale import Scale
from bench.servers import REPOSITORY, ids
from bench.site import Site, a_site, per_item
from bench.table import Line
from worker.processes import Child, spawn

NAME = "cost"
IN_FLIGHT = 50
PROFILE = REPOSITORY / "bench" / "results" / "profile.txt"
SHOWN = 12
RATE = 250
"""Samples a second."""
ENDS_WITHIN = 60.0
FRAME = re.compile(r"\(.*?(\w+)\.py(?::\d+)?\)$")
"""A frame as py-spy writes it: `name (path/module.py:12)`."""


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """One job for CPU and bytes, then the same with the sampler in the worker."""
    items = scale.cost_items
    with a_site(folder) as site:
        site.account("a1", f"limits = {{ windows = [], per_day = 0, in_flight = {IN_FLIGHT} }}")
        site.start_workers(1)
        _job(site, 200)  # what every process does once
        site.provider.organization("1", projects=items)
        job = site.planned("a1", ids(items))
        before, written = site.uses(), site.written(backends(site.database)) or 0
        site.confirm(job)
        site.finished(job)
        cost = per_item(site.uses() - before, items)
        bytes_now = site.written(backends(site.database))
        site.stop_workers()
        for part, used in cost.items():
            yield _line(f"CPU of the {part}", f"{used} us", cpu_us=used)
        if bytes_now is not None:
            a_byte = (bytes_now - written) / items
            yield _line("written by the database", f"{a_byte:.0f} bytes", bytes=a_byte)
        yield from _sampled(site, items)


def _sampled(site: Site, items: int) -> Iterator[Line]:
    tally = site.home / "tally.json"
    site.start_workers(1, more=("--include", "bench.tally"), BENCH_TALLY=str(tally))
    _job(site, 200)
    sampler = _sampler(site)
    _job(site, items)
    site.stop_workers()  # which ends the sampler
    if sampler.wait(ENDS_WITHIN):
        raise RuntimeError(f"the sampler broke off: see {site.home / 'sampler.log'}")
    statements: list[tuple[str, int]] = json.loads(tally.read_text(encoding="utf-8"))
    total = sum(count for _, count in statements)
    yield _line(
        "SQL statements, planning and all",
        f"{total / items:.3f}",
        statements={text: count / items for text, count in statements[:SHOWN]},
    )
    where = ", ".join(f"{name} {share:.0%}" for name, share in _where())
    yield _line(f"where its time goes ({PROFILE.name})", where)


def _sampler(site: Site) -> Child:
    """Sample the worker from outside: which of its threads holds the interpreter, and where."""
    PROFILE.parent.mkdir(exist_ok=True)
    (worker,) = site.workers
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--gil"]
    command += ["--rate", str(RATE), "--format", "raw", "--output", str(PROFILE)]
    return spawn([*command, "--pid", str(worker.pid)], extra_env={}, log=site.home / "sampler.log")


def _job(site: Site, items: int) -> None:
    site.provider.organization("1", projects=items)
    job = site.planned("a1", ids(items))
    site.confirm(job)
    site.finished(job)


def _line(what: str, value: str, **facts: object) -> Line:
    return Line(
        bench=NAME, what=f"an item, {IN_FLIGHT} in flight: {what}", value=value, facts=facts
    )


PARTS = {
    "database": ("work", "endings", "plans", "accounts", "holds", "engine"),
    "provider": ("http", "wire"),
    "gate": ("redis_gate",),
    "slice": ("slice", "flights", "execute", "queue", "results"),
    "the loop and Celery": ("base_events", "loops"),
}


def _where() -> list[tuple[str, float]]:
    """Samples by the part of ours that was at work in them, the innermost of each stack."""
    seen: Counter[str] = Counter()
    part_by_module = {module: part for part, modules in PARTS.items() for module in modules}
    for line in PROFILE.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        found = (FRAME.search(frame) for frame in reversed(stack.split(";")))
        modules = (frame[1] for frame in found if frame)
        part = next((part_by_module[m] for m in modules if m in part_by_module), "the rest")
        seen[part] += int(count)
    total = sum(seen.values()) or 1
    return [(part, count / total) for part, count in seen.most_common()]
