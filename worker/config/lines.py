"""On which line of a TOML text a key stands, as far as can be told without a parser of our own."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]\s*(?:#.*)?")
_ENTRY = re.compile(rf"\s*({_DOTTED})\s*=.*")


def find_line(text: str, tables: Mapping[str, Any], path: Sequence[str]) -> int | None:
    """The line of a key, or of the innermost table or key around it; None if none is found.

    `tables` is the text as parsed; it tells a header from a line of an array that looks like one.
    """
    lines = _lines_by_path(text, tables)
    prefixes = (tuple(path[:length]) for length in range(len(path), 0, -1))
    return next((lines[prefix] for prefix in prefixes if prefix in lines), None)


def key_in_words(path: Path, keys: Sequence[str]) -> str:
    """Where a key of a file stands, as errors say it: the file, the key, its table, the line."""
    text = path.read_text("utf-8-sig")
    line = find_line(text, tomllib.loads(text), keys)
    at = f" (line {line})" if line else ""
    return f"{path}: `{keys[-1]}` in [{'.'.join(keys[:-1])}]{at}"


def _lines_by_path(text: str, tables: Mapping[str, Any]) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    in_string = False
    for number, line in enumerate(text.splitlines(), start=1):
        was_in_string = in_string
        in_string ^= _toggles(line, in_string=in_string)
        if was_in_string:
            continue
        if (header := _HEADER.fullmatch(line)) and is_table(tables, _parts(header[1])):
            table = _parts(header[1])
            found = table
        elif entry := _ENTRY.fullmatch(line):
            found = (*table, *_parts(entry[1]))
        else:
            continue
        for length in range(1, len(found) + 1):
            lines.setdefault(found[:length], number)
    return lines


def _toggles(line: str, *, in_string: bool) -> bool:
    if line.lstrip().startswith("#") and not in_string:
        return False
    return (line.count('"""') + line.count("'''")) % 2 == 1


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(_unquoted(part) for part in re.findall(_KEY, dotted))


def _unquoted(part: str) -> str:
    return str(tomllib.loads(f"key = {part}")["key"]) if part[0] in "\"'" else part


def is_table(tables: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether a path leads to a table."""
    here: Any = tables
    for part in path:
        here = here.get(part) if isinstance(here, Mapping) else None
    return isinstance(here, Mapping)
