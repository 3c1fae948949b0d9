"""What a body shows. Strict: what is not as it should be is Unreadable, and never "empty"."""

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Final, Never, assert_never

from worker.domain.calls import (
    CAPABILITIES,
    ORGANIZATIONS,
    PROJECT,
    Action,
    Call,
    Reading,
    Seen,
    Target,
)
from worker.domain.catalogue import Catalogue, check_id
from worker.domain.errors import InvalidInput
from worker.providers.beside import beside
from worker.providers.dialect import (
    Cursors,
    Dialect,
    Envelope,
    Fields,
    Inline,
    Keys,
    Organizations,
    PageNumbers,
)
from worker.providers.requests import page_number, project_id_of, the_target
from worker.providers.scrubbing import HIDDEN

CODE_LENGTH: Final = 64
LONGEST_READ: Final = 4_096
SHORTEST_SECRET: Final = 6

_DROPPED = frozenset({"Cc", "Cs"})
# They turn the reading direction around, so that a name reads as another one.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WORDS = {"true": True, "false": False}


class Unreadable(Exception):
    """A body does not have the shape it should have; says where, never what it held."""


class _Nothing(Enum):
    MISSING = "missing"


def parse(content: bytes) -> dict[str, object]:
    """The JSON object of a body."""
    try:
        body = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON") from error
    if not isinstance(body, dict):
        raise Unreadable("the body is not an object")
    return body


def plain(text: str) -> str:
    """Somebody else's text without what steers a terminal or breaks a database."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        for char in text
        if char not in _TURNING and unicodedata.category(char) not in _DROPPED
    )


def one_line(text: str, length: int, *, secret: str = "") -> str:
    """Somebody else's text, fit for a log: one line, cut, and without the secret it repeats."""
    if not text:
        return ""
    said = plain(" ".join(text[:LONGEST_READ].split()))
    if len(secret) >= SHORTEST_SECRET:
        said = said.replace(secret, HIDDEN)
    return said if len(said) <= length else said[: length - 1] + "…"


def envelope_at(
    *, codes: Sequence[Keys], messages: Sequence[Keys], words: frozenset[str] = frozenset()
) -> Callable[[Mapping[str, object]], Envelope]:
    """An envelope whose code and message lie at the first of these places that has one.

    A code is a whole number, or one of `words`: a proxy's {"error": "Not Found"} is none.
    """

    def envelope(body: Mapping[str, object]) -> Envelope:
        code = next(filter(None, (_code(body, keys, words) for keys in codes)), "")
        message = next(filter(None, (_said(body, keys) for keys in messages)), "")
        return Envelope(code=code, message=message)

    return envelope


def read(dialect: Dialect, call: Call, body: Mapping[str, object]) -> Reading:
    """What the body of a call's answer shows; Unreadable if that cannot be said for sure."""
    match call.action:
        case Action.LIST:
            return _page(dialect, call, body)
        case Action.READ if call.source == CAPABILITIES and dialect.capabilities is not None:
            return Reading(methods=dialect.capabilities.methods(body))
        case Action.READ if call.source == ORGANIZATIONS and dialect.organizations is not None:
            return Reading(names=_names(dialect.organizations, body))
        case Action.READ:
            return _one(dialect, call, body)
        case Action.DELETE:
            return Reading()
        case _:
            assert_never(call.action)


