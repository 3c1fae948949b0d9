"""Audit entries of calls and of items that settle, made from what is written with them."""

from typing import Any

from worker.domain.audit import Entry, Event, job_chain
from worker.domain.calls import Action, Call, Target
from worker.domain.decide import Settle
from worker.domain.outcomes import Outcome
from worker.ports import Change, Done, Job, Lease
from worker.store.cascade import SettledItem


def of_call(done: Done, job: Job, lease: Lease, *, late: bool = False) -> list[Entry]:
    """The entry of a call, and one for each item it settles when they are several."""
    settles = [change for change in done.changes if isinstance(change.decision, Settle)]
    alone = len(done.call.targets) == 1 and len(settles) == 1
    answer = done.answer
    target = (
        done.call.targets[0] if len(done.call.targets) == 1 else Target(kind="", external_id="")
    )
    first = done.changes[0] if len(done.changes) == 1 else None
    entry = Entry(
        chain=job_chain(job.id),
        job_id=job.id,
        item_id=first.item.id if first else None,
        account=job.account,
        provider=job.provider,
        kind=target.kind,
        external_id=target.external_id,
        parent_external_id=target.parent_external_id,
        event=Event.CALL_LATE if late else Event.CALL,
        attempt=_attempt(done, first),
        verdict=answer.verdict.value,
        outcome=_outcome(settles[0]) if alone else None,
        error_class=answer.error_class,
        http_status=answer.http_status,
        provider_code=answer.provider_code,
        message=answer.message or (_reason(settles[0]) if alone else ""),
        request_id=answer.request_id,
        duration_ms=round(answer.duration.total_seconds() * 1000),
        actor=lease.owner,
        detail=_detail(done.call),
    )
    if alone:
        return [entry]
    return [entry, *(of_settled(_settled(change), job, lease.owner) for change in settles)]


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
        attempt=item_row.attempts + 1,
        actor=lease.owner,
        message="the worker that opened this intent did not close it",
        detail={"step": item_row.step, "takeover": item_row.takeovers + 1},
    )


def _target(call: Call) -> Target:
    return call.targets[0] if len(call.targets) == 1 else Target(kind="", external_id="")


def _settled(change: Change) -> SettledItem:
    return SettledItem.of(change.item, _outcome_of(change), _reason(change))


def _outcome_of(change: Change) -> Outcome:
    if not isinstance(change.decision, Settle):
        raise TypeError("only a settling change has an outcome")
    return change.decision.outcome


def _outcome(change: Change) -> str:
    return _outcome_of(change).value


def _reason(change: Change) -> str:
    return change.decision.reason if isinstance(change.decision, Settle) else ""


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
    if len(call.targets) > 1:
        detail["ids"] = [target.external_id for target in call.targets]
    return detail
