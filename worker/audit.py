"""The audit log for Python programs: `from worker.audit import query`.

for entry in query(account="acme", outcome=["deleted"], since=monday):
    print(entry.at, entry.kind, entry.external_id, entry.actor)
"""

import os
from collections.abc import Collection, Iterator
from datetime import datetime
from enum import StrEnum
from typing import TypedDict, TypeVar, Unpack

from worker.config.settings import Settings
from worker.domain.audit import Event
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import BUCKETS, Outcome
from worker.store import audit_log
from worker.store.audit_log import AuditEntry, Filter, cursor_of
from worker.store.base import MOST_ID
from worker.store.engine import Database

__all__ = ["AuditEntry", "Filter", "Filters", "cursor_of", "filter_of", "query"]

_Word = TypeVar("_Word", bound=StrEnum)
_Given = TypeVar("_Given", str, int)


class Filters(TypedDict, total=False):
    """What narrows a query; what is left out or None does not."""

    job: str | None
    account: str | None
    kind: str | None
    external_id: str | None
    id: str | None  # the same, as the command calls it
    outcome: Collection[str]  # or buckets: "failed" is each outcome in it
    actor: str | None
    since: datetime | None  # aware; from here on
    until: datetime | None  # aware; up to here, exclusive
    event: str | None
    item_id: int | None
    item: int | None  # the same, as the command calls it


def query(
    *, limit: int | None = None, after: str | None = None, **filters: Unpack[Filters]
) -> Iterator[AuditEntry]:
    """Entries in the order written, read as they are taken; from BULKDEL_DATABASE_URL.

    `after` goes on behind an entry of the same filters: `cursor_of(entry, filter_of(...))`.
    Raises InvalidInput for a filter or cursor that makes no sense, and Unreachable.
    """
    wanted = filter_of(**filters)
    return _stream(wanted, limit, after)


def filter_of(**filters: Unpack[Filters]) -> Filter:
    """The filter, checked; InvalidInput names what is wrong with it."""
    unknown = filters.keys() - Filters.__optional_keys__
    if unknown:
        raise InvalidInput(
            f"there is no filter {', '.join(sorted(unknown))}",
            fix=f"choose from {', '.join(sorted(Filters.__optional_keys__))}",
        )
    for name in ("since", "until"):
        moment = filters.get(name)
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise InvalidInput(f"{name} has no time zone", fix="give an aware datetime")
    item_id = _first(filters.get("item_id"), filters.get("item"))
    if item_id is not None and not 0 < item_id <= MOST_ID:
        raise InvalidInput(f"no item has the number {item_id}", fix="give one of an entry")
    event = filters.get("event")
    outcomes = filters.get("outcome") or ()
    return Filter(
        job=filters.get("job"),
        account=filters.get("account"),
        kind=filters.get("kind"),
        external_id=_first(filters.get("external_id"), filters.get("id")),
        outcome=_outcomes([outcomes] if isinstance(outcomes, str) else outcomes),
        actor=filters.get("actor"),
        since=filters.get("since"),
        until=filters.get("until"),
        event=None if event is None else _one_of(Event, event),
        item_id=item_id,
    )


def _first(one: _Given | None, other: _Given | None) -> _Given | None:
    # Nothing and 0 are something that was asked for.
    return other if one is None else one


def _outcomes(words: Collection[str]) -> tuple[Outcome, ...]:
    chosen: set[Outcome] = set()
    for word in words:
        in_bucket = {one for one, bucket in BUCKETS.items() if bucket == word}
        chosen |= in_bucket or {_one_of(Outcome, word)}
    return tuple(sorted(chosen))


def _one_of(words: type[_Word], text: str) -> _Word:
    try:
        return words(text)
    except ValueError:
        raise InvalidInput(
            f"there is no {words.__name__.lower()} {text!r}", fix=f"choose from {', '.join(words)}"
        ) from None


def _stream(wanted: Filter, limit: int | None, after: str | None) -> Iterator[AuditEntry]:
    database = Database(Settings.load(os.environ).database_url)
    try:
        database.check_schema()
        yield from audit_log.query(database, wanted, limit=limit, after=after)
    finally:
        database.dispose()
