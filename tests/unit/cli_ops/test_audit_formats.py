"""Audit entries as lines and cells, and the times of a query."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.audit_formats import (
    FORMULA,
    cell,
    csv_head,
    csv_lines,
    exported,
    heading,
    instant,
    table_line,
)
from worker.domain.audit import EXPORTED
from worker.domain.errors import InvalidInput

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENTRY: dict[str, Any] = {
    **dict.fromkeys(EXPORTED, ""),
    "job_id": "j-1",
    "event": "call",
    "detail": {},
    "at": "2026-11-21T10:00:00.000000Z",
}


def row_of(**fields: Any) -> tuple[Any, ...]:  # noqa: ANN401  any field of an entry
    """A row as the store gives it: a number, then the fields."""
    stored = ENTRY | {"detail": "{}", "at": datetime(2026, 11, 21, 10, tzinfo=UTC)} | fields
    return 1, *stored.values()


def cells_of(**fields: Any) -> dict[str, str]:  # noqa: ANN401  the same
    text = csv_head() + csv_lines([row_of(**fields)])
    return next(csv.DictReader(io.StringIO(text, newline="")))


@given(text=st.text(max_size=80))
def test_a_line_of_the_table_never_passes_80_columns(text: str) -> None:
    line = table_line(ENTRY | {"kind": text, "external_id": text, "actor": text, "outcome": text})

    assert len(line) <= 80
    assert line.isprintable()


@pytest.mark.parametrize(
    ("entry", "what", "target"),
    [
        ({"kind": "task", "external_id": "7", "outcome": "deleted"}, "deleted", "task 7"),
        ({"kind": "task", "external_id": "7", "verdict": "throttled"}, "throttled", "task 7"),
        ({"event": "job.moved", "detail": {"to": "running"}}, "running", "job j-1"),
        ({"verdict": "seen", "detail": {"action": "list"}}, "seen", "list"),
        ({"event": "plan.frozen"}, "plan.frozen", "job j-1"),
        (
            {"event": "account.parked", "job_id": None, "account": "a"},
            "account.parked",
            "account a",
        ),
    ],
)
def test_a_line_says_what_became_of_whom(entry: dict[str, Any], what: str, target: str) -> None:
    line = table_line(ENTRY | entry)

    assert line.split("  ")[0] == "2026-11-21 10:00:00"
    assert line[21:40].strip() == what
    assert line[42:67].strip() == target


def test_the_heading_stands_above_its_columns() -> None:
    assert heading().index("TARGET") == 42


@pytest.mark.parametrize("start", FORMULA)
def test_no_cell_begins_a_formula(start: str) -> None:
    told = cells_of(message=f"{start}cmd|' /C calc'!A0")["message"]

    assert told.startswith(f"'{start}")


@given(text=st.text(max_size=80))
def test_every_cell_of_a_line_is_written_like_a_cell_by_itself(text: str) -> None:
    assert cells_of(message=text)["message"] == cell(text)


@given(text=st.text(alphabet="a\",\n\r'x", max_size=20))
def test_a_cell_is_read_back_as_it_was(text: str) -> None:
    told = cells_of(message=f"x{text}")["message"]

    assert told == f"x{text}"


def test_csv_has_the_exported_fields_in_order_and_ends_lines_as_rfc_4180_says() -> None:
    line = csv_lines([row_of(detail='{"b": 1, "a": "ä"}', http_status=None)])

    assert csv_head() == ",".join(EXPORTED) + "\r\n"
    assert line.endswith("\r\n")
    assert '"{""a"":""ä"",""b"":1}"' in line
    assert ",2026-11-21T10:00:00.000000Z," in line


@pytest.mark.parametrize("text", ["no JSON", "[1]", '"a word"'])
def test_a_detail_that_was_tampered_with_is_shown_as_it_is(text: str) -> None:
    assert exported(row_of(detail=text))["detail"] == {"text": text}
    assert json.loads(cells_of(detail=text)["detail"]) == {"text": text}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_date_an_iso_time_or_an_age(text: str, at: datetime) -> None:
    assert instant(text, NOW) == at


@pytest.mark.parametrize("text", ["", "7", "7x", "yesterday", "999999999d", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="neither a date nor a time nor an age"):
        instant(text, NOW)
