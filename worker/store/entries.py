"""Audit entries of calls and of items that settle, made from what is written with them."""

from datetime import timedelta
from typing import Any

from worker.domain.audit import Entry, Event, job_chain
from worker.domain.calls import Action, Answer, Call, Target
from worker.domain.steps import DELETIONS, Settle
from worker.ports import Change, Done, Job, Lease
from worker.store.cascade import SettledItem


def of_call(done: Done, job: Job, lease: Lease) -> list[Entry]:
    """The entry of a call, and one for each item it settles.

    A call that was about one item alone, and settled it, needs no second entry to say so.
    """
    settled = [
        SettledItem.of(change.item, change.decision.outcome, change.decision.reason)
        for change in done.changes
        if isinstance(change.decision, Settle)
    ]
    if settled and _is_about_one(done):
        return [_of_call(done, job, lease, Event.CALL, settled[0])]
    beside = [of_settled(item, job, lease.owner) for item in settled]
    return [_of_call(done, job, lease, Event.CALL), *beside]


def of_late(done: Done, job: Job, lease: Lease) -> Entry:
    """The entry of a call that ended after its lease was lost: it decides nothing any more."""
    return _of_call(done, job, lease, Event.CALL_LATE)


def of_settled(item: SettledItem, job: Job, actor: str) -> Entry:
    """The entry that gives an item its outcome without a call of its own."""
    return Entry(
        chain=job_chain(job.id),
        job_id=job.id,
        item_id=item.id,
        account=job.account,
        provider=job.provider,
        kind=item.kind,
        external_id=item.external_id,
        parent_external_id=item.parent_external_id,
        event=Event.ITEM_SETTLED,
        outcome=item.outcome.value,
        message=item.reason,
        actor=actor,
    )


def of_lost(item_row: Any, job: Job, lease: Lease) -> Entry:  # noqa: ANN401  a row of items
    """The entry of a call whose holder died: nobody knows what it came to."""
    return Entry(
        chain=job_chain(job.id),
        job_id=job.id,
        item_id=item_row.id,
        account=job.account,
        provider=job.provider,
        kind=item_row.kind,
        external_id=item_row.external_id,
        parent_external_id=item_row.parent_external_id,
        event=Event.ATTEMPT_LOST,
        attempt=item_row.attempts + 1 if item_row.step in DELETIONS else None,
        actor=lease.owner,
        message="the worker that opened this intent did not close it",
        detail={"step": item_row.step, "takeover": item_row.takeovers + 1},
    )


def _is_about_one(done: Done) -> bool:
    """Whether the call's target is the item: a child is looked up by a read of its project."""
    return len(done.changes) == 1 and done.call.targets == (done.changes[0].item.seen.target,)


def _of_call(
    done: Done, job: Job, lease: Lease, event: Event, settled: SettledItem | None = None
) -> Entry:
    answer, targets = done.answer, done.call.targets
    target = targets[0] if len(targets) == 1 else Target(kind="", external_id="")
    first = done.changes[0] if len(done.changes) == 1 else None
    return Entry(
        chain=job_chain(job.id),
        job_id=job.id,
        item_id=first.item.id if first else None,
        account=job.account,
        provider=job.provider,
        kind=target.kind,
        external_id=target.external_id,
        parent_external_id=target.parent_external_id,
        event=event,
        attempt=_attempt(done, first),
        verdict=answer.verdict.value,
        outcome=settled.outcome.value if settled else None,
        error_class=answer.error_class,
        http_status=answer.http_status,
        provider_code=answer.provider_code,
        message=answer.message or (settled.reason if settled else ""),
        request_id=answer.request_id,
        duration_ms=round(answer.duration.total_seconds() * 1000),
        actor=lease.owner,
        detail={**_detail(done.call), **told_to_wait(answer)},
    )


def told_to_wait(answer: Answer) -> dict[str, Any]:
    """What an entry keeps of a refusal, so that it holds on although the gate lost its books."""
    if answer.retry_after is None:
        return {}
    wait = {"retry_after_ms": answer.retry_after // timedelta(milliseconds=1)}
    return {**wait, "own_limit": True} if answer.is_own_limit else wait


def _attempt(done: Done, change: Change | None) -> int | None:
    sent = done.call.action is Action.DELETE and done.answer.verdict.is_attempt
    if not sent or change is None:
        return None
    return change.item.progress.attempts + 1


def _detail(call: Call) -> dict[str, Any]:
    detail: dict[str, Any] = {"action": call.action.value}
    if call.action is Action.READ:
        detail["source"] = call.source
    if call.action is Action.LIST:
        detail["page"] = call.cursor or "1"
    for name, pairs in (("filters", call.filters), ("options", call.options)):
        if pairs:
            detail[name] = [f"{key}={value}" for key, value in pairs]
    if len(call.targets) > 1:
        detail["ids"] = [target.external_id for target in call.targets]
    return detail
