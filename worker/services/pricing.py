"""What a plan costs, and what it would cost to go about it in another way: pure."""

from dataclasses import replace
from datetime import datetime

from worker.domain.bulk import LEAST, Stage, assumed_pages, calls_of
from worker.domain.calls import PROJECT
from worker.domain.plan import Price, price
from worker.ports import Alternative, Job, PlannedItems
from worker.services.tools import AccountFacts

BACKGROUND = "--cascade-mode background"
FOREGROUND = "--cascade-mode foreground"
SINGLY = "without bulk_delete"


def goes_by_chunks(job: Job, items: PlannedItems, facts: AccountFacts) -> bool:
    """Whether the projects go by bulk deletes: where there are any, and they cost fewer calls.

    A listing that repeats itself would prove nothing of them.
    """
    whole = not job.options.cascade or job.options.background
    can_prove = job.bulk.stage is not Stage.OFF and not job.bulk.trail.repeats
    may = facts.bulk_size > 1 and whole and can_prove
    count = _listed(items)
    return may and count >= LEAST and sum(_chunk_calls(job, count, facts).values()) < count


def _listed(items: PlannedItems) -> int:
    """Projects that a listing or a read showed: what nothing showed proves nothing by absence."""
    return items.own.get(PROJECT, 0) - items.unlisted


def _chunk_calls(job: Job, count: int, facts: AccountFacts) -> dict[str, int]:
    pages = assumed_pages(job.list_pages, count, is_whole=not job.list_cursor)
    return calls_of(count, size=facts.bulk_size, pages=pages, page_size=facts.page_size)


def price_of(job: Job, items: PlannedItems, facts: AccountFacts, now: datetime) -> Price:
    """What the plan costs as it was asked for, if it starts now."""
    by_endpoint = {f"DELETE {kind}": count for kind, count in items.own.items()}
    if goes_by_chunks(job, items, facts):
        alone = {f"DELETE {PROJECT}": items.unlisted} if items.unlisted else {}
        del by_endpoint[f"DELETE {PROJECT}"]
        by_endpoint |= alone | _chunk_calls(job, _listed(items), facts)
    projects = items.own.get(PROJECT, 0)
    if job.options.recheck and projects:
        for source in facts.catalogue.sources(job.options.cascade):
            name = "GET project" if source == PROJECT else f"GET {source}"
            by_endpoint[name] = projects
    return price(by_endpoint, facts.purses, latency=facts.latency, now=now)


def alternatives(
    job: Job, items: PlannedItems, facts: AccountFacts, now: datetime
) -> tuple[Alternative, ...]:
    """The other ways in which the same projects could go, priced like the plan.

    Foreground is priced with a call for every child, also for those that will prove to go with
    their project alone: it is at most that.
    """
    found = []
    projects = items.own.get(PROJECT, 0)
    kinds = {kind.name for kind in facts.catalogue.children}
    children = {kind: count for kind, count in items.by_kind.items() if kind in kinds}
    if projects and children and not job.options.keep_projects:
        there = not job.options.background
        options = replace(job.options, background=there, recheck=not there)
        alone = {kind: count for kind, count in items.own.items() if kind not in children}
        own = alone if there else {**alone, **children}
        other = replace(job, options=options), replace(items, own=own)
        found.append(_priced(BACKGROUND if there else FOREGROUND, *other, facts, now))
    if goes_by_chunks(job, items, facts):
        found.append(_priced(SINGLY, job, items, replace(facts, bulk_size=0), now))
    return tuple(found)


def _priced(
    way: str, job: Job, items: PlannedItems, facts: AccountFacts, now: datetime
) -> Alternative:
    cost = price_of(job, items, facts, now)
    return Alternative(
        way=way,
        calls=cost.calls,
        calls_by_endpoint=cost.by_endpoint,
        quota_share=cost.quota_share,
        estimated_seconds=cost.seconds,
    )
