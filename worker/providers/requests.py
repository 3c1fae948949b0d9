"""What leaves for a provider: method, path and query of a call. Pure, and strict about ids."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never
from urllib.parse import quote, urlencode

import httpx

from worker.domain.calls import PROJECT, Action, Call, Target
from worker.domain.catalogue import Catalogue, check_id, shown
from worker.domain.errors import InvalidInput
from worker.providers.dialect import Cursors, Dialect, PageNumbers

Query = tuple[tuple[str, str], ...]

LAST_PAGE = 9_999_999
DOTS = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How one account reaches its provider. `token` is asked anew for each call."""

    name: str
    base_url: str
    dialect: Dialect
    selector_value: str
    token: Callable[[], str]
    in_flight: int
    deadline: timedelta = timedelta(seconds=15)
    selector: str = ""  # the query parameter's name; empty: the dialect's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request below the account's base URL. Nothing secret is ever in it."""

    method: str
    path: str
    query: Query = ()

    @property
    def target(self) -> str:
        """Path and query as they go over the wire."""
        if not self.query:
            return self.path
        return f"{self.path}?{urlencode(self.query, quote_via=quote, safe='')}"


def build(connection: Connection, call: Call) -> Request:
    """The request for a call; InvalidInput if the call names what cannot be asked for."""
    dialect = connection.dialect
    selector = _selector(connection)
    match call.action:
        case Action.LIST:
            paging = _paging(dialect.listing.paging, call.cursor)
            query = (*selector, *dialect.listing.query, *paging)
            return Request(method="GET", path=dialect.listing.path, query=query)
        case Action.READ:
            source = dialect.source(call.source)
            if source is None:
                raise InvalidInput(f"{dialect.provider} has no list {shown(call.source)}")
            return Request(
                method="GET", path=_path(dialect, source.path, the_target(call)), query=selector
            )
        case Action.DELETE:
            target = the_target(call)
            path = dialect.deletes.get(target.kind)
            if path is None:
                raise InvalidInput(f"{dialect.provider} cannot delete a {shown(target.kind)}")
            return Request(method="DELETE", path=_path(dialect, path, target), query=selector)
        case _:
            assert_never(call.action)


def the_target(call: Call) -> Target:
    """The one target of a call for one; InvalidInput if there are none or several."""
    if len(call.targets) != 1:
        raise InvalidInput(f"a {call.action} takes one target, not {len(call.targets)}")
    return call.targets[0]


def project_id_of(target: Target) -> str:
    """The project a target is, or belongs to."""
    return target.external_id if target.kind == PROJECT else target.parent_external_id


def page_number(cursor: str) -> int:
    """The page a cursor of numbered pages names; empty is the first."""
    if not cursor:
        return 1
    plain = cursor.isascii() and cursor.isdigit() and not cursor.startswith("0")
    if not plain or len(cursor) > len(str(LAST_PAGE)):
        raise InvalidInput(f"not a page: {shown(cursor)}")
    return int(cursor)


def check_base_url(base_url: str) -> None:
    """Raise InvalidInput unless requests may be built on it and secrets sent to it."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"not a URL: {shown(base_url)}", fix="set base_url") from error
    if url.userinfo or "?" in base_url or "#" in base_url:
        raise InvalidInput(
            "a base_url has no user, no query and no fragment",
            fix="secrets go by reference: token = env:NAME or file:PATH",
        )
    safe = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host))
    if not safe or not url.host:
        raise InvalidInput(
            f"not safe to send a token to: {shown(base_url)}",
            fix="use https://… (http:// is for loopback only)",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _selector(connection: Connection) -> Query:
    name = connection.selector or connection.dialect.selector
    if not name:
        return ()
    # Without it the provider would take the default organisation of whoever owns the token.
    if not connection.selector_value.strip():
        raise InvalidInput(
            f"account {connection.name} names no {name}", fix="set it in the configuration"
        )
    return ((name, connection.selector_value),)


def _paging(paging: PageNumbers | Cursors, cursor: str) -> Query:
    match paging:
        case PageNumbers():
            return (
                (paging.page, str(page_number(cursor))),
                (paging.per_page, str(paging.size)),
            )
        case Cursors():
            size = ((paging.per_page, str(paging.size)),)
            return (*size, (paging.cursor, cursor)) if cursor else size
        case _:
            assert_never(paging)


def _path(dialect: Dialect, template: str, target: Target) -> str:
    """Fill a template; each id has the shape of its kind's ids and stays one segment."""
    catalogue = dialect.catalogue
    ids = {
        "id": (target.kind, target.external_id),
        "parent": (PROJECT, target.parent_external_id),
        "project": (PROJECT, project_id_of(target)),
    }
    filled = {
        name: _segment(catalogue, kind, external_id)
        for name, (kind, external_id) in ids.items()
        if f"{{{name}}}" in template
    }
    return template.format_map(filled)


def _segment(catalogue: Catalogue, name: str, external_id: str) -> str:
    try:
        kind = catalogue.kind(name)
    except KeyError as error:
        raise InvalidInput(f"{catalogue.provider} has no kind {shown(name)}") from error
    # Whatever the pattern of a provider lets through: dots would climb, and quote() keeps them.
    if check_id(kind, external_id) in DOTS:
        raise InvalidInput(f"not a {kind.name} id: {shown(external_id)}")
    return quote(external_id, safe="")
