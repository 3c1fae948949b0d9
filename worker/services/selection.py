"""Reads the ids of a job from a list or a file, a line at a time and with flat memory.

A file is CSV with a header, one id a line, or JSON Lines; told by its suffix, else by its first
line. Nothing in it is skipped in silence: what is not an id with its line is an error, and an
input without ids never means "all".
"""

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO

from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput
from worker.ports import IdRows

STDIN = "-"
LINE_LIMIT = 1_000_000
COLUMNS = ("id", "project_id", "external_id")
"""Names under which the ids are looked for, unless a column is named."""

_SPOOL = 8_000_000
_BOM = "\ufeff"
_DELIMITERS = ",;\t"
_CSV = frozenset({".csv", ".tsv"})
_JSON = frozenset({".jsonl", ".ndjson", ".json"})

Lines = Iterator[tuple[int, str]]


def from_list(text: str) -> IdRows:
    """The ids of a comma list, each with its place in it; InvalidInput for a blank one."""
    if not text.strip():
        raise _nothing("the list")
    for place, part in enumerate(text.split(","), start=1):
        external_id = part.strip()
        if not external_id:
            raise InvalidInput(
                f"id number {place} of the list is blank",
                fix="take out the comma that is too many",
            )
        yield place, external_id


def from_file(path: str, column: str | None = None, stdin: BinaryIO | None = None) -> IdRows:
    """The ids of a file (`-`: standard input), each with its line, read as they are taken.

    Raises InvalidInput naming the line of what cannot be read, and for a file without ids.
    """
    name = "standard input" if path == STDIN else path
    with _opened(path, stdin) as stream:
        lines = _decoded(stream)
        first = next(((number, text) for number, text in lines if text.strip()), None)
        if first is None:
            raise _nothing(name)
        read = _format(path, first[1], column)
        count = 0
        for line, external_id in _without_gaps(read(chain([first], lines), column)):
            count += 1
            yield line, external_id
        if not count:
            raise _nothing(name)


@contextmanager
def _opened(path: str, stdin: BinaryIO | None) -> Iterator[IO[bytes]]:
    """A file as it is; a pipe first read to its end, onto disk if it is long.

    The ids are taken inside of a transaction, which must not wait for whoever fills a pipe.
    """
    try:
        if path != STDIN and Path(path).is_file():
            with Path(path).open("rb") as file:
                yield file
            return
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
            if path == STDIN:
                shutil.copyfileobj(stdin or sys.stdin.buffer, spool)
            else:
                with Path(path).open("rb") as pipe:
                    shutil.copyfileobj(pipe, spool)
            spool.seek(0)
            yield spool
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(
            f"{path} cannot be read: {reason}", fix="check the path and the rights on it"
        ) from None


def _decoded(stream: IO[bytes]) -> Lines:
    number = 0
    while raw := stream.readline(LINE_LIMIT + 1):
        number += 1
        if len(raw) > LINE_LIMIT:
            raise InvalidInput(
                f"line {number} is longer than {LINE_LIMIT:,} bytes",
                fix="give one id a line, or CSV with a header",
            )
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise InvalidInput(
                f"line {number} is not UTF-8 text", fix="save the file as UTF-8"
            ) from None
        yield number, text.removeprefix(_BOM) if number == 1 else text


def _format(path: str, first: str, column: str | None) -> Callable[[Lines, str | None], Lines]:
    suffix = Path(path).suffix.lower()
    if suffix in _JSON:
        return _json_lines
    if suffix in _CSV:
        return _csv_rows
    text = first.strip()
    names = {*COLUMNS, (column or "").strip().lower()}
    if text.startswith("{"):
        return _json_lines
    if any(mark in text for mark in _DELIMITERS) or text.strip('"').strip().lower() in names:
        return _csv_rows
    if text.startswith('"'):
        return _json_lines
    return _plain


