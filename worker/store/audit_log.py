"""Reads the audit log: filtered, in the order written, page by page, whatever its size."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Row,
    Select,
    Table,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.sql.elements import ColumnElement

from worker.domain.audit import EXPORTED, Event, canonical_at
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Outcome, Verdict
from worker.store.engine import Database
from worker.store.models import Base

_ENTRIES: Table = Base.metadata.tables["audit_entries"]
_E = _ENTRIES.c
_AT_ONCE = 500
_EPOCH, _MICRO = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)
_Place = tuple[datetime, int]
_Statement = Select[Any] | CompoundSelect[Any]
_BY_VALUE = ("account", "kind", "external_id", "actor", "event", "item_id")
_CALLS = (Event.CALL, Event.CALL_LATE, Event.ATTEMPT_LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries are wanted; what is None or empty does not narrow. `until` is exclusive.

    To follow a log that is being written, ask up to two minutes ago: an entry gets its number
    before its transaction ends, so among the newest a lower one may still turn up.
    """

    job: str | None = None
    account: str | None = None
    kind: str | None = None
    external_id: str | None = None
    outcome: tuple[Outcome, ...] = ()
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    event: Event | None = None
    item_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An entry as exported; `id` is its number, to page by together with `at`."""

    id: int
    chain: str
    seq: int
    job_id: str | None
    item_id: int | None
    account: str
    provider: str
    kind: str
    external_id: str
    parent_external_id: str
    event: str
    attempt: int | None
    verdict: str
    outcome: str | None
    error_class: str
    http_status: int | None
    provider_code: str
    message: str
    request_id: str
    duration_ms: int | None
    actor: str
    at: datetime
    detail: Mapping[str, Any]
    prev_hash: str
    hash: str

    def exported(self) -> dict[str, Any]:
        """The fields as exported, in their order; `at` as text, as it is hashed."""
        return {name: getattr(self, name) for name in EXPORTED} | {"at": canonical_at(self.at)}


def query(
    database: Database, wanted: Filter, *, limit: int | None = None, after: str | None = None
) -> Iterator[AuditEntry]:
    """Entries in the order written, from one snapshot; `after` is a cursor of the same filter.

    They are read as they are taken, so memory stays flat. Raises InvalidInput for a cursor of
    another filter or of nobody's.
    """
    start = None if after is None else _read_cursor(after, wanted)
    if limit is not None and limit < 0:
        raise InvalidInput("a limit cannot be less than nothing")
    return _stream(database, _selected(wanted, start, limit))


def cursor_of(entry: AuditEntry, wanted: Filter) -> str:
    """The cursor to go on after this entry."""
    micros = (entry.at - _EPOCH) // _MICRO
    return _encode(f"{micros}.{entry.id}.{_digest(wanted)}")


def calls_since(database: Database, account: str, since: datetime) -> list[datetime]:
    """When calls of an account were answered or lost since then, in order: for the limits' books.

    A call that never left does not count.
    """
    with database.read() as connection:
        return list(connection.scalars(_calls(account, since, _E.at).order_by(_E.at)))


def count_calls_since(database: Database, account: str, since: datetime) -> int:
    """How many calls `calls_since` would list."""
    with database.read() as connection:
        return int(connection.scalar(_calls(account, since, func.count())) or 0)


def _calls(account: str, since: datetime, what: ColumnElement[Any]) -> Select[tuple[Any]]:
    return (
        select(what)
        .select_from(_ENTRIES)
        .where(
            _E.account == account,
            _E.at >= since,
            _E.event.in_([event.value for event in _CALLS]),
            _E.verdict != Verdict.NOT_SENT.value,
            _E.error_class != "credentials",
        )
    )


def _selected(wanted: Filter, start: _Place | None, limit: int | None) -> _Statement:
    """The entries by the time they were written, and by number within one transaction.

    Every index of the log ends in this order, so that a page is a range of one of them. Several
    outcomes are several such ranges, merged.
    """
    arms = [_arm(wanted, outcome, start, limit) for outcome in wanted.outcome or (None,)]
    if len(arms) == 1:
        return arms[0]
    # SQLite takes no order inside of an arm unless it is a subquery.
    merged = union_all(*(select(arm.subquery()) for arm in arms) if limit is not None else arms)
    found = merged.order_by(text("at"), text("id"))
    return found if limit is None else found.limit(limit)


def _arm(
    wanted: Filter, outcome: Outcome | None, start: _Place | None, limit: int | None
) -> Select[Any]:
    found = select(_E.id, *(_E[name] for name in EXPORTED)).where(*_narrowed(wanted))
    if outcome is not None:
        found = found.where(_E.outcome == outcome.value)
    if start is not None:
        here = tuple_(literal(start[0], _E.at.type), literal(start[1], _E.id.type))
        found = found.where(tuple_(_E.at, _E.id) > here)
    if limit is None and len(wanted.outcome) > 1:
        return found  # ordered where the arms are merged
    found = found.order_by(_E.at, _E.id)
    return found if limit is None else found.limit(limit)


def _narrowed(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    for name in _BY_VALUE:
        value = getattr(wanted, name)
        if value is not None:
            yield _E[name] == value
    if wanted.job is not None:
        yield _E.job_id == wanted.job
    if wanted.since is not None:
        yield _E.at >= wanted.since
    if wanted.until is not None:
        yield _E.at < wanted.until


def _stream(database: Database, statement: _Statement) -> Iterator[AuditEntry]:
    at_once = {"yield_per": _AT_ONCE}
    with (
        database.read() as connection,
        # Closed too when the reader stops early.
        connection.execute(statement, execution_options=at_once) as rows,
    ):
        for row in rows:
            yield _entry(row)


def _entry(row: Row[Any]) -> AuditEntry:
    fields = row._asdict()
    try:
        detail = json.loads(fields["detail"])
    except ValueError:  # tampered with; `audit verify` says so, reading must go on
        detail = None
    return AuditEntry(
        **fields | {"detail": detail if isinstance(detail, dict) else {"text": fields["detail"]}}
    )


def _digest(wanted: Filter) -> str:
    named = json.dumps(asdict(wanted), default=str, sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:8]


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, wanted: Filter) -> _Place:
    wrong = InvalidInput(
        "the cursor does not belong to this query",
        fix="give --after what the last page ended with, with the same filters",
    )
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        micros, number, digest = base64.urlsafe_b64decode(padded.encode()).decode().split(".")
        place = (_EPOCH + int(micros) * _MICRO, int(number))
    except (binascii.Error, ValueError, OverflowError):
        raise wrong from None
    if digest != _digest(wanted) or _encode(f"{int(micros)}.{place[1]}.{digest}") != cursor:
        raise wrong
    return place
