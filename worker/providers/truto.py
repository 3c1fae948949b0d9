"""Truto's unified API (https://truto.one/docs/api-reference/): paths, bodies and who says no."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from worker.domain.calls import PROJECT, Action
from worker.domain.catalogue import Catalogue, Kind
from worker.domain.filters import Filter, FilterType, portable
from worker.domain.options import Option, OptionType
from worker.domain.outcomes import Verdict
from worker.domain.traits import Match, Trait
from worker.providers.dialect import (
    Capabilities,
    Cursors,
    Dialect,
    Envelope,
    Fields,
    Listing,
    Source,
)
from worker.providers.verdicts import DELETES, NO_CODE, OK, READS, REFUSALS, Row

# Ids are those of the provider behind: numbers, uuids, words. They are encoded as one segment.
ID: Final = r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}"

CATALOGUE = Catalogue(
    provider="truto",
    project=Kind(name=PROJECT, id_pattern=ID),
    blind=(
        "Truto's unified API does not show what hangs on a project: its tasks, notes and files "
        "are not counted here, and what becomes of them is up to the provider behind it."
    ),
)

# What an answer is, as the rows see it. Truto has no codes: the words say who speaks.
OURS = "truto"  # an error of Truto's own
REMOTE = "remote"  # an error of the provider behind it
OBJECT = "object"  # no error, and it holds something
EMPTY = "empty"  # no error, and it holds nothing
SPOKEN = frozenset({OURS, REMOTE})

WORDLESS = frozenset({OBJECT, EMPTY})

ASKED = frozenset({Action.READ, Action.DELETE})
SAYING = OK | frozenset(REFUSALS) - {401}
# The account cannot be seen: then no record of it can, and "not found" says nothing about one.
ACCOUNT = re.compile(r"\b(account|environment|tenant|workspace)\b", re.IGNORECASE)
ADDRESS = re.compile(r"\b(route|url|path|endpoint)\b", re.IGNORECASE)
RECORD = re.compile(r"\b(record|resource|project|object|entity|item|id)\b", re.IGNORECASE)

ROWS: tuple[Row, ...] = (
    Row(verdict=Verdict.DELETED, actions=DELETES, statuses=OK, codes=frozenset({OBJECT})),
    # `raw` hands on the provider's own answer, and Capsule's is empty.
    Row(verdict=Verdict.DELETED, actions=DELETES, statuses=frozenset({204}), codes=NO_CODE),
    # Nor is anything left of the record where the deletion asked for no id.
    Row(
        verdict=Verdict.DELETED,
        actions=DELETES,
        statuses=OK,
        codes=frozenset({EMPTY}),
        asked=frozenset({("truto_exclude_fields", "id"), ("truto_response_format", "raw")}),
    ),
    Row(verdict=Verdict.SEEN, actions=READS, statuses=OK, codes=frozenset({OBJECT})),
    # Both of Truto's limits are over after ten seconds, and it does not say which one it was: of
    # the token or of the account. The provider names its own time, and means this account alone.
    Row(
        verdict=Verdict.THROTTLED,
        statuses=frozenset({429}),
        codes=frozenset({REMOTE}),
        wait=timedelta(seconds=10),
        is_own_limit=True,
    ),
    Row(verdict=Verdict.THROTTLED, statuses=frozenset({429}), wait=timedelta(seconds=10)),
    Row(
        verdict=Verdict.UNAUTHORISED,
        statuses=frozenset({401}),
        codes=frozenset({REMOTE}),
        note="the integrated account needs re-authorisation",
    ),
    Row(
        verdict=Verdict.UNAUTHORISED,
        statuses=frozenset({403}),
        codes=SPOKEN,
        note="scopes are missing",
    ),
    # A 503 of the provider behind is one like any other; Truto's own means the account.
    Row(
        verdict=Verdict.UNAUTHORISED,
        statuses=frozenset({503}),
        codes=frozenset({OURS}),
        note="the integrated account is blocked",
    ),
    # A 404 may be about the account, the environment, the address or the record, and only words
    # tell them apart. How Truto words them is not documented, so what is not clear is not absent.
    Row(
        verdict=Verdict.UNAUTHORISED,
        statuses=frozenset({404}),
        codes=SPOKEN,
        says=ACCOUNT,
        note="the integrated account is not visible",
    ),
    Row(
        verdict=Verdict.ABSENT,
        actions=ASKED,
        statuses=frozenset({404, 410}),
        codes=frozenset({REMOTE}),
    ),
    Row(
        verdict=Verdict.INVALID,
        statuses=frozenset({404}),
        codes=frozenset({OURS}),
        says=ADDRESS,
    ),
    Row(
        verdict=Verdict.ABSENT,
        actions=ASKED,
        statuses=frozenset({404, 410}),
        codes=frozenset({OURS}),
        says=RECORD,
    ),
    Row(
        verdict=Verdict.AMBIGUOUS,
        actions=DELETES,
        statuses=frozenset({404}),
        codes=frozenset({OURS}),
    ),
    Row(verdict=Verdict.UNAVAILABLE, statuses=frozenset({404}), codes=frozenset({OURS})),
    Row(
        verdict=Verdict.REFUSED,
        statuses=frozenset({405}),
        codes=SPOKEN,
        note="deleting is not allowed (a sandbox account is read-only)",
    ),
    # An error status around a body that is none of Truto's errors, or no word: nobody says what
    # happened.
    Row(verdict=Verdict.AMBIGUOUS, actions=DELETES, statuses=SAYING, codes=WORDLESS),
    Row(verdict=Verdict.UNAVAILABLE, statuses=SAYING, codes=WORDLESS),
)


def envelope(body: Mapping[str, object]) -> Envelope:
    """Who speaks, and what is said; of what is no error, not a word is kept."""
    status = body.get("statusCode")
    if isinstance(status, int) and not isinstance(status, bool):
        word = REMOTE if body.get("truto_is_remote_error") is True else OURS
        said = _text(body.get("message")) or _remote_text(body.get("raw_response"))
        return Envelope(code=str(status)[:3], word=word, message=said or _text(body.get("error")))
    # In `debug` the answer lies beside the request, headers and all, which is nobody's business.
    shown = body.get("result") if "debug" in body else body
    is_error = isinstance(shown, Mapping) and (
        bool(shown.get("error") or shown.get("errors")) or shown.get("success") is False
    )
    if is_error:
        return Envelope()
    return Envelope(word=OBJECT if shown else EMPTY if shown == {} else "", names=_id_of(shown))


def _id_of(shown: object) -> str:
    id_ = shown.get("id") if isinstance(shown, Mapping) else None
    return str(id_) if isinstance(id_, str | int) and not isinstance(id_, bool) else ""


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _remote_text(raw: object) -> str:
    """The provider's own words, from where providers put them, and from nowhere else."""
    if isinstance(raw, str):
        try:
            return _remote_text(json.loads(raw)) if raw.lstrip()[:1] in "{[" else raw
        except (ValueError, RecursionError):
            return ""
    if isinstance(raw, list):
        return next(filter(None, map(_remote_text, raw[:5])), "")
    if not isinstance(raw, Mapping):
        return ""
    texts = (_text(raw.get(key)) for key in ("message", "error_description", "detail", "title"))
    inner = (_remote_text(raw.get(key)) for key in ("error", "errors"))
    return next(filter(None, (*texts, *inner)), "")


