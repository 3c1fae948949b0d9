"""What the answer to one call means for its items: decisions, ready to be committed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from worker.domain.bulk import Bulk
from worker.domain.calls import PROJECT, TIMER, Action, Answer, Seen
from worker.domain.catalogue import Catalogue
from worker.domain.decide import decide
from worker.domain.filters import Filter, Filters
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.plan import Protection
from worker.domain.repeats import Page, Trail, after
from worker.domain.retry import RetryPolicy
from worker.domain.steps import TOGETHER, Case, Decision, GoOn, Settle, Step
from worker.domain.together import halved
from worker.ports import Change, Done, Found, Item, Job, ListingProgress
from worker.services.choices import NO_FILTERS, selection_of
from worker.services.choose import Work

REFUSED_LISTING = timedelta(minutes=5)
"""How long until a listing that was refused is asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decisions about an account's items are made by."""

    catalogue: Catalogue
    protection: Protection
    policy: RetryPolicy
    filters: tuple[Filter, ...] = ()  # what the provider can be asked for


def result_of(
    work: Work,
    answer: Answer,
    *,
    job: Job,
    rules: Rules,
    known: Mapping[int, frozenset[tuple[str, str]]],
    jitter: float,
) -> Done:
    """A call that came back, with a decision for each of its items."""
    changes: list[Change] = []
    children: tuple[Seen, ...] = ()
    for place, item in enumerate(work.items):
        case = _case(item, job, rules.catalogue, known)
        said = _said_of(place, answer)
        if _is_refused_together(work, said):
            decision: Decision = GoOn(progress=halved(item.progress, len(work.items)))
        else:
            decision = decide(case, item.progress, said, rules.policy, jitter)
        change = Change(item=item, decision=decision)
        if answer.verdict is Verdict.SEEN:
            if item.progress.step is Step.READ:
                change, children = _read(change, answer, job, rules)
            elif item.progress.step is Step.RECHECK:
                change = _spared(change, answer, rules)
        changes.append(change)
    return Done(
        job_id=job.id,
        call=work.call,
        answer=answer,
        changes=tuple(changes),
        children=children,
    )


def _said_of(place: int, answer: Answer) -> Answer:
    """What an answer says of the target at this place."""
    return replace(answer, verdict=answer.by_target[place]) if answer.by_target else answer


def _is_refused_together(work: Work, answer: Answer) -> bool:
    """Whether a chunk was refused for its content: nothing of it was done, one id is to blame."""
    together = len(work.items) > 1 and work.items[0].progress.step in TOGETHER
    refused = answer.verdict in {Verdict.REFUSED, Verdict.ABSENT}
    return together and refused and not answer.by_target


def _case(
    item: Item,
    job: Job,
    catalogue: Catalogue,
    known: Mapping[int, frozenset[tuple[str, str]]],
) -> Case:
    return Case(
        seen=item.seen,
        known=known.get(item.id, frozenset()),
        kinds=frozenset(job.options.cascade),
        sources=len(catalogue.sources(job.options.cascade)),
        touched=bool(known.get(item.id)) or job.options.stop_timer,
        recheck=job.options.recheck and item.seen.target.kind == PROJECT,
        stopping=bool(job.stopping),
        can_look=item.seen.target.kind != TIMER,
        apart=_is_apart(item, catalogue),
        canary=item.id in job.bulk.canary,
    )


def _is_apart(item: Item, catalogue: Catalogue) -> bool:
    kind = item.seen.target.kind
    return kind != TIMER and catalogue.kind(kind).source != PROJECT


def _read(
    change: Change, answer: Answer, job: Job, rules: Rules
) -> tuple[Change, tuple[Seen, ...]]:
    """Planning: what was read of a project is kept, and a protection spares all of it."""
    reading = answer.reading
    itself = next((p for p in reading.projects), change.item.seen)
    seen = replace(itself, target=change.item.seen.target)
    why = _why_spared(seen, answer, rules.protection)
    if why:
        decision: Decision = Settle(outcome=Outcome.SKIPPED_PROTECTED, reason=why)
        return replace(change, decision=decision, seen=seen), ()
    children = tuple(
        replace(child, goes_with_parent=child.goes_with_parent or job.options.background)
        for child in reading.children
        if child.target.kind in job.options.cascade
    )
    return replace(change, seen=seen), children


