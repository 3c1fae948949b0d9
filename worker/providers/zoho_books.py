"""Zoho Books (https://www.zoho.com/books/api/v4/projects/, …/v3/…): paths, bodies and codes."""

import re
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from worker.domain.calls import PROJECT, TIMER, Action
from worker.domain.catalogue import Catalogue, Kind
from worker.domain.outcomes import Verdict
from worker.providers.dialect import (
    Bulk,
    Dialect,
    Fields,
    Inline,
    Listing,
    Mark,
    Organizations,
    PageNumbers,
    Source,
)
from worker.providers.reading import envelope_at
from worker.providers.verdicts import DELETES, OK, OWN_WORD, READS, Row
from worker.providers.zoho_filters import BESIDE, FILTERS_V3, FILTERS_V4

ID: Final = "[1-9][0-9]{0,18}"
COMMENT, DOCUMENT, TASK, USER = "comment", "document", "task", "user"

CATALOGUE = Catalogue(
    provider="zoho_books",
    project=Kind(name=PROJECT, id_pattern=ID),
    children=(
        Kind(name=COMMENT, id_pattern=ID, source=COMMENT),
        Kind(name=DOCUMENT, id_pattern=ID),
        Kind(name=TASK, id_pattern=ID),
        Kind(name=USER, id_pattern=ID),
    ),
    has_timer=True,
)

# What the token endpoint and the gateway say, in `error` and not in `code`.
CONSENT_GONE = frozenset({"invalid_code", "Access Denied"})

# The status says enough by itself: no code under a 401 makes it anything else.
LIMITS = OWN_WORD - {401}
# Where the code alone decides. Zoho counts a code that is not 0 as a failure even under a 200.
BY_CODE = LIMITS - {429}

# "No running timer", "the timer is not running", and not "the timer cannot be stopped: no right".
NO_TIMER = re.compile(
    r"\bno (?:\w+ )?timer\b|\btimer\b.{0,20}?(?:\bno\b|\bnot\b|n't\b) (?:\w+ )?"
    r"(?:run|start|activ|found|exist)",
    re.IGNORECASE,
)

ROWS: tuple[Row, ...] = (
    Row(verdict=Verdict.DELETED, actions=DELETES, statuses=OK, codes=frozenset({"0"})),
    Row(verdict=Verdict.SEEN, actions=READS, statuses=OK, codes=frozenset({"0"})),
    # Calls of the day, all calls of the minute or a penalty, too many at once.
    Row(verdict=Verdict.QUOTA_EXHAUSTED, statuses=LIMITS, codes=frozenset({"45"})),
    Row(verdict=Verdict.THROTTLED, statuses=LIMITS, codes=frozenset({"43", "44"})),
    Row(
        verdict=Verdict.THROTTLED,
        statuses=LIMITS,
        codes=frozenset({"1070"}),
        wait=timedelta(seconds=1),
    ),
    # How Zoho says that no timer runs is not documented: by 1002 like anything that does not
    # exist, or in words under a code we do not know. Only the caller's own timer is at stake.
    Row(
        verdict=Verdict.ABSENT,
        actions=DELETES,
        statuses=frozenset({200, 400, 404}),
        kinds=frozenset({TIMER}),
        says=NO_TIMER,
    ),
    # A token that is no good, a scope that is missing, a consent that was taken back.
    Row(
        verdict=Verdict.UNAUTHORISED,
        statuses=BY_CODE,
        codes=frozenset({"14", "57"}) | CONSENT_GONE,
    ),
    # An invalid value, an address or a method that does not exist.
    Row(verdict=Verdict.INVALID, statuses=BY_CODE, codes=frozenset({"2", "4", "5", "37"})),
    # Which of the statuses it comes with is not documented. A list is never absent.
    Row(
        verdict=Verdict.ABSENT,
        actions=frozenset({Action.READ, Action.DELETE}),
        statuses=frozenset({200, 400, 404}),
        codes=frozenset({"1002"}),
    ),
    # An internal error, or a success under a 4xx, says nothing about what was done.
    Row(
        verdict=Verdict.AMBIGUOUS,
        actions=DELETES,
        statuses=BY_CODE,
        codes=frozenset({"0", "1000"}),
    ),
    Row(verdict=Verdict.UNAVAILABLE, statuses=BY_CODE, codes=frozenset({"0", "1000"})),
)

