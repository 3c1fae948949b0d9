"""Zoho Books v4 (https://www.zoho.com/books/api/v4/projects/): paths, bodies and codes."""

from datetime import timedelta
from types import MappingProxyType
from typing import Final

from worker.domain.calls import PROJECT, Action
from worker.domain.catalogue import Catalogue, Kind
from worker.domain.outcomes import Verdict
from worker.providers.dialect import (
    Dialect,
    Fields,
    Inline,
    Listing,
    Mark,
    PageNumbers,
    Source,
)
from worker.providers.reading import envelope_at
from worker.providers.verdicts import DELETES, OK, OWN_WORD, READS, Row

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
)

# What the token endpoint and the gateway say, in `error` and not in `code`.
CONSENT_GONE = frozenset({"invalid_code", "Access Denied"})

# The status says enough by itself: no code under a 401 makes it anything else.
LIMITS = OWN_WORD - {401}
# Where the code alone decides. Zoho counts a code that is not 0 as a failure even under a 200.
BY_CODE = LIMITS - {429}

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
        optional=frozenset({"status", "modified"}),
    ),
    sources=(
        Source(
            name=PROJECT,
            path="/projects/{project}",
            project=("project",),
            children=(
                Inline(
                    kind=DOCUMENT,
                    items=("project", "documents"),
                    fields=Fields(
                        id=("document_id",),
                        name=("document_name",),
                        optional=frozenset({"name"}),
                    ),
                ),
                Inline(
                    kind=TASK,
                    items=("project", "tasks"),
                    fields=Fields(
                        id=("task_id",),
                        name=("task_name",),
                        status=("status",),
                        optional=frozenset({"name", "status"}),
                    ),
                ),
                Inline(
                    kind=USER,
                    items=("project", "users"),
                    fields=Fields(
                        id=("user", "user_id"),
                        name=("user", "user_name"),
                        status=("user", "user_status"),
                        optional=frozenset({"name", "status"}),
                        marks=(Mark(keys=("user", "is_current_user"), value=True),),
                    ),
                ),
            ),
        ),
        Source(
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
        ),
    ),
    deletes=MappingProxyType(
        {
            PROJECT: "/projects/{id}",
            COMMENT: "/projects/{parent}/comments/{id}",
            DOCUMENT: "/projects/{parent}/documents/{id}",
            TASK: "/projects/{parent}/tasks/{id}",
            USER: "/projects/{parent}/users/{id}",
        }
    ),
    envelope=envelope_at(
        codes=(("code",), ("error",)),
        messages=(("message",), ("error_description",), ("error",)),
        words=CONSENT_GONE,
    ),
    rows=ROWS,
    request_ids=("x-request-id", "x-zoho-request-id"),
)
