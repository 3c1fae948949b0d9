"""What is wrong with `bulkdel.toml`, said so that it can be put right: file, table, key, line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeGuard, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from worker.config.fields import FAULT, UNKNOWN, Section
from worker.config.lines import find_line, is_table
from worker.config.values import did_you_mean
from worker.domain.catalogue import SHOWN
from worker.domain.errors import InvalidInput

UNKNOWNS = frozenset({UNKNOWN, "extra_forbidden"})

WORDS = {
    "missing": ("is needed", ""),
    "dict_type": ("must be a table", ""),
    "model_type": ("must be a table", ""),
    "tuple_type": ("must be a list", 'write it like ["a", "b"]'),
    "string_type": ("must be text", "put it in double quotes"),
    "int_type": ("must be a whole number", "write it without quotes"),
    "float_type": ("must be a number", "write it without quotes"),
    "bool_type": ("must be true or false", "write it without quotes"),
}
"""Pydantic's words for what TOML calls otherwise, by the type of its error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong: where, what, and what to do."""

    type: str
    where: tuple[str, ...]
    index: str
    what: str
    fix: str


def explain(
    error: ValidationError,
    *,
    root: type[Section],
    path: Path,
    text: str,
    tables: Mapping[str, Any],
) -> InvalidInput:
    """The first thing wrong, unknown keys before all else, and how many more there are.

    Only names of keys are repeated, never what they were set to.
    """
    faults = [_fault(line) for line in error.errors(include_url=False, include_input=False)]
    faults.sort(key=lambda fault: fault.type not in UNKNOWNS)
    first = faults[0]
    line = find_line(text, tables, first.where)
    at = f" (line {line})" if line else ""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if first.type not in UNKNOWNS:
        place = f"[{_dotted(first.where)}]" if is_table(tables, first.where) else _key(first)
        return InvalidInput(f"{path}: {place}{at} {first.what}{more}", fix=first.fix)
    known = _known_keys(root, first.where[:-1])
    guess = did_you_mean(first.where[-1], known)
    return InvalidInput(
        f"{path}: unknown key {_key(first)}{at}{guess}{more}",
        fix=f"known keys: {', '.join(known)}",
    )


def not_toml(path: Path, error: Exception) -> InvalidInput:
    """The file cannot be read, or what it holds is not TOML."""
    why = error.strerror or "" if isinstance(error, OSError) else str(error)
    if isinstance(error, UnicodeDecodeError):
        why = f"not UTF-8 at byte {error.start}"
    return InvalidInput(f"{path} cannot be read: {why}", fix=f"look at {path.absolute()}")


def _fault(line: ErrorDetails) -> Fault:
    context = line.get("ctx", {})
    where = (*line["loc"], *context.get("under", ()))
    length = next((at for at, part in enumerate(where) if isinstance(part, int)), len(where))
    what, fix = WORDS.get(line["type"], (_lower(line["msg"]), ""))
    if line["type"] in {FAULT, UNKNOWN}:
        what, fix = context["what"], context["fix"]
    return Fault(
        type=line["type"],
        where=tuple(map(str, where[:length])),
        index="".join(f"[{part}]" for part in where[length : length + 1]),
        what=what,
        fix=fix,
    )


def _key(fault: Fault) -> str:
    table = f"in [{_dotted(fault.where[:-1])}]" if fault.where[1:] else "at the top level"
    return f"`{_printed(fault.where[-1])}{fault.index}` {table}"


def _dotted(where: tuple[str, ...]) -> str:
    return ".".join(map(_printed, where))


def _printed(key: str) -> str:
    escaped = key.encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= SHOWN else f"{escaped[:SHOWN]}…"


def _known_keys(root: type[Section], where: tuple[str, ...]) -> tuple[str, ...]:
    here: object = root
    for part in where:
        here = _not_none(
            here.model_fields[part].annotation if _is_section(here) else get_args(here)[1]
        )
    return here.known_keys() if _is_section(here) else ()


def _not_none(annotation: object) -> object:
    if get_origin(annotation) in {Union, UnionType}:
        return next(other for other in get_args(annotation) if other is not type(None))
    return annotation


def _is_section(annotation: object) -> TypeGuard[type[Section]]:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
