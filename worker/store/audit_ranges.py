"""Which range of which index a query of the audit log is: its statement, in the order written.

A planner that only has to find the first hundred rows likes to walk the log from its beginning
until it has met them, which takes long where they begin late. So each query is led by an index.
In SQLite a column with a plus before it is out of the question. In PostgreSQL the first column is
asked to be any of one value, and is sorted by: then no index is in order that does not begin so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CompoundSelect,
    Select,
    any_,
    bindparam,
    literal,
    literal_column,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from worker.domain.audit import EXPORTED, Event
from worker.domain.outcomes import Outcome
from worker.store.models import AUDIT

Place = tuple[datetime, int]
"""The `at` and the number of an entry."""
Statement = Select[Any] | CompoundSelect[Any]
_E = AUDIT.c
_ALL = select(_E.id, *(_E[name] for name in EXPORTED))
_PLACES = select(_E.at, _E.id)
_BEHIND = tuple_(_E.at, _E.id) > tuple_(
    bindparam("behind_at", type_=_E.at.type), bindparam("behind_id", type_=_E.id.type)
)
_PLUS: custom_op[Any] = custom_op("+")


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


Lead = tuple[str, ...]
LEADS: tuple[Lead, ...] = (
    ("item_id",),
    ("external_id",),
    ("job_id", "outcome"),
    ("job_id",),
    ("account", "outcome"),
    ("actor",),
    ("outcome",),
    ("event",),
    ("account",),
    ("kind",),
    (),
)
"""Columns that an index begins with, those first that leave least; then come `at` and `id`."""
_NAMES: dict[Lead, str] = {(): "at", ("account",): "account_at"}
_MANY = frozenset({Event.CALL, Event.ITEM_SETTLED})
"""Events there are many of; entries of calls are not in the index of events at all."""
_KEPT = {
    "job_id": text("job_id IS NOT NULL"),
    "item_id": text("item_id IS NOT NULL"),
    "outcome": text("outcome IS NOT NULL"),
    "event": text("event <> 'call'"),
}
"""What the entries of an index have in common, in its own words: so that it is taken."""


@lru_cache(maxsize=64)
def selected(wanted: Filter, limit: int | None, *, goes_on: bool, dialect: str) -> Statement:
    """The entries by the time they were written, and by number within one transaction.

    If it goes on from a place, its parameters are those of `place_of`. Kept, as who asks for a
    page asks for the next one.
    Several outcomes are several ranges, merged: whole, or the places of a page and then its rows.
    """
    outcomes = wanted.outcome or (None,)
    what = _ALL if limit is None or len(outcomes) == 1 else _PLACES
    within = [*_within(wanted, goes_on=goes_on)]
    arms = [_arm(what.where(*within), wanted, one, dialect) for one in outcomes]
    if limit is None:
        bare = [arm.order_by(None) for arm in arms]
        return arms[0] if len(arms) == 1 else union_all(*bare).order_by(text("at"), text("id"))
    # No parameter: PostgreSQL would plan each page anew.
    most: ColumnElement[int] = literal_column(str(limit))
    pages = [arm.limit(most) for arm in arms]
    if len(pages) == 1:
        return pages[0]
    # SQLite takes no order inside of an arm unless it is a subquery.
    merged = union_all(*(select(page.subquery()) for page in pages))
    page = merged.order_by(text("at"), text("id")).limit(most).subquery()
    rows = _ALL.join(page, page.c.id == _E.id)
    return rows.order_by(page.c.at, page.c.id)


def place_of(start: Place | None) -> dict[str, Any]:
    """The parameters of a statement that goes on from a place."""
    return {} if start is None else {"behind_at": start[0], "behind_id": start[1]}


def index_of(lead: Lead) -> str:
    """The name of the index that begins with these columns."""
    return f"ix_{AUDIT.name}_{_NAMES.get(lead) or '_'.join(lead)}"


def _arm(what: Select[Any], wanted: Filter, outcome: Outcome | None, dialect: str) -> Select[Any]:
    values = _values(wanted, outcome)
    lead = _lead(values)
    found = what.where(
        *(_is(name, value, lead, dialect) for name, value in values.items()),
        *(_KEPT[name] for name in lead if name in _KEPT),
    )
    return found.order_by(*(_E[name] for name in lead), _E.at, _E.id)


def _values(wanted: Filter, outcome: Outcome | None) -> dict[str, Any]:
    values = {
        "job_id": wanted.job,
        "account": wanted.account,
        "kind": wanted.kind,
        "external_id": wanted.external_id,
        "outcome": outcome,
        "actor": wanted.actor,
        "event": wanted.event,
        "item_id": wanted.item_id,
    }
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in values.items()
        if value is not None
    }


def _lead(values: Mapping[str, Any]) -> Lead:
    event = values.get("event")
    if event is not None and event not in _MANY:
        return ("event",)
    there = values.keys() - ({"event"} if event == Event.CALL else set())
    return next(lead for lead in LEADS if there >= set(lead))


def _is(name: str, value: object, lead: Lead, dialect: str) -> ColumnElement[bool]:
    column = _E[name]
    if dialect == "postgresql" and name in lead[:1]:
        return column == any_(literal([value], ARRAY(column.type)))
    if dialect == "sqlite" and name not in lead:
        return UnaryExpression(column, operator=_PLUS, type_=column.type) == value
    return column == value


def _within(wanted: Filter, *, goes_on: bool) -> Iterator[ColumnElement[bool]]:
    if goes_on:
        yield _BEHIND
    if wanted.since is not None:
        yield _E.at >= wanted.since
    if wanted.until is not None:
        yield _E.at < wanted.until