def _spared(change: Change, answer: Answer, rules: Rules) -> Change:
    """Just before the delete: a protection that came since the plan was made wins over it."""
    why = _why_spared(change.item.seen, answer, rules.protection)
    if not why:
        return change
    return replace(change, decision=Settle(outcome=Outcome.SKIPPED_PROTECTED, reason=why))


def _why_spared(seen: Seen, answer: Answer, protection: Protection) -> str:
    """Which rule spares a project: by itself, or by a child that a read shows below it."""
    why = protection.why(seen)
    for child in answer.reading.children:
        below = protection.why(child)
        why = why or (below and f"its {child.target.kind} {child.target.external_id}: {below}")
    return why


def page_of(
    work: Work,
    answer: Answer,
    *,
    job: Job,
    matched: Mapping[str, Item],
    rules: Rules,
    jitter: float,
) -> Done:
    """A page of the listing: what it shows of the job's items, and where it goes on.

    A page that could not be read leaves the listing where it was, to be read again later.
    """
    changes = []
    shown = answer.reading.projects if answer.verdict is Verdict.SEEN else ()
    for seen in () if job.counting else shown:
        item = matched.get(seen.target.external_id)
        if item is not None:
            changes.append(_listed(item, seen, rules.protection))
    asked = _asked(job, rules) if answer.verdict is Verdict.SEEN else NO_FILTERS
    selected = [seen for seen in shown if asked.canonical and asked.client(seen)]
    tries = job.list_tries + (answer.verdict.is_attempt)
    wait = rules.policy.after(tries, jitter) if tries else timedelta(0)
    if answer.verdict in {Verdict.REFUSED, Verdict.INVALID}:
        wait = REFUSED_LISTING  # a person has to mend something: do not spend the quota
    progress = ListingProgress(
        cursor=job.list_cursor, pages=job.list_pages, tries=tries, after=wait
    )
    if answer.verdict is Verdict.SEEN:
        progress = ListingProgress(
            cursor=answer.reading.next_cursor,
            pages=job.list_pages + 1,
            bulk=walked(job.bulk, work, answer),
            projects=len(shown) if job.counting else 0,
            strays=sum(asked.is_stray(seen) for seen in shown),
            believed=sum(asked.is_believed(seen) for seen in selected),
        )
    return Done(
        job_id=job.id,
        call=work.call,
        answer=answer,
        changes=tuple(changes),
        listing=progress,
        found=tuple(Found(seen=seen, spared=rules.protection.why(seen)) for seen in selected),
    )


def walked(bulk: Bulk, work: Work, answer: Answer) -> Bulk:
    """Where a job stands after one more page, read forwards; the first one begins a new trail."""
    page = Page(ids=ids_shown(answer), following=answer.reading.next_cursor)
    return replace(bulk, trail=after(bulk.trail if work.call.cursor else Trail(), page))


def _asked(job: Job, rules: Rules) -> Filters:
    """The filters by which a page is read: none while all projects are only counted."""
    return NO_FILTERS if job.counting else selection_of(job, rules.filters)


def _listed(item: Item, seen: Seen, protection: Protection) -> Change:
    seen = replace(seen, target=item.seen.target)
    why = protection.why(seen)
    decision: Decision = GoOn(progress=item.progress)
    if why:
        decision = Settle(outcome=Outcome.SKIPPED_PROTECTED, reason=why)
    return Change(item=item, decision=decision, seen=seen)


def is_listing(work: Work) -> bool:
    """Whether this call is a page of a job's listing."""
    return work.call.action is Action.LIST


def ids_shown(answer: Answer) -> list[str]:
    """The projects a page shows."""
    shown = (seen.target for seen in answer.reading.projects)
    return [target.external_id for target in shown if target.kind == PROJECT]
