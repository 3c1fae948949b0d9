"""From the listing to the frozen plan: what is still to be read, and what it all comes to."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from worker.domain.breakers import wrong_list
from worker.domain.bulk import PAIR, Bulk, Stage
from worker.domain.calls import PROJECT, TIMER, Action, Call
from worker.domain.canary import canary_size
from worker.domain.filters import Filter
from worker.domain.plan import Finding, FindingLevel, chunked, word_of
from worker.domain.states import JobState, Waiting
from worker.domain.text import count_of
from worker.ports import UNLISTED, Job, Lease, PlanFacts, PlannedItems, WaitingOn
from worker.services.choices import selection_of
from worker.services.choose import Work
from worker.services.guarding import NOTHING_USED, AtPlan, guard_findings, look, needs_count
from worker.services.holds import skip_held
from worker.services.pricing import alternatives, goes_by_chunks, price_of
from worker.services.tools import AccountFacts, Tools, off

REPEATS = (
    "the listing repeats itself: it came back to a page that it had shown, so nobody knows all "
    "that the filters select; name the projects by their ids (--ids-file), or submit it again "
    "once the provider has mended its list"
)


def next_page(job: Job, filters: Sequence[Filter] = ()) -> Work:
    """The call for the next page of a job's listing."""
    wire = () if job.counting else selection_of(job, filters).wire
    call = Call(action=Action.LIST, cursor=job.list_cursor, filters=wire)
    return Work(job_id=job.id, call=call)


def enough(*, pages: int, unseen: int) -> bool:
    """Whether reading what is missing one by one is cheaper than listing on.

    The length of a listing is not known before its end. Stopping when as many pages were read
    as projects are missing never costs more than twice the better of the two ways.
    """
    return unseen <= pages


