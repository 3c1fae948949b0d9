"""Writes docs/schemas: python -m tests.generate_schemas. Fields may be added; these stay."""

import json
from pathlib import Path
from typing import Any

from worker.cli.report_files import FIELDS
from worker.domain.audit import EXPORTED
from worker.domain.outcomes import Bucket, Outcome
from worker.domain.plan import FindingLevel
from worker.domain.states import JobState, Waiting
from worker.services.doctor import Level

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
VERSION = 1

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number", "minimum": 0}
YES: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
BY_NAME: Schema = {"type": "object", "additionalProperties": WHOLE}


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(words: Any) -> Schema:  # noqa: ANN401  any enum of words
    return {"enum": [word.value for word in words]}


def record(**fields: Schema) -> Schema:
    """An object that has these fields, and may have more."""
    return {"type": "object", "required": list(fields), "properties": fields}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


FINDING = record(level=one_of(FindingLevel), code=TEXT, text=TEXT)
PLAN = record(
    hash=maybe(TEXT),
    word=maybe(TEXT),
    items=WHOLE,
    by_kind=BY_NAME,
    calls=WHOLE,
    calls_by_endpoint=BY_NAME,
    calls_spent=WHOLE,
    alternatives=many(
        record(
            way=TEXT,
            calls=WHOLE,
            calls_by_endpoint=BY_NAME,
            quota_share=maybe(NUMBER),
            estimated_seconds=NUMBER,
        )
    ),
    quota_share=maybe(NUMBER),
    estimated_seconds=maybe(NUMBER),
    finish_at=maybe(TIME),
    findings=many(FINDING),
    duplicates=WHOLE,
    complete=YES,
    stops=many(TEXT),
)
COUNTS = record(
    total=WHOLE, open=WHOLE, **{bucket.value: WHOLE for bucket in Bucket}, by_outcome=BY_NAME
)
WAITING = record(code=one_of(Waiting), sentence=TEXT, since=maybe(TIME), next_wake=maybe(TIME))
JOB = {
    "id": TEXT,
    "key": maybe(TEXT),
    "account": TEXT,
    "provider": TEXT,
    "action": TEXT,
    "mode": {"enum": ["run", "dry_run"]},
    "state": one_of(JobState),
    "stopping": maybe(one_of(JobState)),
    "waiting_on": maybe(WAITING),
    "reason": TEXT,
    "actor": TEXT,
    "priority": {"type": "integer", "minimum": 0, "maximum": 9},
    "hours": maybe(TEXT),
    "rate_share": maybe(NUMBER),
    "day_share": maybe(NUMBER),
    "parent_job_id": maybe(TEXT),
    "policy": maybe(TEXT),
    "created_at": TIME,
    "started_at": maybe(TIME),
    "finished_at": maybe(TIME),
    "plan": PLAN,
    "counts": COUNTS,
}
ITEM = {
    name: TEXT if name in {"job_id", "kind", "external_id", "state"} else maybe(TEXT)
    for name in FIELDS
} | {
    "item_id": WHOLE,
    "goes_with_parent": YES,
    "outcome": maybe(one_of(Outcome)),
    "http_status": maybe(WHOLE),
    "attempts": WHOLE,
    "due_at": maybe(TIME),
}
GROUP = record(
    outcome=one_of(Outcome),
    bucket=one_of(Bucket),
    provider_code=maybe(TEXT),
    reason=maybe(TEXT),
    count=WHOLE,
    ids=many(TEXT),
)
ENTRY = {name: maybe(TEXT) for name in EXPORTED} | {
    "chain": TEXT,
    "seq": {"type": "integer", "minimum": 1},
    "item_id": maybe(WHOLE),
    "attempt": maybe(WHOLE),
    "http_status": maybe(WHOLE),
    "duration_ms": maybe(WHOLE),
    "at": TIME,
    "detail": {"type": "object"},
    "prev_hash": DIGEST,
    "hash": DIGEST,
}
PURSE = record(
    purse=TEXT,
    windows=many(record(calls=WHOLE, seconds=NUMBER, ours=WHOLE)),
    per_day=maybe(WHOLE),
    per_day_ours=maybe(WHOLE),
    in_flight=WHOLE,
    used=maybe(
        record(
            windows=many(WHOLE),
            today=WHOLE,
            in_flight=WHOLE,
            resets_at=maybe(TIME),
            closed_until=maybe(TIME),
            closed_reason=maybe(TEXT),
            corrected_at=maybe(TIME),
            pace=NUMBER,
        )
    ),
)
SLOT = record(
    slot=TIME,
    ended={"enum": ["fired", "missed"]},
    job_id=maybe(TEXT),
    state=maybe(one_of(JobState)),
    why=maybe(TEXT),
)
RUN = record(job_id=TEXT, state=one_of(JobState), at=TIME, slot=maybe(TIME), actor=TEXT)
FILE = record(name=TEXT, rows=WHOLE, bytes=WHOLE, sha256=DIGEST)
SCHEMAS: dict[str, Schema] = {
    "job": record(**JOB),
    "item": record(**ITEM),
    "report": record(**JOB, groups=many(GROUP), elsewhere=WHOLE, next=many(TEXT)),
    "explained-job": record(**JOB, explanation=many(TEXT)),
    "explained-item": record(**ITEM, explanation=many(TEXT)),
    "audit-entry": record(**ENTRY),
    "certificate": record(
        job=TEXT,
        account=TEXT,
        provider=TEXT,
        action=TEXT,
        reason=TEXT,
        actor=TEXT,
        state=one_of(JobState),
        plan_hash=maybe(TEXT),
        items=WHOLE,
        outcomes=TEXT,
        chain_seq=WHOLE,
        chain_head=DIGEST,
        ended_at=TIME,
        late_calls=WHOLE,
    ),
    "manifest": record(
        version={"const": 1},
        job=TEXT,
        account=TEXT,
        provider=TEXT,
        action=TEXT,
        mode={"enum": ["run", "dry_run"]},
        state=one_of(JobState),
        reason=TEXT,
        plan_hash=maybe(TEXT),
        finished_at=maybe(TIME),
        total=WHOLE,
        rows=BY_NAME,
        files=many(FILE),
    ),
    "verification": record(
        ok=YES,
        chains=WHOLE,
        entries=WHOLE,
        first_bad=maybe(record(chain=TEXT, seq=WHOLE, why=TEXT)),
        problems=many(TEXT),
    ),
    "policy": record(
        name=TEXT,
        account=TEXT,
        schedule=TEXT,
        timezone=TEXT,
        words=TEXT,
        confirm={"enum": ["ask", "auto"]},
        next=many(TIME),
        last=maybe(SLOT),
        last_run=maybe(RUN),
        missed=WHOLE,
        alarm=maybe(TEXT),
    ),
    "hold": record(
        hold=WHOLE,
        account=TEXT,
        external_id=TEXT,
        owner=TEXT,
        reason=TEXT,
        actor=TEXT,
        created_at=TIME,
        expires_at=maybe(TIME),
        removed_at=maybe(TIME),
        removed_by=maybe(TEXT),
    ),
    "account": record(
        account=TEXT,
        provider=TEXT,
        dialect=maybe(TEXT),
        organisation=TEXT,
        base_url=TEXT,
        parked=maybe(record(code=TEXT, text=TEXT)),
        purses=many(PURSE),
    ),
    "account-check": record(
        account=TEXT,
        organisation_name=maybe(TEXT),
        ok=YES,
        rights=maybe(many(TEXT)),
        projects=WHOLE,
        more=YES,
        unparked=YES,
        quota=many(TEXT),
    ),
    "init": record(config=TEXT, account=TEXT, checked=YES),
    "upgrade": record(**{"from": maybe(TEXT), "to": TEXT}),
    "demo": record(
        job=TEXT,
        ok=YES,
        counts=COUNTS,
        calls_that_delete=WHOLE,
        audit_entries=WHOLE,
        why=many(TEXT),
    ),
    "check": record(name=TEXT, level=one_of(Level), text=TEXT, fix=TEXT),
    "error": record(error=record(code=TEXT, what=TEXT, fix=TEXT, exit_code=WHOLE)),
}


def page(name: str) -> str:
    """A schema as its file holds it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:bulkdel:{name}:{VERSION}",
        "title": f"bulkdel {name}, version {VERSION}",
    }
    return json.dumps(head | SCHEMAS[name], indent=2) + "\n"


if __name__ == "__main__":
    for each in SCHEMAS:
        (FOLDER / f"{each}.v{VERSION}.json").write_text(page(each), encoding="utf-8")
