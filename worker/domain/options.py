"""A provider's own settings of single calls: which there are, and what they may say."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, assert_never

from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput

Options = tuple[tuple[str, str], ...]

LONGEST: Final = 1000
KEY: Final = r"[A-Za-z0-9_.-]{1,64}(\[[A-Za-z0-9_.-]{0,64}\]){0,4}"
FIELD: Final = r"[A-Za-z0-9_.-]{1,64}"


class OptionType(StrEnum):
    """What the value of an option may be."""

    CHOICE = "choice"  # one of the words there are
    BOOL = "bool"  # true or false
    LIST = "list"  # names with commas between them
    RECORD = "record"  # any text, under a name of its own: OPTION.NAME=value


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting that a call may carry."""

    name: str
    type: OptionType
    choices: tuple[str, ...] = ()


def parse(specs: Sequence[Option], given: Iterable[str]) -> Options:
    """Read `key=value` texts; InvalidInput naming what there is."""
    pairs = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"option {shown(name)} has no value", fix=_there(specs))
        pairs.append((_ours(specs, name.strip()), value.strip()))
    return check(specs, _gathered(specs, pairs))


def check(specs: Sequence[Option], pairs: Iterable[tuple[str, str]]) -> Options:
    """The pairs in one spelling and order; InvalidInput naming what there is."""
    checked: dict[str, str] = {}
    for name, value in pairs:
        spec = _spec(specs, name)
        if name in checked:
            raise InvalidInput(f"option {name} is given twice", fix="give each option once")
        checked[name] = _checked(spec, name, value)
    places = {spec.name: place for place, spec in enumerate(specs)}
    return tuple(sorted(checked.items(), key=lambda pair: (places[_base(pair[0])], pair[0])))


def merge(account: Options, call: Options) -> Options:
    """The settings of an account, as far as the call does not say otherwise."""
    return tuple({**dict(account), **dict(call)}.items()) if call else account


def each_value(options: Options) -> Iterable[tuple[str, str]]:
    """Names with their values, the values of a list one by one."""
    return ((name, part) for name, value in options for part in value.split(","))


def _ours(specs: Sequence[Option], name: str) -> str:
    """Our spelling of a name that is written as the provider's address has it."""
    base, bracket, key = name.partition("[")
    spec = next((spec for spec in specs if spec.name == base), None)
    if not bracket or spec is None:
        return name
    if spec.type is OptionType.LIST and key == "]":
        return base
    if spec.type is OptionType.RECORD and "]" in key:
        return f"{base}.{key.replace(']', '', 1)}"
    return name


def _gathered(specs: Sequence[Option], pairs: Iterable[tuple[str, str]]) -> Options:
    """The pairs, a list that is given one by one in one: other names keep their repetition."""
    lists = {spec.name for spec in specs if spec.type is OptionType.LIST}
    gathered: list[tuple[str, str]] = []
    places: dict[str, int] = {}
    for name, value in pairs:
        if name in lists and name in places:
            gathered[places[name]] = (name, f"{gathered[places[name]][1]},{value}")
            continue
        places[name] = len(gathered)
        gathered.append((name, value))
    return tuple(gathered)


def _base(name: str) -> str:
    return name.partition(".")[0]


def _spec(specs: Sequence[Option], name: str) -> Option:
    base, dot, key = name.partition(".")
    spec = next((spec for spec in specs if spec.name == base), None)
    if spec is None:
        near = get_close_matches(base, [spec.name for spec in specs], n=1)
        guess = f": did you mean {near[0]}?" if near else ""
        raise InvalidInput(f"there is no option {shown(name)}{guess}", fix=_there(specs))
    is_record = spec.type is OptionType.RECORD
    if bool(dot) != is_record or (is_record and not re.fullmatch(KEY, key, re.ASCII)):
        raise InvalidInput(f"not an option: {shown(name)}", fix=_there(specs))
    return spec


def _checked(spec: Option, name: str, value: str) -> str:
    if not value or len(value) > LONGEST or not value.isprintable():
        raise InvalidInput(f"option {name} is empty or cannot be sent", fix=_there((spec,)))
    match spec.type:
        case OptionType.CHOICE:
            return _word(spec, value, spec.choices)
        case OptionType.BOOL:
            return _word(spec, value, ("true", "false"))
        case OptionType.LIST:
            parts = [part.strip() for part in value.split(",")]
            if not all(re.fullmatch(FIELD, part, re.ASCII) for part in parts):
                raise InvalidInput(f"option {name} has a name that is none: {shown(value)}")
            return ",".join(parts)
        case OptionType.RECORD:
            return value
        case _:
            assert_never(spec.type)


def _word(spec: Option, value: str, words: Sequence[str]) -> str:
    if value.lower() in words:
        return value.lower()
    near = get_close_matches(value.lower(), words, n=1)
    guess = f": did you mean {near[0]}?" if near else ""
    raise InvalidInput(
        f"option {spec.name} has no {shown(value)}{guess}",
        fix=f"{spec.name} takes one of: {', '.join(words)}",
    )


def _there(specs: Iterable[Option]) -> str:
    words = [
        f"{spec.name}.NAME" if spec.type is OptionType.RECORD else spec.name for spec in specs
    ]
    return f"there are: {', '.join(words) or 'none'}"
