"""Which projects a job is to select: a provider's own filters, and four that all providers have.

A value is a text, or for the portable filters and the provider's times a moment: a day
(`2025-01-31`), an instant (`2025-01-31T10:00:00Z`), or an age (`365d`, counted back from now). A
day is its whole length in UTC: `before` ends where it begins, and `after` begins where it ends,
so that neither selects anything of the day itself.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, assert_never

from worker.domain.bounds import CREATED, MODIFIED, Bound, Side
from worker.domain.calls import Seen
from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput
from worker.domain.traits import Shown, Trait

AGE_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
MOMENTS: Final = "write a day (2025-01-31), an instant (2025-01-31T10:00:00Z) or an age (365d)"
LONGEST: Final = 1000
# Twelve digits are the years 1973 to 2001 and later: a year or an age is no time in milliseconds.
MILLIS: Final = "[0-9]{12,14}"


class FilterType(StrEnum):
    """What the value of a filter may be, and how it is written on the wire."""

    TEXT = "text"  # as it stands
    CHOICE = "choice"  # one of the words there are
    MILLIS = "millis"  # a moment, written in milliseconds since 1970
    DATE = "date"  # a moment, written as an ISO instant in UTC
    BOOL = "bool"  # true or false
    LIST = "list"  # texts with commas between them


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One filter of a provider.

    `maps_to` is its name on the wire, by default its own; one that ends in [] is repeated for
    each value of a list. `moment` and `side` say which time of a project it bounds; with
    `includes` the moment itself counts, and a day is where it begins on either side.
    `client_side`: the provider cannot, so it is held against what a list shows.
    `trait` is the text that each selected project shows, where one is known.
    """

    name: str
    type: FilterType = FilterType.TEXT
    maps_to: str = ""
    choices: tuple[str, ...] = ()
    moment: str = ""  # CREATED or MODIFIED
    side: Side | None = None
    includes: bool = False
    client_side: bool = False
    trait: Trait | None = None

    @property
    def wire_name(self) -> str:
        """The name of the query parameter; empty if nothing is sent."""
        return "" if self.client_side else self.maps_to or self.name

    def takes_all(self, value: str) -> bool:
        """Whether this value keeps nothing away."""
        return self.trait is not None and value in self.trait.all_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What was asked for, understood.

    `wire` goes into the calls of the listing; `client` is held against each project it shows.
    `canonical` is the same with every moment an instant: parsing it again gives the same
    selection at any time. `asked` keeps ages as ages, for telling two requests apart.
    `unheld` are the filters that nothing of a list can be held against.
    """

    wire: tuple[tuple[str, str], ...] = ()
    bounds: tuple[Bound | Shown, ...] = ()
    canonical: tuple[tuple[str, str], ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    unheld: tuple[str, ...] = ()

    def client(self, seen: Seen) -> bool:
        """Whether a project of the list is one that was asked for."""
        return all(bound.admits(seen) for bound in self.bounds)

    def is_stray(self, seen: Seen) -> bool:
        """Whether the provider shows a project that it was asked to leave out."""
        return not all(bound.admits(seen) for bound in self.bounds if not bound.is_exact)

    def is_believed(self, seen: Seen) -> bool:
        """Whether the provider's word is all there is for some filter on this project."""
        return bool(self.unheld) or not all(bound.speaks(seen) for bound in self.bounds)


def portable(
    maps_to: Mapping[str, str], type_: FilterType = FilterType.DATE
) -> tuple[Filter, ...]:
    """The four filters all providers have; one the provider has no name for is client-side."""
    rows = (
        ("created_before", CREATED, Side.BEFORE),
        ("created_after", CREATED, Side.AFTER),
        ("last_modified_before", MODIFIED, Side.BEFORE),
        ("last_modified_after", MODIFIED, Side.AFTER),
    )
    return tuple(
        Filter(
            name=name,
            type=type_,
            maps_to=maps_to.get(name, ""),
            moment=moment,
            side=side,
            client_side=name not in maps_to,
        )
        for name, moment, side in rows
    )


def parse(specs: Sequence[Filter], given: Iterable[str], now: datetime) -> Filters:
    """Read `key=value` texts; ages count back from `now`.

    Raises InvalidInput naming the filters there are: for no filter at all, an unknown or doubled
    one, an empty value, and a value that is none of its type.
    """
    try:
        return _assembled(_chosen(specs, given), now)
    except InvalidInput as wrong:
        there = f"there are: {', '.join(spec.name for spec in specs)}"
        fix = f"{wrong.fix}; {there}" if wrong.fix else there
        raise InvalidInput(wrong.what, fix=fix) from None


