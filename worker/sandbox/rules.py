"""What a test may settle about an account where the provider's documents are silent."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

STRICT = ConfigDict(extra="forbid")
ErrorStatus = Annotated[int, Field(ge=400, le=599)]
MAX_CAP = 200


class BulkMode(StrEnum):
    """How a bulk delete ends at an organisation."""

    OFF = "off"  # the method is not there: 405, code 37
    UNKNOWN_URL = "unknown_url"  # the address is not there: 404, code 5
    UNKNOWN_PARAMETER = "unknown_parameter"  # the parameter is not known: 400, code 2 or 4
    OK = "ok"  # every living id is deleted, refused ones too; the body names no id
    ATOMIC = "atomic"  # one refused id refuses the whole chunk
    SILENT_PARTIAL = "silent_partial"  # code 0, and refused ids are left without a word
    NAMED_PARTIAL = "named_partial"  # code 0, and info lists the ids that were refused
    SKIPPED_INFO = "skipped_info"  # code 0, and skippedInfo lists the ids that were refused
    IGNORE = "ignore"  # code 0, and nothing is deleted
    FIRST_ONLY = "first_only"  # code 0, and only the first id is deleted
    ONE_MORE = "one_more"  # code 0, and the project after the last named is deleted as well
    EVERYTHING = "everything"  # code 0, and every project there is is deleted


class TrutoProvider(StrEnum):
    """Whose data lie behind an integrated account."""

    CAPSULE = "capsule"  # answers a delete with 204 and nothing
    PIPELINER = "pipeliner"  # answers a delete with a body


class TrutoState(StrEnum):
    """How an integrated account stands."""

    ACTIVE = "active"  # all is well
    BLOCKED = "blocked"  # 503 to everything
    SANDBOX = "sandbox"  # read-only: 405 to a delete
    REAUTH = "reauth"  # the provider says 401: somebody has to consent again


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class BulkRules:
    """The bulk delete of one organisation.

    `absent` is what an id that is not there does to a chunk: it is "ignored", or the whole chunk
    is "refused" as absent.
    """

    mode: BulkMode = BulkMode.OFF
    parameter: Annotated[str, Field(min_length=1)] = "project_ids"
    cap: Annotated[int, Field(ge=1, le=MAX_CAP)] = 25
    unknown_code: Literal[2, 4] = 2
    absent: Literal["ignored", "refused"] = "ignored"
    info_key: str = "email_errors_info"


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Refused:
    """A business rule that says no to one object, alone or in a chunk."""

    status: ErrorStatus | None = None
    code: int | None = None
    text: str | None = None


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class TrutoRules:
    """One integrated account.

    `empty_pages` are the numbers of pages that come empty and carry a cursor all the same;
    `empty_message` leaves the words of the provider's errors to `raw_response` alone.
    """

    provider: TrutoProvider = TrutoProvider.CAPSULE
    state: TrutoState = TrutoState.ACTIVE
    capabilities: tuple[str, ...] = ("list", "get", "delete")
    empty_pages: frozenset[int] = frozenset()
    empty_message: bool = False
    error_insight: bool = False
    remote_data: bool = True
    debug_null: bool = False
    quota_headers: bool = False
    remote_secret: str = "sandbox-remote-secret"  # noqa: S105 - a made-up secret, to be found if it leaks
