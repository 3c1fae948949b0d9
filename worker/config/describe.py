"""The list of every setting: its name, type, default and meaning, for README and docs."""

from collections.abc import Iterator
from datetime import timedelta
from types import UnionType
from typing import Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from worker.config.accounts import Account
from worker.config.fields import Section
from worker.config.sections import Policy, SharedPurse
from worker.config.settings import FILE_SUFFIX, FROM_FILES, Settings, variable_of
from worker.config.values import Doc, duration_text

TABLES: dict[str, type[Section]] = {
    "accounts.NAME": Account,
    "purses.NAME": SharedPurse,
    "policies.NAME": Policy,
}

PLAIN = {"bool": "true or false", "int": "whole number", "float": "number", "Path": "path"}


class Described(NamedTuple):
    """One setting; a variable is named in full, a key of the file with its table."""

    name: str
    type: str
    default: str
    meaning: str


def describe() -> list[Described]:
    """All settings: the variables first, then the keys of the file by table."""
    variables = [
        _row(variable_of(name), field) for name, field in sorted(Settings.model_fields.items())
    ]
    variables += [_file_row(variable_of(name)) for name in FROM_FILES]
    variables.sort()
    keys = [row for table, model in TABLES.items() for row in _rows(table, model)]
    return variables + keys


def _file_row(name: str) -> Described:
    meaning = f"File that holds {name} instead: how a secret is handed in."
    return Described(name + FILE_SUFFIX, "path", "not set", meaning)


def _rows(table: str, model: type[Section]) -> Iterator[Described]:
    for key in model.known_keys():
        field = model.model_fields[key]
        section = _section(field.annotation)
        if section is None:
            yield _row(f"{table}.{key}", field)
        else:
            yield from _rows(f"{table}.{key}", section)


def _section(annotation: object) -> type[Section] | None:
    options = (annotation, *get_args(annotation))
    return next(
        (part for part in options if isinstance(part, type) and issubclass(part, Section)), None
    )


def _row(name: str, field: FieldInfo) -> Described:
    docs = _docs(field)
    kind = next((doc.type for doc in docs if doc.type), "") or _type_text(field.annotation)
    default = next((doc.default for doc in docs if doc.default), "")
    if not default:
        default = "required" if field.is_required() else _default_text(field.default)
    return Described(name, kind, default, field.description or "")


def _docs(field: FieldInfo) -> list[Doc]:
    # The outermost comes last in the metadata, and says more than the one of the bare type.
    parts = [*reversed(field.metadata)]
    parts += [
        part
        for option in get_args(field.annotation)
        for part in reversed(getattr(option, "__metadata__", ()))
    ]
    return [part for part in parts if isinstance(part, Doc)]


def _type_text(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f'"{word}"' for word in get_args(annotation) if word)
    if get_origin(annotation) in {Union, UnionType}:
        return _type_text(get_args(annotation)[0])
    return PLAIN.get(getattr(annotation, "__name__", ""), "text")


def _default_text(default: object) -> str:
    match default:
        case None | "":
            return "not set"
        case bool():
            return str(default).lower()
        case timedelta():
            return duration_text(default)
        case ():
            return "[]"
        case _:
            return str(default)
