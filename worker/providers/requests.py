"""What leaves for a provider: method, path and query of a call. Pure, and strict about ids."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import assert_never
from urllib.parse import quote

from worker.domain.calls import CAPABILITIES, ORGANIZATIONS, PROJECT, Action, Call, Target
from worker.domain.catalogue import Catalogue, check_id, shown
from worker.domain.errors import InvalidInput
from worker.domain.options import Options, OptionType, check, merge
from worker.providers.dialect import Bulk, Cursors, Dialect, PageNumbers
from worker.providers.tokens import TokenSource

Query = tuple[tuple[str, str], ...]

LAST_PAGE = 9_999_999
DOTS = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How one account reaches its provider. `token` is asked anew for each call.

    `bulk` is the bulk delete as the account has it, None where it is off. `options` are the
    account's own for each deletion, as checked; those of a call win over them.
    """

    name: str
    base_url: str
    dialect: Dialect
    selector_value: str
    token: Callable[[], str] | TokenSource  # a function gives a token that is what it is
    in_flight: int
    deadline: timedelta = timedelta(seconds=15)
    selector: str = ""  # the query parameter's name; empty: the dialect's own
    bulk: Bulk | None = None
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request below the account's base URL. Nothing secret is ever in it."""

    method: str
    path: str
    query: Query = ()

    @property
    def target(self) -> str:
        """Path and query as they go over the wire."""
        return f"{self.path}?{_written(self.query)}" if self.query else self.path


@lru_cache(maxsize=64)  # all deletions of an account have the same
def _written(query: Query) -> str:
    # Brackets of names and commas of values go as they are documented; all else is encoded.
    pairs = (f"{quote(name, safe='[]')}={quote(value, safe=',')}" for name, value in query)
    return "&".join(pairs)


def build(connection: Connection, call: Call) -> Request:
    """The request for a call; InvalidInput if the call names what cannot be asked for."""
    dialect = connection.dialect
    match call.action:
        case Action.LIST:
            paging = _paging(dialect.listing.paging, call.cursor)
            filters = _filters(dialect, call)
            query = (*_selector(connection), *dialect.listing.query, *filters, *paging)
            return Request(method="GET", path=dialect.listing.path, query=query)
        case Action.READ:
            return _read(connection, call)
        case Action.DELETE if is_bulk(call):
            return _bulk(connection, call)
        case Action.DELETE:
            target = the_target(call)
            template = dialect.deletes.get(target.kind)
            if template is None:
                raise InvalidInput(f"{dialect.provider} cannot delete a {shown(target.kind)}")
            path = _path(dialect, template, target)
            query = (*_selector(connection), *_options(connection, call))
            return Request(method="DELETE", path=path, query=query)
        case _:
            assert_never(call.action)


def is_bulk(call: Call) -> bool:
    """Whether a call deletes several at once."""
    return call.action is Action.DELETE and len(call.targets) > 1


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


def _bulk(connection: Connection, call: Call) -> Request:
    bulk, catalogue = connection.bulk, connection.dialect.catalogue
    if bulk is None:
        raise InvalidInput(f"account {connection.name} has no bulk delete")
    if any(target.kind != PROJECT for target in call.targets):
        raise InvalidInput("a bulk delete takes projects alone")
    if len(call.targets) > bulk.most:
        raise InvalidInput(f"a bulk delete takes at most {bulk.most} projects")
    ids = [_segment(catalogue, PROJECT, target.external_id) for target in call.targets]
    if len(set(ids)) != len(ids) or any("%" in id_ or "," in id_ for id_ in ids):
        raise InvalidInput("a bulk delete takes different, plain ids")
    query = (*_selector(connection), (bulk.parameter, ",".join(ids)), *_options(connection, call))
    return Request(method="DELETE", path=bulk.path, query=query)


def _filters(dialect: Dialect, call: Call) -> Query:
    known = {spec.wire_name for spec in dialect.filters} - {""}
    for name, value in call.filters:
        # A parameter that is none, or an empty one, would be taken for "everything".
        if name not in known or not value.strip():
            raise InvalidInput(f"{dialect.provider} has no filter {shown(name)}")
    return call.filters


def _options(connection: Connection, call: Call) -> Query:
    """The account's options and the call's, as the provider writes texts, lists and records."""
    if not (connection.options or call.options):
        return ()
    specs = connection.dialect.options
    types = {spec.name: spec.type for spec in specs}
    query: list[tuple[str, str]] = []
    for name, value in check(specs, merge(connection.options, call.options)):
        base, _, key = name.partition(".")
        match types[base]:
            case OptionType.LIST:
                query.extend((f"{base}[]", part) for part in value.split(","))
            case OptionType.RECORD:
                first, bracket, rest = key.partition("[")
                query.append((f"{base}[{first}]{bracket}{rest}", value))
            case OptionType.CHOICE | OptionType.BOOL:
                query.append((base, value))
            case _:
                assert_never(types[base])
    return tuple(query)


def _read(connection: Connection, call: Call) -> Request:
    dialect = connection.dialect
    if call.source == CAPABILITIES and dialect.capabilities is not None:
        return _capabilities(connection)
    if call.source == ORGANIZATIONS and dialect.organizations is not None:
        path = dialect.organizations.path
        return Request(method="GET", path=path, query=_selector(connection))
    source = dialect.source(call.source)
    if source is None:
        raise InvalidInput(f"{dialect.provider} has no list {shown(call.source)}")
    path = _path(dialect, source.path, the_target(call))
    return Request(method="GET", path=path, query=_selector(connection))


def _capabilities(connection: Connection) -> Request:
    capabilities = connection.dialect.capabilities
    if capabilities is None or not connection.selector_value.strip(" ."):
        raise InvalidInput(f"account {connection.name} cannot be asked what it may do")
    path = capabilities.path.format(selector=quote(connection.selector_value, safe=""))
    return Request(method="GET", path=path, query=capabilities.query)


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
