"""What one provider API looks like: the records of data that a provider file fills in.

A path in a body is a tuple of keys: ("project", "tasks") is `tasks` of `project`. A path of a URL
is a template: `{id}` is the target's id, `{parent}` its project's, `{project}` the one of both
that names a project.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from worker.domain.catalogue import Catalogue
from worker.domain.filters import Filter
from worker.domain.options import Option
from worker.providers.verdicts import Row

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every answer of a provider says about itself; no code is the empty one.

    `word` is what the rows go by where the provider has no codes: who speaks, and of what.
    `names` is the id of the object it is about, where it names one.
    """

    code: str = ""
    message: str = ""
    word: str = ""
    names: str = ""

    @property
    def key(self) -> str:
        """What the rows are asked with."""
        return self.word or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class PageNumbers:
    """Pages are numbered from 1 and say whether another one follows."""

    page: str = "page"
    per_page: str = "per_page"
    size: int = 200
    more: Keys = ("page_context", "has_more_page")
    shown: Keys = ("page_context", "page")  # the page's own number, compared if it is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursors:
    """Each page names the next one; a page may be empty and still do so."""

    cursor: str = "next_cursor"
    per_page: str = "limit"
    size: int = 100
    following: Keys = ("next_cursor",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A value that says: this child goes with its project, and is not deleted by itself."""

    keys: Keys
    value: bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Where an object shows what we keep of it. A project's name and creation are its print.

    `beside`: what filters are held against besides, by its name; a body may leave all of it out.
    """

    id: Keys
    name: Keys = ()
    status: Keys = ()
    created: Keys = ()
    modified: Keys = ()
    optional: frozenset[str] = frozenset()  # of these four: what a body may leave out
    marks: tuple[Mark, ...] = ()
    beside: tuple[tuple[str, Keys], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """The children of one kind inside a body, which is unreadable without their list.

    Unless it may be left out: then a body that does not mention it has none of them.
    """

    kind: str
    items: Keys
    fields: Fields
    may_be_left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One read. `project` is where the project itself lies; None if the body does not show it."""

    name: str
    path: str
    project: Keys | None = None
    children: tuple[Inline, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How projects are listed."""

    path: str
    items: Keys
    paging: PageNumbers | Cursors
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """How several projects are deleted by one call.

    Parameter and size are settings of the account, `most` is the largest size there may be.
    `rows` stand in the place of the dialect's own; `reports` are the places of a body that list
    ids the call left alone, although it succeeded. `shows_all` makes the listing that proves the
    call show projects of every status: what it hides by itself would look as if it were gone.
    """

    path: str
    rows: tuple[Row, ...]
    parameter: str
    size: int
    most: int
    reports: tuple[Keys, ...] = ()
    shows_all: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """A read that says what an account may do; `{selector}` of the path names the account."""

    path: str
    query: tuple[tuple[str, str], ...]
    methods: Callable[[Mapping[str, object]], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Organizations:
    """A read that names the organisations a token belongs to; a right of its own, often."""

    path: str
    items: Keys
    id: str
    name: str
    right: str  # what the provider calls it, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One API of one provider. A new provider is one of these, and nothing else.

    `deletes` has a path for each kind, the timer included if there is one. `options` are what a
    deletion may carry; reads carry none, because they would change what is read.
    """

    provider: str
    name: str
    catalogue: Catalogue
    authorization: str  # the header, with {token} in it
    selector: str  # query parameter that names the organisation or account; empty: none
    listing: Listing
    project: Fields
    sources: tuple[Source, ...]
    deletes: Mapping[str, str]  # path by kind
    envelope: Callable[[Mapping[str, object]], Envelope]
    rows: tuple[Row, ...]  # tried before the rows all providers share
    request_ids: tuple[str, ...] = ("x-request-id",)  # response headers, the first one there
    quota: tuple[str, str] | None = None  # headers: calls left, and seconds until there are more
    content_types: frozenset[str] = field(default=frozenset({"application/json"}))
    filters: tuple[Filter, ...] = ()
    options: tuple[Option, ...] = ()
    bulk: Bulk | None = None
    capabilities: Capabilities | None = None
    organizations: Organizations | None = None
    is_default: bool = False  # taken where an account names no dialect

    def without(self, kind: str) -> "Dialect":
        """The same dialect of an account that cannot list its children of this kind."""
        children = tuple(child for child in self.catalogue.children if child.name != kind)
        blind = (
            f"this account cannot list {kind}s: they are not counted, and go with their project"
        )
        return replace(self, catalogue=replace(self.catalogue, children=children, blind=blind))

    def source(self, name: str) -> Source | None:
        """The read of that name, if there is one."""
        return next((source for source in self.sources if source.name == name), None)
