"""A plan older than an hour, whose projects go unread: the listing is read once more first."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Answer, Seen
from worker.domain.onward import CHANGED, MODIFIED
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import JobState
from worker.domain.steps import SENT, Settle
from worker.ports import Change, Done, Item, Job
from worker.services.choose import Work
from worker.services.proof import moved_on, not_read
from worker.services.results import Rules

OLD = timedelta(hours=1)
"""A plan older than this when its job starts is compared with the listing."""
BEFORE_IT_GOES = frozenset({Stage.NONE, Stage.CANARY, Stage.OFF})


def is_old(job: Job) -> bool:
    """Whether the job is about to delete, unread, what its plan saw too long ago."""
    if job.state is not JobState.RUNNING or job.stopping or job.options.recheck:
        return False
    fresh = job.bulk.is_fresh or job.bulk.stage not in BEFORE_IT_GOES
    if fresh or job.options.keep_projects or job.started_at is None or job.planned_at is None:
        return False
    # One that was planned anew after its bulk delete was refused began before that plan.
    began = max(job.started_at, job.start_at or job.started_at)
    return began - job.planned_at > OLD


def again(job: Job) -> Bulk:
    """The job reads its listing once more, then goes on where it stands."""
    return replace(job.bulk, stage=Stage.REFRESH, then=job.bulk.stage, is_fresh=True, cursor="")


def refreshed(
    work: Work, answer: Answer, *, job: Job, matched: Mapping[str, Item], rules: Rules
) -> Done:
    """A page: what it shows changed, or came under a protection, is spared; the rest goes on."""
    if answer.verdict is not Verdict.SEEN:
        return not_read(work, answer, job, rules)
    shown = {seen.target.external_id: seen for seen in answer.reading.projects}
    changes = tuple(
        Change(item=item, decision=settle)
        for external_id, item in matched.items()
        if item.progress.step not in SENT
        and (settle := _spared(item, shown[external_id], rules)) is not None
    )
    cursor = answer.reading.next_cursor
    stage = Stage.REFRESH if cursor else job.bulk.then
    bulk = replace(job.bulk, stage=stage, cursor=cursor)
    return moved_on(work, answer, changes, job=job, bulk=bulk)


def _spared(item: Item, seen: Seen, rules: Rules) -> Settle | None:
    if item.seen.has_become(seen):
        return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=CHANGED)
    if not item.progress.attempts and item.seen.was_modified(seen):
        return Settle(outcome=Outcome.SKIPPED_CHANGED, reason=MODIFIED)
    why = rules.protection.why(seen)
    return Settle(outcome=Outcome.SKIPPED_PROTECTED, reason=why) if why else None
