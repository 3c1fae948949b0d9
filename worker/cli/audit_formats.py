"""Audit entries as table lines and CSV, and the times that narrow a query: pure."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from worker.cli.output import printable
from worker.domain.audit import EXPORTED, canonical_at, detail_of

FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the beginning of a formula; some take the wide forms, too."""
_CAREFUL = frozenset((" ", *FORMULA))
COLUMNS = (("AT (UTC)", 19), ("WHAT", 19), ("TARGET", 25), ("WHO", 11))
GAP = "  "
_AT, _DETAIL = EXPORTED.index("at"), EXPORTED.index("detail")


def heading() -> str:
    """The first line of the table."""
    return _line([name for name, _ in COLUMNS])


def table_line(entry: Mapping[str, Any]) -> str:
    """One exported entry as a line of at most 80 characters."""
    at = str(entry["at"])[:19].replace("T", " ")
    return _line([at, _what(entry), _target(entry), str(entry["actor"])])


def exported(row: Sequence[Any]) -> dict[str, Any]:
    """A row of the store as its exported fields."""
    fields = dict(zip(EXPORTED, row[1:], strict=True))
    return fields | {"at": canonical_at(fields["at"]), "detail": detail_of(fields["detail"])}


def csv_head() -> str:
    """The names of the fields, as one line."""
    return csv_line(EXPORTED)


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows of the store as RFC 4180 lines, line ends included, all in one text."""
    buffer = io.StringIO()
    write = csv.writer(buffer, lineterminator="\r\n").writerow
    for row in rows:
        cells = [
            cell(value) if type(value) is str and _wants_care(value) else value
            for value in row[1:]
        ]
        cells[_AT] = canonical_at(row[_AT + 1])
        cells[_DETAIL] = _detail_cell(row[_DETAIL + 1])
        write(cells)
    return buffer.getvalue()


def _wants_care(text: str) -> bool:
    return text[:1] in _CAREFUL or not text.isprintable()


@lru_cache(maxsize=1024)
def _detail_cell(text: str) -> str:
    return cell(detail_of(text))


def defused(text: str) -> str:
    """The text, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def instant(text: str, now: datetime) -> datetime:
    """A date, an ISO time (UTC unless it says otherwise) or an age such as 7d, as an instant.

    Raises InvalidInput.
    """
    from worker.config.values import parse_duration
    from worker.domain.catalogue import shown
    from worker.domain.errors import InvalidInput

    wrong = InvalidInput(
        f"{shown(text)} is neither a date nor a time nor an age",
        fix="write 2026-11-21, 2026-11-21T10:00:00Z or 7d (ms, s, m, h, d)",
    )
    try:
        if re.fullmatch(r"[0-9]{1,9}(ms|s|m|h|d)", text):
            return now - parse_duration(text)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise wrong from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _what(entry: Mapping[str, Any]) -> str:
    if entry["event"] == "job.moved":
        return str(entry["detail"].get("to", entry["event"]))
    return str(entry["outcome"] or entry["verdict"] or entry["event"])


def _target(entry: Mapping[str, Any]) -> str:
    if entry["kind"]:
        return f"{entry['kind']} {entry['external_id']}"
    if entry["event"].startswith("call"):
        return str(entry["detail"].get("action", "call"))
    return f"job {entry['job_id']}" if entry["job_id"] else f"account {entry['account']}"


def _line(cells: Sequence[str]) -> str:
    fitted = [
        _clipped(printable(cell), width).ljust(width)
        for cell, (_, width) in zip(cells, COLUMNS, strict=True)
    ]
    return GAP.join(fitted).rstrip()


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def cell(value: object) -> str:
    """A value as a cell of CSV, defused: no formula, and nothing that moves a terminal."""
    match value:
        case None:
            return ""
        case str():
            return defused(_shown(value))
        case dict():
            text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            return _shown(text)
        case _:
            return str(value)


def _shown(text: str) -> str:
    """The text by lines, so that line ends stay as they are and are quoted."""
    if text.isprintable():
        return text
    return "".join(char if char in "\r\n\t" else printable(char) for char in text)


def csv_line(cells: Sequence[str]) -> str:
    """Cells as one line of RFC 4180, its end included."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()
