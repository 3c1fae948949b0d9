"""Rows into records and back: the only place where column values meet the domain's words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from worker.domain.breakers import Tally
from worker.domain.bulk import Bulk
from worker.domain.calls import NAME_LENGTH, TIME_LENGTH, Answer, Seen, Target
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import ItemState, JobState, Waiting
from worker.domain.steps import DELETIONS, READS, GoOn, Progress, Settle, Step
from worker.domain.text import clean
from worker.ports import Change, Item, Job, JobOptions, Knobs, PlanFacts, WaitingOn, Who

OPTIONS = TypeAdapter(JobOptions)
PLAN = TypeAdapter(PlanFacts)
TALLY = TypeAdapter(Tally)
KNOBS = TypeAdapter(Knobs)
BULK = TypeAdapter(Bulk)


@lru_cache(maxsize=512)
def _options(text: str) -> JobOptions:
    """Options as kept; a job's row is read with every group commit, and changes hardly ever."""
    return OPTIONS.validate_json(text)


@lru_cache(maxsize=512)
def _plan(text: str) -> PlanFacts:
    return PLAN.validate_json(text)


def job_of(row: Row[Any]) -> Job:
    """A job as read from its row."""
    waiting = None
    if row.waiting_code:
        waiting = WaitingOn(
            code=Waiting(row.waiting_code),
            sentence=row.waiting_text,
            since=row.waiting_since,
            next_wake=row.waiting_wake,
        )
    return Job(
        id=row.id,
        key=row.key,
        account=row.account,
        provider=row.provider,
        place=row.place,
        action=row.action,
        options=_options(row.options),
        dry_run=row.dry_run,
        state=JobState(row.state),
        waiting_on=waiting,
        reason=row.reason,
        who=Who(name=row.actor, os_user=row.os_user, host=row.host),
        priority=row.priority,
        parent_job_id=row.parent_job_id,
        policy=row.policy,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        planned_at=row.planned_at,
        start_at=row.start_at,
        stopping=row.stopping,
        paused_from=JobState(row.paused_from) if row.paused_from else None,
        plan=_plan(row.plan),
        bulk=BULK.validate_json(row.bulk),
        canary_position=row.canary_position,
        list_cursor=row.list_cursor,
        list_pages=row.list_pages,
        list_tries=row.list_tries,
        list_due_at=row.list_due_at,
        listed=row.listed,
        counting=row.counting,
        account_projects=row.account_projects,
        canary_until=row.canary_until,
        tally=TALLY.validate_json(row.tally),
        stop_reason=row.stop_reason,
        knobs=KNOBS.validate_json(row.knobs),
    )


def item_of(row: Row[Any]) -> Item:
    """An item as read from its row."""
    return Item(
        id=row.id,
        job_id=row.job_id,
        position=row.position,
        seen=Seen(
            target=Target(
                kind=row.kind,
                external_id=row.external_id,
                parent_external_id=row.parent_external_id,
            ),
            name=row.name,
            status=row.status,
            created=row.created,
            modified=row.modified,
            goes_with_parent=row.goes_with_parent,
        ),
        progress=Progress(
            step=Step(row.step),
            source=row.source,
            attempts=row.attempts,
            lost=row.lost,
            tries=row.tries,
            looks=row.looks,
            takeovers=row.takeovers,
        ),
        state=row.state,
        outcome=Outcome(row.outcome) if row.outcome else None,
        reason=row.reason,
        parent_item_id=row.parent_item_id,
        due_at=row.due_at,
        read_at=row.read_at,
        provider_code=row.provider_code,
        http_status=row.http_status,
    )


def seen_columns(seen: Seen) -> dict[str, str]:
    """What a read showed of an object, cut to what a screen can use."""
    return {
        "name": clean(seen.name, NAME_LENGTH),
        "status": clean(seen.status, TIME_LENGTH),
        "created": clean(seen.created, TIME_LENGTH),
        "modified": clean(seen.modified, TIME_LENGTH),
    }


def change_values(change: Change, answer: Answer, now: datetime) -> dict[str, Any]:
    """The columns of an item that a decision about it changes, by the answer to a call."""
    decision = change.decision
    columns: dict[str, Any] = {
        "id": change.item.id,
        "http_status": answer.http_status,
        "provider_code": answer.provider_code,
    }
    if _was_read(change, answer):
        columns["read_at"] = now
    if change.seen is not None:
        columns |= seen_columns(change.seen)
    match decision:
        case Settle():
            ended = change.item.progress
            if ended.step in DELETIONS and answer.verdict.is_attempt:
                ended = replace(ended, attempts=ended.attempts + 1)
            return {
                **columns,
                **progress_columns(ended),
                **settled_columns(decision.outcome, decision.reason),
            }
        case GoOn():
            later = decision.state is not ItemState.PENDING
            return {
                **columns,
                **progress_columns(decision.progress),
                "state": decision.state.value,
                "outcome": None,
                "reason": "",
                "due_at": now + decision.after if later else None,
            }


def _was_read(change: Change, answer: Answer) -> bool:
    return change.item.progress.step in READS and answer.verdict is Verdict.SEEN


def settled_columns(outcome: Outcome, reason: str) -> dict[str, Any]:
    """The columns of an item that has its outcome now."""
    return {
        "state": ItemState.SETTLED.value,
        "outcome": outcome.value,
        "reason": clean(reason, 300),
        "due_at": None,
    }


def progress_columns(progress: Progress) -> dict[str, Any]:
    """How far an item is, as columns of the same names."""
    return {name: getattr(progress, name) for name in Progress.__slots__}


def waiting_columns(waiting: WaitingOn | None) -> Mapping[str, Any]:
    """The columns of what a job waits for."""
    return {
        "waiting_code": waiting.code.value if waiting else "",
        "waiting_text": clean(waiting.sentence, 500) if waiting else "",
        "waiting_since": waiting.since if waiting else None,
        "waiting_wake": waiting.next_wake if waiting else None,
    }


def plan_detail(plan: PlanFacts) -> dict[str, object]:
    """What the audit log keeps of a plan."""
    return {
        "hash": plan.hash,
        "word": plan.word,
        "items": plan.items,
        "by_kind": dict(plan.by_kind),
        "calls": plan.calls,
    }