# The bulk delete is documented to exist, and hardly more. By other bulk calls of Zoho its success
# may still list ids it left alone, so it proves nothing about any single one; and "does not exist"
# may mean any of the chunk, so it refuses the chunk. What is not known as an address or a method
# refuses the bulk delete as such.
BULK = Bulk(
    path="/projects",
    parameter="project_ids",
    size=25,
    most=200,
    reports=(("info",), ("skippedInfo",)),
    shows_all=(("filter_by", "Status.All"),),
    rows=(
        Row(verdict=Verdict.ACCEPTED, actions=DELETES, statuses=OK, codes=frozenset({"0"})),
        Row(verdict=Verdict.REFUSED, statuses=BY_CODE, codes=frozenset({"1002"})),
        *ROWS,
        Row(verdict=Verdict.INVALID, statuses=frozenset({404, 405})),
    ),
)

TASKS = Inline(
    kind=TASK,
    items=("project", "tasks"),
    fields=Fields(
        id=("task_id",),
        name=("task_name",),
        status=("status",),
        optional=frozenset({"name", "status"}),
    ),
)
# Of the two projects that Zoho's page shows one has no documents, and does not mention them.
DOCUMENTS = Inline(
    kind=DOCUMENT,
    items=("project", "documents"),
    may_be_left_out=True,
    fields=Fields(id=("document_id",), name=("document_name",), optional=frozenset({"name"})),
)
PEOPLE_V4 = Inline(
    kind=USER,
    items=("project", "users"),
    fields=Fields(
        id=("user", "user_id"),
        name=("user", "user_name"),
        status=("user", "user_status"),
        optional=frozenset({"name", "status"}),
        marks=(Mark(keys=("user", "is_current_user"), value=True),),
    ),
)
PROJECT_V4 = Source(
    name=PROJECT,
    path="/projects/{project}",
    project=("project",),
    children=(DOCUMENTS, TASKS, PEOPLE_V4),
)
COMMENTS = Source(
    name=COMMENT,
    path="/projects/{project}/comments",
    children=(
        Inline(
            kind=COMMENT,
            items=("comments",),
            fields=Fields(
                id=("comment_id",),
                name=("description",),
                optional=frozenset({"name"}),
                marks=(Mark(keys=("comment_type",), value="system"),),
            ),
        ),
    ),
)

V4 = Dialect(
    provider="zoho_books",
    name="v4",
    catalogue=CATALOGUE,
    authorization="Zoho-oauthtoken {token}",
    selector="organization-id",
    listing=Listing(
        path="/projects",
        items=("projects",),
        paging=PageNumbers(),
        # The one order in which a page does not shift when somebody renames a project.
        query=(("sort_column", "created_time"),),
    ),
    project=Fields(
        id=("project_id",),
        name=("project_name",),
        status=("status",),
        created=("created_time",),
        modified=("last_modified_time",),
        optional=frozenset({"name", "status", "created", "modified"}),
        beside=BESIDE,
    ),
    sources=(PROJECT_V4, COMMENTS),
    deletes=MappingProxyType(
        {
            PROJECT: "/projects/{id}",
            COMMENT: "/projects/{parent}/comments/{id}",
            DOCUMENT: "/projects/{parent}/documents/{id}",
            TASK: "/projects/{parent}/tasks/{id}",
            USER: "/projects/{parent}/users/{id}",
            # The caller's own: it has no id, and belongs to no project.
            TIMER: "/projects/timer",
        }
    ),
    envelope=envelope_at(
        codes=(("code",), ("error",)),
        messages=(("message",), ("error_description",), ("error",)),
        words=CONSENT_GONE,
    ),
    rows=ROWS,
    request_ids=("x-request-id", "x-zoho-request-id"),
    quota=("x-rate-limit-remaining", "x-rate-limit-reset"),
    filters=FILTERS_V4,
    bulk=BULK,
    organizations=Organizations(
        path="/organizations",
        items=("organizations",),
        id="organization_id",
        name="name",
        right="ZohoBooks.settings.READ",
    ),
)

# v3 has people without a wrapping, and neither documents nor a bulk delete.
PEOPLE_V3 = Inline(
    kind=USER,
    items=("project", "users"),
    fields=Fields(
        id=("user_id",),
        name=("user_name",),
        status=("status",),
        optional=frozenset({"name", "status"}),
        marks=(Mark(keys=("is_current_user",), value=True),),
    ),
)
V3 = replace(
    V4,
    name="v3",
    catalogue=replace(
        CATALOGUE, children=tuple(kind for kind in CATALOGUE.children if kind.name != DOCUMENT)
    ),
    selector="organization_id",
    sources=(
        replace(PROJECT_V4, children=(TASKS, PEOPLE_V3)),
        COMMENTS,
    ),
    deletes=MappingProxyType({k: path for k, path in V4.deletes.items() if k != DOCUMENT}),
    filters=FILTERS_V3,
    bulk=None,
)
