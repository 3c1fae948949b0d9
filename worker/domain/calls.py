"""What is asked of a provider and what comes back, in our own words."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Self

from worker.domain.limits import Quota
from worker.domain.outcomes import Verdict
from worker.domain.text import clean, time_of

TIMER = "timer"
"""The caller's running timer: it belongs to no project, and has no id of its own."""
A_SECOND = timedelta(seconds=1)
"""Times this near to each other are one: a list may cut what a read shows whole."""
CURRENT = "current"
"""What stands in the place of the timer's id."""
NAME_LENGTH = 200
TIME_LENGTH = 40
"""Characters that are kept of a name, and of a time or status."""
PROJECT = "project"
"""The kind every provider has; its children are the other kinds of the provider's catalogue."""

CAPABILITIES = "capabilities"
"""The source of a READ without target: what the account may do, where the provider says it."""
ORGANIZATIONS = "organizations"
"""Another one: the organisations that the token may see, and what they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object at a provider; the account is given by the context."""

    kind: str
    external_id: str
    parent_external_id: str = ""


class Action(StrEnum):
    """What a call does at the provider."""

    LIST = "list"  # one page of projects
    READ = "read"  # one project, or the list of one child kind of it
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: an action on some targets.

    `source` names where a READ looks: the project itself, or the list of one child kind.
    `cursor` is the page of a LIST, empty for the first; `filters` are the provider's own, as
    (name, value). Several targets of a DELETE make it a bulk call. `options` are the
    provider's own settings of this call, as (name, value).
    """

    action: Action
    targets: tuple[Target, ...] = ()
    source: str = PROJECT
    cursor: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object as a read showed it; times are the provider's own text."""

    target: Target
    name: str = ""
    status: str = ""
    created: str = ""
    modified: str = ""
    goes_with_parent: bool = False  # our own user, a system comment: not deleted by itself
    beside: tuple[tuple[str, str], ...] = ()  # what filters alone are about, by its name: not kept

    @property
    def fingerprint(self) -> tuple[str, str]:
        """What tells a project from another under its id: name and creation time, as kept."""
        return clean(self.name, NAME_LENGTH), clean(self.created, TIME_LENGTH)

    def has_become(self, now: Self) -> bool:
        """Whether what is shown now is another one, by as much of the print as this shows."""
        if self.created:
            return now.fingerprint != self.fingerprint
        return bool(self.name) and now.fingerprint[0] != self.fingerprint[0]

    def was_modified(self, now: Self) -> bool:
        """Whether it was modified since this was seen; False where one of them shows no time."""
        before, after = time_of(self.modified), time_of(now.modified)
        return before is not None and after is not None and abs(after - before) >= A_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a LIST or a READ showed. `kinds` are the child kinds this source tells about."""

    projects: tuple[Seen, ...] = ()
    children: tuple[Seen, ...] = ()
    kinds: frozenset[str] = frozenset()
    next_cursor: str = ""  # empty: the listing ends here
    methods: frozenset[str] = frozenset()  # a READ of the capabilities: what may be done
    names: tuple[tuple[str, str], ...] = ()  # a READ of the organisations: names by their ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call came to: a value, always; never an exception for a failed call.

    `by_target` tells a bulk call's targets apart, in their order, where the answer names ids;
    empty: `verdict` holds for all of them alike.
    """

    verdict: Verdict
    by_target: tuple[Verdict, ...] = ()
    http_status: int | None = None
    provider_code: str = ""
    message: str = ""
    error_class: str = ""  # the wire's own word when there was no answer: reset, timeout, …
    request_id: str = ""
    duration: timedelta = timedelta(0)
    retry_after: timedelta | None = None
    is_own_limit: bool = False  # a refusal for this account alone: a shared purse stays open
    quota: Quota | None = None  # what it says is left
    reading: Reading = field(default_factory=Reading)