def count_again_at(*, pages: int, unseen: int, page_size: int) -> int:
    """After how many pages in all it may be enough at the earliest, as each shows no more.

    Counting what a million ids lack takes a database longer than a page takes.
    """
    return -((unseen + pages * page_size) // -(page_size + 1))


async def after_page(tools: Tools, lease: Lease, job: Job, count_at: dict[str, int]) -> bool:
    """Whether the listing ends here; has what it did not show read by itself if need be.

    One that repeats itself ends here too, and no plan by filters can be made of it.
    `count_at` remembers, by job, after which page it is counted again what is missing.
    """
    repeats = job.bulk.trail.repeats
    at_end = repeats or not job.list_cursor
    if job.counting:
        if at_end:
            await off(tools.plans.end_listing, lease, job.id, read_unseen=False)
        return at_end
    if job.options.filters:  # what is on a page not read would be missing from the plan
        if repeats:
            await off(tools.plans.fail, lease, job, REPEATS)
        elif at_end:
            count = needs_count(job, tools.facts)
            await off(tools.plans.end_listing, lease, job.id, read_unseen=False, count=count)
        return at_end
    if not at_end and job.list_pages < count_at.get(job.id, 0):
        return False
    pages, unseen = job.list_pages, await off(tools.plans.unseen, job.id)
    if not at_end and not enough(pages=pages, unseen=unseen):
        size = tools.facts.page_size
        count_at[job.id] = count_again_at(pages=pages, unseen=unseen, page_size=size)
        return False
    alone = bool(unseen) and (repeats or not at_end or bool(tools.facts.protection.names))
    count = needs_count(job, tools.facts)
    await off(tools.plans.end_listing, lease, job.id, read_unseen=alone, count=count)
    return True


async def finish(tools: Tools, lease: Lease, job: Job) -> Job:
    """Freeze the plan of a job whose items have all been read."""
    holds = await skip_held(tools, lease, job)
    while await off(tools.plans.skip_duplicates, lease, job):
        pass
    if job.options.keep_projects:
        job = await off(tools.plans.keep_projects, lease, job)
    items = await off(tools.plans.measure, job)
    if doubt := _doubt(job, items, tools.facts):
        return await off(tools.plans.doubt, lease, job, doubt)
    by_chunks = goes_by_chunks(job, items, tools.facts)
    await off(tools.plans.arrange, lease, job, by_chunks=by_chunks)
    at_plan = await look(tools, job, holds)
    plan = make_plan(job, items, tools.facts, lease.now, at_plan)
    if job.dry_run or not plan.items:
        return await off(tools.plans.keep, lease, job, plan)
    size = _canary(job, items, tools.facts)
    last = await off(tools.plans.canary_end, job.id, size) if size else None
    frozen = await off(
        tools.plans.freeze,
        lease,
        job,
        plan,
        waiting=_asks(job, plan),
        canary_position=last,
        bulk=Bulk(stage=Stage.CANARY) if by_chunks else job.bulk,
    )
    return await off(tools.confirm, frozen) if may_confirm(frozen, tools.facts) else frozen


def _doubt(job: Job, items: PlannedItems, facts: AccountFacts) -> str:
    """Why a person is to be asked whether this is the right list; empty if not, or asked."""
    if job.dry_run or job.tally.asked or not _is_list(job):
        return ""
    return facts.breakers.doubt(items.absent + items.unlisted, items.given)


def _is_list(job: Job) -> bool:
    """Whether somebody wrote the ids down: a retry takes up what may well be gone by now."""
    return not job.options.filters and not job.parent_job_id


def may_confirm(job: Job, facts: AccountFacts) -> bool:
    """Whether the yes given with a submission is enough for its plan; a policy's own always is.

    What bounds a policy that confirms itself is its guard, and the account's ceilings.
    """
    asks = {FindingLevel.ASK, FindingLevel.REFUSAL}
    refused = any(finding.level in asks for finding in job.plan.findings)
    small = job.plan.items <= facts.confirm.auto_confirm_max
    waits = job.state is JobState.AWAITING_CONFIRMATION and not job.stopping
    turned_back = job.bulk.stage is Stage.OFF  # the yes was given to another price
    asked = job.options.auto_confirm and small and not turned_back
    return (asked or job.options.confirms_itself) and waits and not refused


def _asks(job: Job, plan: PlanFacts) -> WaitingOn:
    return WaitingOn(
        code=Waiting.CONFIRMATION,
        sentence=f'waits for its word: bulkdel confirm {job.id} --word "{plan.word}"',
    )


def make_plan(
    job: Job,
    items: PlannedItems,
    facts: AccountFacts,
    now: datetime,
    at_plan: AtPlan = NOTHING_USED,
) -> PlanFacts:
    """The plan in figures and findings; pure."""
    count = sum(items.by_kind.values())
    cost = price_of(job, items, facts, now)
    digest = items.digest
    if goes_by_chunks(job, items, facts):
        digest = chunked(digest, facts.bulk_size)
    return PlanFacts(
        hash=digest,
        word=word_of(count, job.account, digest),
        items=count,
        by_kind=items.by_kind,
        calls=cost.calls,
        calls_by_endpoint=cost.by_endpoint,
        calls_spent=items.spent,
        alternatives=alternatives(job, items, facts, now),
        quota_share=cost.quota_share,
        estimated_seconds=cost.seconds,
        finish_at=now + timedelta(seconds=cost.seconds),
        findings=(*_findings(job, items, facts), *guard_findings(job, items, facts, at_plan)),
        duplicates=job.plan.duplicates,
        kept=job.plan.kept,
        strays=job.plan.strays,
        believed=job.plan.believed,
        complete=True,
        stops=_stops(job, items, facts),
        canary_hold=facts.canary_hold.total_seconds(),
    )


def _stops(job: Job, items: PlannedItems, facts: AccountFacts) -> tuple[str, ...]:
    """What holds the job up or stops it by itself, in words."""
    size = _canary(job, items, facts)
    hold = f", and the rest waits {facts.canary_hold} after them" if facts.canary_hold else ""
    first = (f"the first {size} projects go alone{hold}",) if size else ()
    return (*first, facts.breakers.said)


def _canary(job: Job, items: PlannedItems, facts: AccountFacts) -> int:
    """How many projects go first; chunks have a canary of their own."""
    if goes_by_chunks(job, items, facts):
        return 0
    return canary_size(
        items.by_kind.get(PROJECT, 0),
        above=facts.canary_above,
        percent=facts.canary_percent,
        least=facts.canary_least,
    )


def _findings(job: Job, items: PlannedItems, facts: AccountFacts) -> list[Finding]:
    found = [
        Finding(
            level=FindingLevel.INFO,
            code=outcome.value,
            text=f"{count_of(number, 'item')} {'ends' if number == 1 else 'end'} {outcome}, "
            "left out of the plan" + _named(items, outcome.value, number),
        )
        for outcome, number in sorted(items.skipped.items())
    ]
    found += _of_bulk(job, items, facts)
    if job.plan.duplicates:
        text = f"{count_of(job.plan.duplicates, 'duplicate id')} in the input dropped"
        found.append(Finding(level=FindingLevel.INFO, code="duplicates", text=text))
    if job.plan.kept:
        found.append(_kept(job.plan.kept))
    if job.options.filters and not items.skipped and not set(items.by_kind) - {TIMER}:
        text = "the filters select nothing" if not job.plan.kept else "there is nothing to delete"
        found.append(Finding(level=FindingLevel.WARNING, code="nothing_selected", text=text))
    found += _of_filters(job)
    found += _of_listing(job, items)
    absent = items.absent + items.unlisted
    if absent > 1 and _is_list(job) and facts.breakers.are_many(absent, items.given):
        text = wrong_list(absent, f"{items.given} projects of the list")
        found.append(Finding(level=FindingLevel.WARNING, code="absent", text=text))
    if facts.catalogue.children and not job.options.cascade:
        text = "cascade none: children are not looked at; a project goes with whatever hangs on it"
        found.append(Finding(level=FindingLevel.WARNING, code="cascade_none", text=text))
    if facts.catalogue.blind:
        blind = Finding(level=FindingLevel.WARNING, code="blind", text=facts.catalogue.blind)
        found.append(blind)
    return found


def _of_bulk(job: Job, items: PlannedItems, facts: AccountFacts) -> list[Finding]:
    """How projects go together, or why not."""
    if goes_by_chunks(job, items, facts):
        return [_chunked(items.own[PROJECT], facts.bulk_size)]
    if not job.bulk.refusal:
        return []
    text = f"no bulk delete: {job.bulk.refusal}"
    return [Finding(level=FindingLevel.WARNING, code="bulk_refused", text=text)]


def _of_listing(job: Job, items: PlannedItems) -> list[Finding]:
    """What the listing did not show, and whether it was read to its end."""
    found = []
    if job.bulk.trail.repeats:
        text = "the listing repeats itself, so it was not read to its end: tell the provider"
        found.append(Finding(level=FindingLevel.WARNING, code="listing_repeats", text=text))
    if items.unlisted and not job.options.filters:
        text = f"{items.unlisted} ids are in no list of projects: they may be gone already"
        text += _named(items, UNLISTED, items.unlisted)
        found.append(Finding(level=FindingLevel.WARNING, code="not_listed", text=text))
    return found


def _of_filters(job: Job) -> list[Finding]:
    """How far the provider kept to the filters, as far as its list shows that."""
    strays, believed = job.plan.strays, job.plan.believed
    texts = {
        "strays": f"the list shows {strays} projects that the filters do not select, and they "
        "are left out: the provider ignores a filter, or means something else by it",
        "believed": f"{believed} projects are selected on the provider's word alone: its list "
        "does not show what a filter is about",
    }
    there = {"strays": strays, "believed": believed}
    return [
        Finding(level=FindingLevel.WARNING, code=code, text=text)
        for code, text in texts.items()
        if there[code]
    ]


def _chunked(count: int, size: int) -> Finding:
    text = (
        f"projects go {size} in a call (bulk_delete), {PAIR} of them first; a listing proves "
        f"the rest; one by one it would be {count} calls"
    )
    return Finding(level=FindingLevel.INFO, code="bulk", text=text)


def _named(items: PlannedItems, what: str, number: int) -> str:
    """The ids themselves, as far as they are few."""
    ids = items.named.get(what, ())
    if not ids:
        return ""
    more = f" and {number - len(ids)} more" if number > len(ids) else ""
    return f": {', '.join(ids)}{more}"


def _kept(kept: Mapping[str, int]) -> Finding:
    """What a cleanup leaves alone: the projects, and what would go only with them."""
    others = [f"{count} {kind}s" for kind, count in sorted(kept.items()) if kind != PROJECT]
    text = f"{kept.get(PROJECT, 0)} projects are kept: only their children go"
    if others:
        text += f"; so are {', '.join(others)} that go with their project alone"
    return Finding(level=FindingLevel.INFO, code="kept", text=text)
