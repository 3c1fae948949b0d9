"""A plan older than an hour, whose projects go unread: the listing is read once more first.

That is when the job begins, and when it goes on after a pause or the rest after its canary; in
both cases within its hours. While it runs it is not compared again, however long it takes, and
whatever it waits for by itself: a long listing could use up each new day's quota.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Answer, Seen
from worker.domain.onward import CHANGED, MODIFIED
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.repeats import Trail
from worker.domain.states import JobState
from worker.domain.steps import SENT, Settle
from worker.ports import Change, Done, Item, Job
from worker.services.choose import Work
from worker.services.proof import moved_on, not_read
from worker.services.results import Rules, walked

REPEATS = (
    "the listing repeats itself, so the old plan cannot be compared with it: "
    "have the provider mend its list, or cancel the job and submit it again"
)
OLD = timedelta(hours=1)
"""What was seen longer ago than this when the job goes (on) is compared with the listing."""
_AT_WORK = frozenset({JobState.RUNNING, JobState.VERIFYING})


def is_old(job: Job, now: datetime) -> bool:
    """Whether the job goes (on) now to delete, unread, what was seen too long before."""
    if job.options.recheck or job.options.keep_projects or job.stopping:
        return False
    if job.state not in _AT_WORK or job.bulk.stage is Stage.PROOF:  # a proof deletes nothing
        return False
    if job.started_at is None or job.planned_at is None or job.opens_at(now) > now:
        return False
    # One that was planned anew after its bulk delete was refused began before that plan.
    goes_at = job.opens_at(_latest(job.started_at, job.start_at, job.bulk.went_on_at))
    return goes_at - _latest(job.planned_at, job.bulk.compared_at) > OLD


def _latest(first: datetime, *others: datetime | None) -> datetime:
    return max([first, *(time for time in others if time is not None)])


def again(job: Job, now: datetime) -> Bulk:
    """The job reads its listing once more, then goes on where it stands."""
    bulk = job.bulk
    then = bulk.then if bulk.stage is Stage.REFRESH else bulk.stage
    return replace(bulk, stage=Stage.REFRESH, then=then, compared_at=now, cursor="", trail=Trail())


def refreshed(
    work: Work, answer: Answer, *, job: Job, matched: Mapping[str, Item], rules: Rules
) -> Done:
    """A page: what it shows changed, or came under a protection, is spared; the rest goes on.

    A listing that repeats itself is not through, whatever its last page says.
    """
    if answer.verdict is not Verdict.SEEN:
        return not_read(work, answer, job, rules)
    shown = {seen.target.external_id: seen for seen in answer.reading.projects}
    changes = tuple(
        Change(item=item, decision=settle)
        for external_id, item in matched.items()
        if item.progress.step not in SENT
        and (settle := _spared(item, shown[external_id], job, rules)) is not None
    )
    cursor, bulk = answer.reading.next_cursor, walked(job.bulk, work, answer)
    stage = Stage.REFRESH if cursor or bulk.trail.repeats else bulk.then
    bulk = replace(bulk, stage=stage, cursor=cursor)
    return moved_on(work, answer, changes, job=job, bulk=bulk)


def _spared(item: Item, seen: Seen, job: Job, rules: Rules) -> Settle | None:
    if item.seen.has_become(seen):
        return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)
    touched = item.progress.attempts or _touches_others(job)
    if not touched and item.seen.was_modified(seen):
        return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=MODIFIED)
    why = rules.protection.why(seen)
    return Settle(outcome=Outcome.SKIPPED_PROTECTED, reason=why) if why else None


def _touches_others(job: Job) -> bool:
    """Whether calls of ours may have modified projects by now that they were not about.

    Those of their children do, and the one that stops the timer.
    """
    options, tally = job.options, job.tally
    beside = options.stop_timer or (bool(options.cascade) and not options.background)
    return beside and bool(tally.good or tally.bad)