def _chosen(specs: Sequence[Filter], given: Iterable[str]) -> list[tuple[Filter, str]]:
    chosen: dict[str, tuple[Filter, str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        spec = _spec(specs, name.strip())
        if not equals or not value.strip():
            raise InvalidInput(f"filter {spec.name} has no value", fix=_how(spec))
        # Twice the same parameter, and a provider would take one of the two: which is not known.
        key = spec.wire_name or spec.name
        if key in chosen:
            raise InvalidInput(f"filter {spec.name} is given twice", fix="give each filter once")
        chosen[key] = (spec, _checked(spec, value.strip()))
    if not chosen:
        raise InvalidInput("no filter: that is never read as everything")
    return [chosen[key] for key in sorted(chosen)]


def described(spec: Filter) -> str:
    """A filter and what it takes, on one line, for people."""
    words = " | ".join(spec.choices) or _WORDS[spec.type]
    return f"{spec.name}={words}"


def _assembled(chosen: Sequence[tuple[Filter, str]], now: datetime) -> Filters:
    wire: list[tuple[str, str]] = []
    bounds: list[Bound | Shown] = []
    canonical: list[tuple[str, str]] = []
    unheld: list[str] = []
    for spec, value in chosen:
        at = _moment(spec, value, now) if spec.type in _MOMENTS else None
        said = value if at is None else _instant(at)
        canonical.append((spec.name, said))
        if spec.wire_name:
            wire.extend((spec.wire_name, part) for part in _written(spec, value, at))
        bound = _bound(spec, value, at)
        if bound is not None:
            bounds.append(bound)
        elif not spec.takes_all(value):
            unheld.append(spec.name)
    return Filters(
        wire=tuple(wire),
        bounds=tuple(bounds),
        canonical=tuple(canonical),
        asked=tuple((spec.name, value) for spec, value in chosen),
        unheld=tuple(unheld),
    )


def _bound(spec: Filter, value: str, at: datetime | None) -> Bound | Shown | None:
    """What a list is held against for this value; None if there is nothing."""
    if at is None or spec.side is None:
        return spec.trait.of(value) if spec.trait else None
    return Bound(
        moment=spec.moment,
        side=spec.side,
        at=at,
        includes=spec.includes,
        is_exact=spec.client_side,
    )


def _spec(specs: Sequence[Filter], name: str) -> Filter:
    by_name = {spec.maps_to or spec.name: spec for spec in specs if not spec.moment}
    by_name |= {spec.name: spec for spec in specs}
    if name in by_name:
        return by_name[name]
    near = get_close_matches(name, list(by_name), n=1)
    guess = f": did you mean {near[0]}?" if near else ""
    raise InvalidInput(f"there is no filter {shown(name)}{guess}")


def _checked(spec: Filter, value: str) -> str:
    """The value in its one spelling."""
    if len(value) > LONGEST or not value.isprintable():
        raise InvalidInput(f"filter {spec.name}: {shown(value)} cannot be sent", fix=_how(spec))
    match spec.type:
        case FilterType.TEXT:
            return value
        case FilterType.CHOICE:
            return _choice(spec, value, spec.choices)
        case FilterType.BOOL:
            return _choice(spec, value, ("true", "false"))
        case FilterType.LIST:
            return _list(spec, value)
        case FilterType.MILLIS | FilterType.DATE:
            return value
        case _:
            assert_never(spec.type)


def _choice(spec: Filter, value: str, choices: Sequence[str]) -> str:
    by_word = {choice.lower(): choice for choice in choices}
    if value.lower() in by_word:
        return by_word[value.lower()]
    near = get_close_matches(value.lower(), list(by_word), n=1)
    guess = f": did you mean {by_word[near[0]]}?" if near else ""
    raise InvalidInput(
        f"filter {spec.name} has no {shown(value)}{guess}",
        fix=f"{spec.name} takes one of: {', '.join(choices)}",
    )


def _list(spec: Filter, value: str) -> str:
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise InvalidInput(f"filter {spec.name} has a blank value", fix=_how(spec))
    return ",".join(parts)


def _moment(spec: Filter, value: str, now: datetime) -> datetime:
    """The instant meant. Raises InvalidInput for what is none."""
    wrong = InvalidInput(f"filter {spec.name}: {shown(value)} is not a date", fix=MOMENTS)
    try:
        if match := re.fullmatch(r"([0-9]{1,6})([smhdw])", value, re.ASCII):
            at = now.astimezone(UTC) - int(match[1]) * AGE_UNITS[match[2]]
            return at.replace(microsecond=at.microsecond // 1000 * 1000)
        if spec.type is FilterType.MILLIS and re.fullmatch(MILLIS, value, re.ASCII):
            return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(value))
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            day = datetime.fromisoformat(value).replace(tzinfo=UTC)
            ends = timedelta(days=1) - timedelta(milliseconds=1)
            return day + ends if spec.side is Side.AFTER and not spec.includes else day
        if re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*", value, re.ASCII):
            at = datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None
    raise wrong


def _written(spec: Filter, value: str, at: datetime | None) -> tuple[str, ...]:
    if at is not None:
        return (str(_millis(at)),) if spec.type is FilterType.MILLIS else (_instant(at),)
    return tuple(value.split(",")) if spec.wire_name.endswith("[]") else (value,)


def _millis(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _instant(at: datetime) -> str:
    return f"{at.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def _how(spec: Filter) -> str:
    return f"write it like {described(spec)}"


_MOMENTS = frozenset({FilterType.MILLIS, FilterType.DATE})
_WORDS: Final = {
    FilterType.TEXT: "TEXT",
    FilterType.CHOICE: "WORD",
    FilterType.MILLIS: "DATE",
    FilterType.DATE: "DATE",
    FilterType.BOOL: "true | false",
    FilterType.LIST: "TEXT,TEXT",
}
