"""What one provider API looks like to the server: its addresses, its answers, its effects."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from worker.sandbox.limits import Meter
from worker.sandbox.state import Kind, Organization, World

JSON = "application/json"


class Effect(StrEnum):
    """What a call really did."""

    DELETED = "deleted"  # something lived before and does not any more
    READ = "read"  # something was looked at
    GRANTED = "granted"  # an access token was given out
    NONE = "none"  # nothing was done, whatever the answer said


class Verb(StrEnum):
    """What a call asks for."""

    LIST = "list"  # a page of projects
    DETAIL = "detail"  # one project with what is inline
    COMMENTS = "comments"  # the comments of one project
    DELETE = "delete"  # one object, gone
    BULK = "bulk"  # several projects, gone
    TIMER = "timer"  # the caller's own timer, gone
    REFRESH = "refresh"  # a new access token
    CAPABILITIES = "capabilities"  # what an account can do
    ORGANIZATIONS = "organizations"  # whose they are


class Situation(StrEnum):
    """A thing every API has an answer for, each in its own codes and words."""

    UNKNOWN_URL = "unknown_url"  # no such address
    BAD_METHOD = "bad_method"  # the address exists, the method does not
    BAD_ORGANIZATION = "bad_organization"  # the organisation is missing or not ours
    BAD_PARAMETER = "bad_parameter"  # a query parameter cannot be read
    TOO_MANY_IDS = "too_many_ids"  # a bulk call names more ids than it may
    BAD_TOKEN = "bad_token"  # noqa: S105 - the name of a situation, not a secret
    NO_SCOPE = "no_scope"  # the token may not do this
    WINDOW_FULL = "window_full"  # too many calls in a window
    DAY_SPENT = "day_spent"  # too many calls today
    CROWDED = "crowded"  # too many calls in flight
    BLOCKED = "blocked"  # the penalty for going over
    BROKEN = "broken"  # an internal error
    REFUSED = "refused"  # a business rule says no


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer, ready to be sent."""

    status: int
    code: int | None
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it came over the wire."""

    method: str
    path: str
    query: str
    params: Mapping[str, str]
    authorization: str
    form: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a call is about; `ids` if it names several, `refusal` if address or method is wrong."""

    verb: Verb | None = None
    kind: Kind | None = None
    id: str | None = None
    parent_id: str | None = None
    ids: tuple[str, ...] | None = None
    refusal: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call did, and what the provider would say; `deleted_ids` if it was about several."""

    effect: Effect
    answer: Answer
    deleted_ids: tuple[str, ...] = ()


class Dialect(Protocol):
    """A provider API. Nothing else in the server knows a code, a field or a path of it."""

    def claims(self, path: str) -> bool:
        """True if a path belongs to this API, known to it or not."""

    def route(self, method: str, path: str) -> Route:
        """Read a raw path; never raises, a bad address is a route with a refusal."""

    def organization_id(self, call: Call) -> str | None:
        """The organisation the call names, known to us or not."""

    def admit(self, world: World, call: Call, route: Route) -> Organization | Answer:
        """The organisation the caller may act in, or the answer that turns it away."""

    def ids(self, organization: Organization, call: Call) -> tuple[str, ...]:
        """The ids a bulk call names, in their order."""

    def meters(self, world: World, organization: Organization, call: Call) -> tuple[Meter, ...]:
        """The purses a call is taken from."""

    def quota(self, organization: Organization) -> tuple[tuple[str, str], ...]:
        """The headers that say what is left, if the account shows them."""

    def act(self, organization: Organization, call: Call, route: Route, now: float) -> Outcome:
        """Do what is asked, at once and completely, and say so."""

    def say(
        self,
        situation: Situation,
        *,
        status: int | None = None,
        code: int | None = None,
        text: str | None = None,
    ) -> Answer:
        """The answer for a situation; status, code and text replace the usual ones."""