def _names(there: Organizations, body: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    rows = [row for row in _objects(body, there.items) if isinstance(row, Mapping)]
    pairs = [(row.get(there.id), row.get(there.name)) for row in rows]
    return tuple((i, name) for i, name in pairs if isinstance(i, str) and isinstance(name, str))


def _page(dialect: Dialect, call: Call, body: Mapping[str, object]) -> Reading:
    catalogue, listing = dialect.catalogue, dialect.listing
    projects = tuple(
        _seen(catalogue, PROJECT, item, dialect.project, parent="")
        for item in _objects(body, listing.items)
    )
    following = _next(listing.paging, call.cursor, body)
    if following and not projects and isinstance(listing.paging, PageNumbers):
        raise Unreadable("an empty page says that another one follows")  # and so do all after it
    return Reading(projects=projects, next_cursor=following)


def _one(dialect: Dialect, call: Call, body: Mapping[str, object]) -> Reading:
    source = dialect.source(call.source)
    if source is None:
        raise Unreadable(f"nobody knows how to read {call.source}")
    project_id = project_id_of(the_target(call))
    projects: tuple[Seen, ...] = ()
    if source.project is not None:
        item = _at(body, source.project)
        seen = _seen(dialect.catalogue, PROJECT, item, dialect.project, parent="")
        # Another project's body would make the one asked for look as if it were gone.
        if seen.target.external_id != project_id:
            raise Unreadable(f"{_dotted(source.project)} is another one than asked for")
        projects = (seen,)
    children: dict[Target, Seen] = {}
    for inline in source.children:
        for child in _children(dialect.catalogue, inline, body, project_id):
            children.setdefault(child.target, child)
    return Reading(
        projects=projects,
        children=tuple(children.values()),
        kinds=frozenset(inline.kind for inline in source.children),
    )


def _children(
    catalogue: Catalogue, inline: Inline, body: Mapping[str, object], parent: str
) -> Iterator[Seen]:
    if inline.may_be_left_out and _at(body, inline.items) is _Nothing.MISSING:
        return
    for item in _objects(body, inline.items):
        yield _seen(catalogue, inline.kind, item, inline.fields, parent=parent)


def _seen(catalogue: Catalogue, kind: str, item: object, fields: Fields, *, parent: str) -> Seen:
    target = Target(
        kind=kind, external_id=_id(catalogue, kind, item, fields.id), parent_external_id=parent
    )
    texts = {
        name: _text(item, keys, optional=name in fields.optional)
        for name, keys in (
            ("name", fields.name),
            ("status", fields.status),
            ("created", fields.created),
            ("modified", fields.modified),
        )
    }
    stays = any(_is_marked(item, mark.keys, mark.value) for mark in fields.marks)
    return Seen(target=target, goes_with_parent=stays, beside=beside(item, fields, texts), **texts)


def _id(catalogue: Catalogue, kind: str, item: object, keys: Keys) -> str:
    value = _at(item, keys)
    # A float has lost digits already, and True is an int to Python.
    if isinstance(value, int) and not isinstance(value, bool):
        value = _digits(value)
    if not isinstance(value, str):
        raise Unreadable(f"{_dotted(keys)} is not an id")
    try:
        return check_id(catalogue.kind(kind), value)
    except InvalidInput as error:
        raise Unreadable(f"{_dotted(keys)} is not an id of a {kind}") from error


def _text(item: object, keys: Keys, *, optional: bool) -> str:
    if not keys:
        return ""
    value = _at(item, keys)
    if optional and (value is None or value is _Nothing.MISSING):
        return ""
    if not isinstance(value, str) or not (value or optional):
        raise Unreadable(f"{_dotted(keys)} is missing or not a text")
    return plain(value)


def _is_marked(item: object, keys: Keys, wanted: bool | str) -> bool:
    value = _at(item, keys)
    if value is None or value is _Nothing.MISSING:
        return False
    if isinstance(wanted, bool):
        return _flag(value, keys) is wanted
    if not isinstance(value, str):
        raise Unreadable(f"{_dotted(keys)} is not a text")
    return value == wanted


def _flag(value: object, keys: Keys) -> bool:
    """A yes or no; some bodies say it as a text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    raise Unreadable(f"{_dotted(keys)} is missing or neither true nor false")


def _next(paging: PageNumbers | Cursors, cursor: str, body: Mapping[str, object]) -> str:
    match paging:
        case PageNumbers():
            page = page_number(cursor)
            shown = _at(body, paging.shown)
            # A server that ignores the page asked for would be read for ever.
            if shown is not _Nothing.MISSING and str(shown) != str(page):
                raise Unreadable(f"{_dotted(paging.shown)} is another one than asked for")
            return str(page + 1) if _flag(_at(body, paging.more), paging.more) else ""
        case Cursors():
            following = _at(body, paging.following)
            # The last page has no cursor, an empty one, or does not mention any.
            if following in (None, "", _Nothing.MISSING):
                return ""
            if not isinstance(following, str) or following == cursor:
                raise Unreadable(f"{_dotted(paging.following)} leads nowhere")
            if not following.isprintable():  # no database keeps it, and no URL carries it
                raise Unreadable(f"{_dotted(paging.following)} is no text")
            return following
        case _:
            assert_never(paging)


def _objects(body: object, keys: Keys) -> list[object]:
    items = _at(body, keys)
    if not isinstance(items, list):
        raise Unreadable(f"{_dotted(keys)} is missing or not a list")
    return items


def _at(body: object, keys: Keys) -> object:
    for key in keys:
        if not isinstance(body, Mapping):
            raise Unreadable(f"{_dotted(keys)} is not inside an object")
        if key not in body:
            return _Nothing.MISSING
        body = body[key]
    return body


def _code(body: Mapping[str, object], keys: Keys, words: frozenset[str]) -> str:
    value = _at_or_nothing(body, keys)
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(value)[:CODE_LENGTH]
    return value if isinstance(value, str) and value in words else ""


def _said(body: Mapping[str, object], keys: Keys) -> str:
    value = _at_or_nothing(body, keys)
    return value if isinstance(value, str) else ""


def _at_or_nothing(body: object, keys: Keys) -> object:
    try:
        return _at(body, keys)
    except Unreadable:
        return _Nothing.MISSING


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:  # Python writes no number of more than 4,300 digits
        raise Unreadable("a number is absurd") from error


def _dotted(keys: Keys) -> str:
    return ".".join(keys) or "the body"


def _no_constant(_: str) -> Never:
    raise ValueError("NaN and Infinity are not JSON")
