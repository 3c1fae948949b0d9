"""What a page of the listing proves about items that went by chunks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from worker.domain.backwards import FEW, Backwards, Shown, after_page, between, once_more
from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Answer
from worker.domain.outcomes import Verdict
from worker.domain.steps import Case, Decision, GoOn, Step
from worker.domain.text import time_of
from worker.domain.together import listed
from worker.ports import Change, Done, Item, Job, ListingProgress
from worker.services.choose import Work
from worker.services.results import REFUSED_LISTING, Rules, ids_shown

JITTER = 0.5
NO = frozenset({Verdict.REFUSED, Verdict.INVALID})
"""A listing that is asked for again in vain: somebody has to mend something."""
RUBBISH_TRIES = 5
"""Reads of a page that show what nobody can read, after which each project is read instead."""


def reads_pages(job: Job) -> bool:
    """Whether the job reads its listing while it runs, and does nothing else."""
    return job.bulk.stage is Stage.PROOF or (job.bulk.reads_pages and not job.stopping)


def page_read_next(job: Job) -> str:
    """The cursor of the page that such a job reads next; empty for the first."""
    bulk = job.bulk
    if bulk.stage is Stage.REFRESH:
        return bulk.cursor
    page = bulk.reading.page if bulk.reading else 1
    return str(page) if page > 1 else ""


def waits_for_proof(matched: Mapping[str, Item]) -> list[Item]:
    """The items among those that a page shows of which it proves something."""
    return [item for item in matched.values() if item.progress.step is Step.PROVE]


def proof_of(
    work: Work, answer: Answer, *, job: Job, unproven: Sequence[Item], rules: Rules
) -> Done:
    """A page that was read: what it still shows, what it leaves in doubt, where it goes on.

    `unproven` are the items that wait for the proof: all of them on the way down, else at least
    those that the page shows. Where the provider does not list all there is, whatever its status,
    or shows what nobody can read, each project is read instead.
    """
    if work.call.filters and answer.verdict in NO:
        return moved_on(work, answer, (), job=job, bulk=replace(job.bulk, is_refused=True))
    if answer.verdict is not Verdict.SEEN:
        if is_rubbish(answer) and job.list_tries >= RUBBISH_TRIES:
            return moved_on(work, answer, (), job=job, bulk=replace(job.bulk, is_refused=True))
        return not_read(work, answer, job, rules)
    at, shown = job.bulk.reading or Backwards(), _shown(answer)
    listed_ids = set(ids_shown(answer))
    there = [item for item in unproven if item.seen.target.external_id in listed_ids]
    changes = [Change(item=i, decision=_still_listed(i, job, answer, rules)) for i in there]
    gone = (item for item in unproven if item.seen.target.external_id not in listed_ids)
    doubts = _in_doubt(at, shown, gone)
    following = after_page(at, shown)
    if len(doubts) > FEW and (again := once_more(at)) is not None:
        doubts, following = [], again
    changes += [Change(item=item, decision=_look(item)) for item in doubts]
    stage = Stage.PROVEN if following is None else Stage.PROOF
    bulk = replace(job.bulk, stage=stage, reading=following)
    return moved_on(work, answer, tuple(changes), job=job, bulk=bulk)


def is_rubbish(answer: Answer) -> bool:
    """Whether the provider itself answers, and shows a page that nobody can read."""
    return answer.error_class == "unreadable" and bool(answer.provider_code)


def not_read(work: Work, answer: Answer, job: Job, rules: Rules) -> Done:
    """A page that could not be read: the job stays where it is, and comes again later."""
    tries = job.list_tries + answer.verdict.is_attempt
    wait = rules.policy.after(tries, JITTER) if tries else timedelta(0)
    after = REFUSED_LISTING if answer.verdict in NO else wait
    return _done(work, answer, (), _progress(job, job.bulk, tries=tries, after=after))


def moved_on(
    work: Work, answer: Answer, changes: tuple[Change, ...], *, job: Job, bulk: Bulk
) -> Done:
    """A page that was read, what it decided, and where the job stands after it."""
    return _done(work, answer, changes, _progress(job, bulk))


def _still_listed(item: Item, job: Job, answer: Answer, rules: Rules) -> Decision:
    case = Case(seen=item.seen, stopping=bool(job.stopping))
    return listed(case, item.progress, answer, rules.policy)


def _look(item: Item) -> Decision:
    return GoOn(progress=replace(item.progress, step=Step.LOOK))


def _shown(answer: Answer) -> Shown:
    projects = answer.reading.projects
    return Shown(
        created=[time_of(seen.created) for seen in projects],
        is_empty=not projects,
        has_more=bool(answer.reading.next_cursor),
    )


def _in_doubt(at: Backwards, shown: Shown, unproven: Iterable[Item]) -> list[Item]:
    """Items that may have slipped from this page to the one above, between the two reads."""
    gap = between(at, shown)
    if gap is None:
        return []
    low, high = gap
    return [item for item in unproven if _lies(time_of(item.seen.created), low, high)]


def _lies(created: datetime | None, low: datetime, high: datetime) -> bool:
    return created is None or low <= created <= high


def _progress(
    job: Job, bulk: Bulk, *, tries: int = 0, after: timedelta = timedelta(0)
) -> ListingProgress:
    return ListingProgress(
        cursor=job.list_cursor, pages=job.list_pages, tries=tries, after=after, bulk=bulk
    )


def _done(
    work: Work, answer: Answer, changes: tuple[Change, ...], listing: ListingProgress
) -> Done:
    return Done(
        job_id=work.job_id, call=work.call, answer=answer, changes=changes, listing=listing
    )
