"""What an audit entry says, and the text and hash by which entries are chained.

`hash = SHA-256(prev_hash ‖ canonical text)`, the text being a JSON array of all fields in the
order of `HASHED`. Whoever changes one entry has to change every later one of its chain.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

GENESIS: Final = "0" * 64
"""The predecessor's hash of a chain's first entry."""

VERSION: Final = 1
"""First member of the canonical text; another order or another field is another version."""

HASHED: Final = (
    "chain",
    "seq",
    "job_id",
    "item_id",
    "account",
    "provider",
    "kind",
    "external_id",
    "parent_external_id",
    "event",
    "attempt",
    "verdict",
    "outcome",
    "error_class",
    "http_status",
    "provider_code",
    "message",
    "request_id",
    "duration_ms",
    "actor",
    "at",
    "detail",
)
"""The fields under the hash, in order; `prev_hash` goes in before them."""

EXPORTED: Final = (*HASHED, "prev_hash", "hash")
"""The fields of an entry as exported."""

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_sorted = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True
).encode
_BLANKS = re.compile(r"[\t\n\v\f\r\x85]+")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Event(StrEnum):
    """What an entry is about."""

    JOB_SUBMITTED = "job.submitted"  # a job was taken in; nothing is planned yet
    JOB_MOVED = "job.moved"  # it went from one state to another
    JOB_CHANGED = "job.changed"  # an option of it was set anew
    PLAN_FROZEN = "plan.frozen"  # its plan can be read, and will not change
    CALL = "call"  # a call was made, and answered or lost
    CALL_LATE = "call.late"  # a call ended whose lease was lost: recorded, and decides nothing
    ATTEMPT_LOST = "attempt.lost"  # an intent whose holder died: a call may have been sent
    ITEM_SETTLED = "item.settled"  # an item got its outcome without a call entry of its own
    ACCOUNT_PARKED = "account.parked"  # nothing is sent for it until its credentials are mended
    ACCOUNT_RESUMED = "account.resumed"  # it works again
    HOLD_ADDED = "hold.added"  # somebody holds an object: nobody may delete it
    HOLD_REMOVED = "hold.removed"  # and lets it go again


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One call or one decision, before it has its place in a chain.

    `outcome` is set on the entry that settles an item, and on no other.
    """

    chain: str
    event: Event
    account: str
    actor: str
    job_id: str | None = None
    item_id: int | None = None
    provider: str = ""
    kind: str = ""
    external_id: str = ""
    parent_external_id: str = ""
    attempt: int | None = None
    verdict: str = ""
    outcome: str | None = None
    error_class: str = ""
    http_status: int | None = None
    provider_code: str = ""
    message: str = ""
    request_id: str = ""
    duration_ms: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def job_chain(job_id: str) -> str:
    """The chain of all that belongs to a job."""
    return f"job:{job_id}"


def account_chain(account: str) -> str:
    """The chain of what belongs to an account and to no job."""
    return f"account:{account}"


def clean(text: str) -> str:
    """The text as both databases keep it: control characters and lone surrogates replaced."""
    text = str(text)
    if text.isprintable():
        return text
    return _UNFIT.sub("\ufffd", _BLANKS.sub(" ", text))


def canonical_detail(detail: Mapping[str, Any]) -> str:
    """The detail as compact JSON text with sorted keys. Raises TypeError for what JSON lacks."""
    return clean(_sorted(dict(detail))) if detail else "{}"


@lru_cache(maxsize=1024)
def detail_of(text: str) -> Mapping[str, Any]:
    """The detail as it was, from its text; what was tampered with is shown as it is.

    `audit verify` says so, and reading must go on. Kept, as most calls have the same few words
    for it: whoever hands it on hands on a copy.
    """
    try:
        detail = json.loads(text)
    except ValueError:
        detail = None
    return detail if isinstance(detail, dict) else {"text": text}


def canonical_at(at: datetime) -> str:
    """The instant in UTC to the microsecond: `2026-11-21T10:00:00.000000Z`."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def values_of(entry: Entry, *, seq: int, at: str) -> list[Any]:
    """The entry's fields as stored, in the order of `HASHED`; `at` is canonical already."""
    return [
        clean(entry.chain),
        seq,
        entry.job_id,
        entry.item_id,
        clean(entry.account),
        clean(entry.provider),
        clean(entry.kind),
        clean(entry.external_id),
        clean(entry.parent_external_id),
        str(entry.event),
        entry.attempt,
        clean(entry.verdict),
        None if entry.outcome is None else clean(entry.outcome),
        clean(entry.error_class),
        entry.http_status,
        clean(entry.provider_code),
        clean(entry.message),
        clean(entry.request_id),
        entry.duration_ms,
        clean(entry.actor),
        at,
        canonical_detail(entry.detail),
    ]


def canonical(values: Sequence[Any]) -> str:
    """The text under the hash, from the fields in the order of `HASHED`, `at` as canonical text.

    Raises TypeError or ValueError for values that no entry of ours can have.
    """
    return _compact([VERSION, *values])


def hash_of(prev_hash: str, text: str) -> str:
    """The hash of an entry, given its predecessor's and its canonical text."""
    return hashlib.sha256((prev_hash + text).encode()).hexdigest()
