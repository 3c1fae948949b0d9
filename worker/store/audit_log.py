"""Reads the audit log: filtered, in the order written, page by page, whatever its size."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, select

from worker.domain.audit import EXPORTED, Event, canonical_at, detail_of
from worker.domain.calls import Answer
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Verdict
from worker.store.audit_ranges import Filter, Place, Statement, place_of, selected
from worker.store.engine import Database
from worker.store.models import AUDIT

__all__ = [
    "AuditEntry",
    "Filter",
    "Stored",
    "calls_since",
    "count_calls_since",
    "cursor_of",
    "query",
    "stored",
]

_E = AUDIT.c
Stored = Row[Any]
"""An entry as stored: `id`, and the fields of EXPORTED."""
_DETAIL = 1 + EXPORTED.index("detail")
_AT_ONCE = 1000
_EPOCH, _MICRO = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)
_CALLS = (Event.CALL, Event.CALL_LATE, Event.ATTEMPT_LOST)


class AuditEntry(NamedTuple):
    """An entry as exported; `id` is its number, to page by together with `at`.

    A named tuple, as an export makes millions of them; its fields are in the order of EXPORTED.
    """

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
    batches = stored(database, wanted, limit=limit, after=after)
    return (_entry(row) for batch in batches for row in batch)


def stored(
    database: Database, wanted: Filter, *, limit: int | None = None, after: str | None = None
) -> Iterator[Sequence[Stored]]:
    """What `query` gives, as rows of `id` and the fields of EXPORTED, a thousand at a time.

    For exports: no record is made of a row, `at` is an instant and `detail` the text as stored.
    """
    start = None if after is None else _read_cursor(after, wanted)
    if start and wanted.since and start[0] >= wanted.since:
        wanted = replace(wanted, since=None)  # SQLite begins at one of the two alone
    if limit is not None and limit < 0:
        raise InvalidInput("a limit cannot be less than nothing")
    streams = limit is None or limit > _AT_ONCE
    statement = selected(wanted, limit, goes_on=start is not None, dialect=database.dialect)
    return _stream(database, statement, place_of(start), streams=streams)


def cursor_of(entry: AuditEntry | Stored, wanted: Filter) -> str:
    """The cursor to go on after this entry, or row of `stored`."""
    micros = (entry.at - _EPOCH) // _MICRO
    return _encode(f"{micros}.{entry.id}.{_about(wanted)}")


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


def refusals_since(
    database: Database, account: str, since: datetime
) -> list[tuple[datetime, Answer]]:
    """When calls of an account were refused as too many since then, and for how long."""
    refused = _calls(account, since, _E.at).where(
        _E.verdict.in_([Verdict.THROTTLED.value, Verdict.QUOTA_EXHAUSTED.value])
    )
    wanted = refused.add_columns(_E.verdict, _E.message, _E.detail)
    with database.read() as connection:
        return [(row.at, _refusal(row)) for row in connection.execute(wanted)]


def _refusal(row: Row[Any]) -> Answer:
    detail = detail_of(row.detail)
    wait = detail.get("retry_after_ms")
    return Answer(
        verdict=Verdict(row.verdict),
        message=row.message,
        retry_after=None if wait is None else timedelta(milliseconds=int(wait)),
        is_own_limit=bool(detail.get("own_limit")),
    )


def _calls(account: str, since: datetime, what: ColumnElement[Any]) -> Select[tuple[Any]]:
    return (
        select(what)
        .select_from(AUDIT)
        .where(
            _E.account == account,
            _E.at >= since,
            _E.event.in_([event.value for event in _CALLS]),
            _E.verdict != Verdict.NOT_SENT.value,
            _E.error_class != "credentials",
        )
    )


def _stream(
    database: Database, statement: Statement, place: Mapping[str, Any], *, streams: bool
) -> Iterator[Sequence[Stored]]:
    options = {"yield_per": _AT_ONCE} if streams else {}  # a cursor is three round trips more
    with (
        database.read() as connection,
        # Closed too when the reader stops early.
        connection.execute(statement, place, execution_options=options) as rows,
    ):
        yield from rows.partitions(_AT_ONCE)


def _entry(row: Stored) -> AuditEntry:
    fields = list(row)
    fields[_DETAIL] = dict(detail_of(fields[_DETAIL]))
    return AuditEntry._make(fields)


def _about(wanted: Filter) -> str:
    """What the query is about; an age such as 7d is another time on every page."""
    return _digest(replace(wanted, since=None, until=None))


@lru_cache(maxsize=64)
def _digest(wanted: Filter) -> str:
    named = json.dumps(asdict(wanted), default=str, sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:8]


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, wanted: Filter) -> Place:
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
    if digest != _about(wanted) or _encode(f"{int(micros)}.{place[1]}.{digest}") != cursor:
        raise wrong
    return place