def capabilities_of(body: Mapping[str, object]) -> frozenset[str]:
    """The methods an account has for projects, such as list, get and delete."""
    unified = body.get("unified")
    rows = unified.get("resources") if isinstance(unified, Mapping) else body.get("result")
    found: set[str] = set()
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, Mapping) or row.get("name", row.get("resource")) not in PROJECTS:
            continue
        methods = row.get("methods")
        names = methods if isinstance(methods, list) else []
        found |= {name for name in names if isinstance(name, str)}
    return frozenset(found)


# The read names the resource itself, so a row without a name is about it too.
PROJECTS: Final = ("projects", None)


OBJECTS: Final = ("owner", "stage", "account")


def _filters(*statuses: str) -> tuple[Filter, ...]:
    status = Trait(field="status")
    return (
        Filter(name="status", type=FilterType.CHOICE, choices=statuses, trait=status),
        # Equal, beginning or within is not documented.
        Filter(name="name", trait=Trait(field="name", match=Match.WITHIN)),
        Filter(name="search_term"),
        *(
            Filter(
                name=f"{one}.id",
                maps_to=f"{one}[id]",
                trait=Trait(field=f"{one}.id", match=Match.ID),
            )
            for one in OBJECTS
        ),
        # By id or by name, and that one of several is enough: neither is documented.
        Filter(
            name="tags",
            type=FilterType.LIST,
            maps_to="tags[]",
            trait=Trait(field="tags", match=Match.ONE_OF),
        ),
        Filter(name="created_at", type=FilterType.DATE),
        Filter(name="updated_at", type=FilterType.DATE),
        # Truto has comparisons of times, but not every provider behind it keeps to them.
        *portable({}),
    )


CAPSULE_STATUSES = ("open", "closed")
PIPELINER_STATUSES = ("completed", "in progress")

UNIFIED = Dialect(
    provider="truto",
    name="unified",
    is_default=True,
    catalogue=CATALOGUE,
    authorization="Bearer {token}",
    selector="integrated_account_id",
    listing=Listing(path="/unified/crm/projects", items=("result",), paging=Cursors()),
    project=Fields(
        id=("id",),
        name=("name",),
        status=("status",),
        created=("created_at",),
        modified=("updated_at",),
        # The id alone is promised; not every provider has the rest.
        optional=frozenset({"name", "status", "created", "modified"}),
        beside=(
            *((f"{one}.id", (one, "id")) for one in OBJECTS),
            *(("tags", ("tags", key)) for key in ("id", "name")),
        ),
    ),
    sources=(Source(name=PROJECT, path="/unified/crm/projects/{project}", project=()),),
    deletes=MappingProxyType({PROJECT: "/unified/crm/projects/{id}"}),
    envelope=envelope,
    rows=ROWS,
    quota=("ratelimit-remaining", "ratelimit-reset"),
    # `stream` hands the provider's answer on without saying what it is.
    content_types=frozenset({"application/json", "application/octet-stream"}),
    filters=_filters(*CAPSULE_STATUSES, *PIPELINER_STATUSES),
    options=(
        Option(
            name="truto_response_format",
            type=OptionType.CHOICE,
            choices=("unified", "raw", "normalized", "stream", "debug"),
        ),
        Option(name="truto_ignore_remote_data", type=OptionType.BOOL),
        Option(name="truto_exclude_fields", type=OptionType.LIST),
        Option(name="remote_query", type=OptionType.RECORD),
    ),
    capabilities=Capabilities(
        path="/integrated-account/{selector}/capabilities",
        query=(("type", "unified"), ("resource", "projects")),
        methods=capabilities_of,
    ),
)
CAPSULE = replace(UNIFIED, name="capsule", is_default=False, filters=_filters(*CAPSULE_STATUSES))
PIPELINER = replace(
    UNIFIED, name="pipeliner", is_default=False, filters=_filters(*PIPELINER_STATUSES)
)
