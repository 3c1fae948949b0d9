"""Jobs and plans as JSON: the published shapes, made in one place for every way out."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from worker.domain.holds import Hold
from worker.domain.outcomes import Bucket, by_bucket
from worker.domain.states import FINAL
from worker.ports import Counts, Item, Job, PlanFacts, WaitingOn


def job_view(job: Job, counts: Counts) -> dict[str, Any]:
    """A job as `--json` prints it; times are ISO 8601 in UTC, shares are fractions of a day."""
    waiting = None if job.state in FINAL or job.waiting_on is None else job.waiting_on
    return {
        "id": job.id,
        "key": job.key,
        "account": job.account,
        "provider": job.provider,
        "action": job.action,
        "mode": "dry_run" if job.dry_run else "run",
        "state": job.state.value,
        "stopping": job.stopping or None,
        "waiting_on": waiting_view(waiting),
        "reason": job.reason,
        "actor": job.who.name,
        "priority": job.priority,
        "hours": job.knobs.hours or None,
        "rate_share": job.knobs.rate_share,
        "day_share": job.knobs.day_share,
        "parent_job_id": job.parent_job_id,
        "policy": job.policy,
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at),
        "finished_at": iso(job.finished_at),
        "plan": plan_view(job.plan),
        "counts": counts_view(counts),
    }


def waiting_view(waiting: WaitingOn | None) -> dict[str, Any] | None:
    """What a job waits for."""
    if waiting is None:
        return None
    return {
        "code": waiting.code.value,
        "sentence": waiting.sentence,
        "since": iso(waiting.since),
        "next_wake": iso(waiting.next_wake),
    }


def plan_view(plan: PlanFacts) -> dict[str, Any]:
    """A plan; `items` counts what is still to be deleted, `calls` what is still to be called."""
    return {
        "hash": plan.hash or None,
        "word": plan.word or None,
        "items": plan.items,
        "by_kind": dict(plan.by_kind),
        "calls": plan.calls,
        "calls_by_endpoint": dict(plan.calls_by_endpoint),
        "calls_spent": plan.calls_spent,
        "alternatives": [asdict(other) for other in plan.alternatives],
        "quota_share": plan.quota_share,
        "estimated_seconds": plan.estimated_seconds,
        "finish_at": iso(plan.finish_at),
        "findings": [
            {"level": f.level.value, "code": f.code, "text": f.text} for f in plan.findings
        ],
        "duplicates": plan.duplicates,
        "complete": plan.complete,
        "stops": list(plan.stops),
    }


def counts_view(counts: Counts) -> dict[str, Any]:
    """The counts; the five buckets and `open` add up to `total`."""
    sums: Mapping[Bucket, int] = by_bucket(counts.by_outcome)
    return {
        "total": counts.total,
        "open": counts.open,
        **{bucket.value: sums[bucket] for bucket in Bucket},
        "by_outcome": {outcome.value: count for outcome, count in counts.by_outcome.items()},
    }


def item_view(item: Item) -> dict[str, Any]:
    """One item."""
    target = item.seen.target
    return {
        "item_id": item.id,
        "job_id": item.job_id,
        "kind": target.kind,
        "external_id": target.external_id,
        "parent_external_id": target.parent_external_id or None,
        "name": item.seen.name or None,
        "status": item.seen.status or None,
        "created": item.seen.created or None,
        "goes_with_parent": item.seen.goes_with_parent,
        "state": item.state,
        "outcome": item.outcome.value if item.outcome else None,
        "reason": item.reason or None,
        "http_status": item.http_status,
        "provider_code": item.provider_code or None,
        "attempts": item.progress.attempts,
        "due_at": iso(item.due_at),
    }


def hold_view(hold: Hold) -> dict[str, Any]:
    """One hold."""
    return {
        "hold": hold.id,
        "account": hold.account,
        "external_id": hold.external_id,
        "owner": hold.owner,
        "reason": hold.reason,
        "actor": hold.actor,
        "created_at": iso(hold.created_at),
        "expires_at": iso(hold.expires_at),
        "removed_at": iso(hold.removed_at),
        "removed_by": hold.removed_by or None,
    }


def iso(at: datetime | None) -> str | None:
    """An instant as ISO 8601 text."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def certificate_view(
    job: Job, counts: Counts, *, seq: int, head: str, at: datetime, late: int
) -> dict[str, Any]:
    """A finished job's certificate: its scope, what became of it, and the head of its chain."""
    view = counts_view(counts)
    ended = ", ".join(f"{name} {number}" for name, number in view["by_outcome"].items())
    return {
        "job": job.id,
        "account": job.account,
        "provider": job.provider,
        "action": job.action,
        "reason": job.reason,
        "actor": job.who.name,
        "state": job.state.value,
        "plan_hash": job.plan.hash or None,
        "items": counts.total,
        "outcomes": ended,
        "chain_seq": seq,
        "chain_head": head,
        "ended_at": iso(at),
        "late_calls": late,
    }
