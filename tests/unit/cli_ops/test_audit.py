"""`audit` and `audit verify` over a database with a few entries."""

import csv
import io
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli_ops.conftest import Bulkdel, rows
from worker.cli.audit_formats import cell
from worker.domain.audit import EXPORTED, Entry, Event, account_chain
from worker.store.audit_log import Filter, query
from worker.store.chain import append
from worker.store.engine import Database
from worker.store.migrate import upgrade


def call(number: int, *, outcome: str | None = None, account: str = "acme") -> Entry:
    return Entry(
        chain=account_chain(account),
        event=Event.CALL,
        account=account,
        actor="=somebody",
        kind="project",
        external_id=str(number),
        item_id=number,
        outcome=outcome,
        verdict="deleted",
    )


@pytest.fixture(autouse=True)
def _entries(database: Database) -> None:
    with database.write() as connection:
        append(
            connection,
            [
                call(1, outcome="deleted"),
                call(2, outcome="failed_refused"),
                call(3, outcome="unknown"),
                call(4, account="other"),
            ],
        )


def ids(bulkdel: Bulkdel, *args: str) -> list[str]:
    return [row["external_id"] for row in rows(bulkdel("audit", "--json", *args))]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ((), ["1", "2", "3", "4"]),
        (("--account", "other"), ["4"]),
        (("--id", "2"), ["2"]),
        (("--kind", "task"), []),
        (("--outcome", "failed,unknown"), ["2", "3"]),
        (("--outcome", "deleted", "--outcome", "unknown"), ["1", "3"]),
        (("--actor", "=somebody", "--limit", "1"), ["1"]),
        (("--since", "1h"), ["1", "2", "3", "4"]),
        (("--until", "1h"), []),
        (("--job", "j-none"), []),
        (("--event", "call", "--account", "other"), ["4"]),
        (("--event", "job.moved"), []),
        (("--item", "3"), ["3"]),
        (("--kind", "project", "--outcome", "failed", "--actor", "=somebody"), ["2"]),
    ],
)
def test_filters_narrow(bulkdel: Bulkdel, args: tuple[str, ...], found: list[str]) -> None:
    assert ids(bulkdel, *args) == found


def test_the_cursor_of_a_page_leads_to_the_next(bulkdel: Bulkdel) -> None:
    first = bulkdel("audit", "--format", "jsonl", "--limit", "3")
    cursor = first.stderr.rpartition("--after ")[2].strip()

    assert ids(bulkdel, "--limit", "3", "--after", cursor) == ["4"]


def test_every_exported_field_is_there_and_no_other(bulkdel: Bulkdel) -> None:
    assert tuple(rows(bulkdel("audit", "--json"))[0]) == EXPORTED


def test_csv_is_for_spreadsheets_and_defused(bulkdel: Bulkdel) -> None:
    lines = bulkdel("audit", "--format", "csv").stdout.splitlines()

    assert lines[0] == ",".join(EXPORTED)
    assert len(lines) == 5
    assert ",'=somebody," in lines[1]


def test_exports_are_the_typed_rows_written_plainly(bulkdel: Bulkdel, database: Database) -> None:
    detail = {"ids": ["1", "ü"], "action": "delete", "page": None}
    odd = replace(call(5), message='-2+3 "quoted",\r\nä', provider_code="@sum", detail=detail)
    with database.write() as connection:
        append(connection, [replace(odd, external_id=str(n)) for n in range(1500)])
    entries = [entry.exported() for entry in query(database, Filter())]

    as_csv = bulkdel("audit", "--format", "csv").stdout_bytes.decode()
    as_json = bulkdel("audit", "--format", "jsonl").stdout

    assert as_csv == plain_csv(entries)
    assert as_json == "".join(f"{json.dumps(entry)}\n" for entry in entries)


def plain_csv(entries: list[dict[str, Any]]) -> str:
    """What the export has to be, a cell at a time."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(EXPORTED)
    for entry in entries:
        lines.writerow([cell(entry[name]) for name in EXPORTED])
    return text.getvalue()


def test_the_table_has_a_head_and_a_line_for_each(bulkdel: Bulkdel) -> None:
    lines = bulkdel("audit").stdout.splitlines()

    assert lines[0].startswith("AT (UTC)")
    assert len(lines) == 5


def test_who_asks_about_an_id_is_told_which_jobs_ended_it(
    bulkdel: Bulkdel, database: Database
) -> None:
    with database.write() as connection:
        ended = replace(call(7, outcome="deleted"), chain="job:j-1", job_id="j-1")
        append(connection, [ended, replace(ended, outcome=None, chain="job:j-2", job_id="j-2")])

    asked, exported = bulkdel("audit", "--id", "7"), bulkdel("audit", "--id", "7", "--json")

    assert asked.stderr == "who asked for it, and why: bulkdel show j-1\n"
    assert exported.stderr == ""


def test_nothing_found_is_said_and_is_no_error(bulkdel: Bulkdel) -> None:
    result = bulkdel("audit", "--id", "none")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no entry matches" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("--since", "soon"),
        ("--outcome", "gone"),
        ("--event", "gone"),
        ("--item", "0"),
        ("--item", "9" * 30),
        ("--after", "xyz"),
        ("--json", "--format", "csv"),
        ("--limit", "0"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(bulkdel: Bulkdel, args: tuple[str, ...]) -> None:
    assert bulkdel("audit", *args).exit_code == 2


def test_whole_chains_verify(
    bulkdel: Bulkdel, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{home}/sound.db"
    upgrade(url)
    sound = Database(url)
    with sound.write() as connection:
        append(connection, [call(1), call(2), call(1, account="other")])
    sound.dispose()
    monkeypatch.setenv("BULKDEL_DATABASE_URL", url)

    result = bulkdel("audit", "verify")

    assert (result.exit_code, result.stdout) == (0, "chains: 2, entries: 3: ok\n")


def test_a_changed_entry_is_named_and_is_exit_5(bulkdel: Bulkdel, home: Path) -> None:
    _tamper(home)

    told, as_json = bulkdel("audit", "verify"), bulkdel("audit", "verify", "--json")

    assert (told.exit_code, as_json.exit_code) == (5, 5)
    assert "first bad entry: chain account:acme, seq 2: was changed" in told.stdout
    assert rows(as_json)[0]["ok"] is False
    assert rows(as_json)[0]["first_bad"]["seq"] == 2


def test_a_job_that_is_not_there_cannot_be_verified(bulkdel: Bulkdel) -> None:
    assert bulkdel("audit", "verify", "j-none").exit_code == 2


def _tamper(home: Path) -> None:
    connection = sqlite3.connect(home / ".bulkdel" / "bulkdel.db")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in triggers.fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("UPDATE audit_entries SET message = 'all well' WHERE external_id = '2'")
    connection.commit()
    connection.close()