def _plain(lines: Lines, column: str | None) -> Lines:
    if column is not None:
        raise InvalidInput(
            f"the input has no columns, so none called {shown(column)}",
            fix="leave --id-column out, or give CSV with a header",
        )
    for number, text in lines:
        yield number, text.strip()


def _csv_rows(lines: Lines, column: str | None) -> Lines:
    number, header_text = first = next(lines)
    rows = _rows(chain([first], lines), _delimiter(header_text))
    _, header = next(rows)
    if column is None and len(header) == 1 and _looks_like_an_id(header[0]):
        yield number, header[0].strip()
        place = 0
    else:
        place = _place(header, column)
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            yield line, ""
            continue
        if any(cell.strip() for cell in row[len(header) :]):
            raise InvalidInput(
                f"line {line} has more cells than the header: which one is the id?",
                fix="put texts with a delimiter in them between quotes",
            )
        external_id = row[place].strip() if place < len(row) else ""
        if not external_id:
            raise _blank(line)
        yield line, external_id


def _rows(lines: Lines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of CSV, each with the line it begins in."""
    at = 0

    def texts() -> Iterator[str]:
        nonlocal at
        for number, text in lines:
            at = number
            yield text

    rows = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        begins = at + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidInput(
                f"line {max(begins, at)} is not CSV: {error}",
                fix="look for a quote that is not closed",
            ) from None
        yield max(begins, at) if not row else begins, row


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _looks_like_an_id(cell: str) -> bool:
    """Whether a lonely first cell is an id already: then there is no header, and none is lost."""
    name = cell.strip().lower()
    return name not in COLUMNS and any(character.isdigit() for character in name)


def _place(header: Sequence[str], column: str | None) -> int:
    names = [cell.strip().lower() for cell in header]
    wanted = COLUMNS if column is None else (column.strip().lower(),)
    places = [place for place, name in enumerate(names) if name in wanted]
    if len(places) == 1:
        return places[0]
    if column is None and len(names) == 1:
        return 0
    there = ", ".join(shown(cell.strip()) for cell in header[:20])
    if column is not None:
        how = "no column" if not places else "more than one column"
        raise InvalidInput(f"{how} {shown(column)}", fix=f"--id-column takes one of: {there}")
    raise InvalidInput("which column holds the ids?", fix=f"say --id-column with one of: {there}")


def _json_lines(lines: Lines, column: str | None) -> Lines:
    for number, text in lines:
        if not text.strip():
            yield number, ""
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidInput(
                f"line {number} is not JSON", fix="give one JSON object or string a line"
            ) from None
        if isinstance(value, dict):
            value = value[_key(value, column, number)]
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InvalidInput(
                f"line {number} has no id: ids are strings or whole numbers",
                fix="give one JSON object or string a line",
            )
        try:
            external_id = str(value).strip()
        except ValueError:  # a number of thousands of digits
            raise InvalidInput(f"line {number} has a number too long for an id") from None
        if not external_id:
            raise _blank(number)
        yield number, external_id


def _key(value: dict[str, object], column: str | None, line: int) -> str:
    wanted = COLUMNS if column is None else (column.strip().lower(),)
    keys = [key for key in value if key.strip().lower() in wanted]
    if len(keys) == 1:
        return keys[0]
    if column is None and len(value) == 1:
        return next(iter(value))
    there = ", ".join(shown(key) for key in list(value)[:20]) or "none"
    raise InvalidInput(
        f"line {line}: which key holds the id?", fix=f"say --id-column with one of: {there}"
    )


def _without_gaps(rows: IdRows) -> Lines:
    """The rows; blank ones may only stand at the end."""
    gap = 0
    for line, external_id in rows:
        if not external_id:
            gap = gap or line
        elif gap:
            raise _blank(gap)
        else:
            yield line, external_id


def _blank(line: int) -> InvalidInput:
    return InvalidInput(f"line {line} has no id", fix="take the line out, or put its id in")


def _nothing(name: str) -> InvalidInput:
    return InvalidInput(
        f"there is no id in {name}", fix="give at least one id: nothing never means all"
    )
