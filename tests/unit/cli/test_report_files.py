"""`report --to`: every item in one file, and a manifest by which the files can be checked."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.cli.test_screens import an_item, planned
from worker.cli.report_files import FIELDS, write_report
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Outcome
from worker.domain.states import JobState
from worker.services.views import item_view

ENDED = replace(planned(), state=JobState.PARTIALLY_SUCCEEDED)
ITEMS = [
    an_item(1, Outcome.DELETED),
    an_item(2, Outcome.FAILED_REFUSED, code="9020", reason='=HYPERLINK("http://x","y")'),
    an_item(3, Outcome.FAILED_REFUSED, reason='a "quote", a comma\r\nand a second line'),
    an_item(4, Outcome.UNKNOWN, reason="+49 did not answer"),
    an_item(5, Outcome.SKIPPED_PROTECTED),
    an_item(6, Outcome.UNPROCESSED),
]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_columns_are_the_fields_of_an_item() -> None:
    assert tuple(item_view(ITEMS[0])) == FIELDS


def test_every_item_is_in_the_file_of_its_bucket(tmp_path: Path) -> None:
    manifest = write_report(ENDED, iter(ITEMS), tmp_path / "report")

    found = {
        path.stem: [row["external_id"] for row in rows(path)]
        for path in (tmp_path / "report").glob("*.csv")
    }
    assert found == {
        "succeeded": ["1"],
        "failed": ["2", "3"],
        "unknown": ["4"],
        "skipped": ["5"],
        "unprocessed": ["6"],
    }
    assert manifest["total"] == 6


def test_json_lines_hold_the_same_items(tmp_path: Path) -> None:
    write_report(ENDED, iter(ITEMS), tmp_path / "report")

    lines = (tmp_path / "report" / "failed.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [item_view(item) for item in ITEMS[1:3]]


def test_a_spreadsheet_takes_nothing_for_a_formula(tmp_path: Path) -> None:
    write_report(ENDED, iter(ITEMS), tmp_path / "report")

    failed = rows(tmp_path / "report" / "failed.csv")
    assert [row["reason"] for row in failed] == [
        '\'=HYPERLINK("http://x","y")',
        'a "quote", a comma\r\nand a second line',
    ]
    assert rows(tmp_path / "report" / "unknown.csv")[0]["reason"] == "'+49 did not answer"


def test_the_manifest_tells_rows_and_hashes(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    manifest = write_report(ENDED, iter(ITEMS), folder)

    assert json.loads((folder / "manifest.json").read_text()) == manifest
    described = {one["name"]: one for one in manifest["files"]}
    assert described.keys() == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for path in folder.glob("*.*sv"):
        assert described[path.name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert described[path.name]["rows"] == len(rows(path))
        assert path.read_bytes().endswith(b"\r\n")


def test_what_is_open_yet_has_files_of_its_own(tmp_path: Path) -> None:
    job = replace(ENDED, state=JobState.RUNNING)
    waits = replace(an_item(7, Outcome.DELETED), outcome=None, state="pending")

    manifest = write_report(job, iter([*ITEMS, waits]), tmp_path / "report")

    assert manifest["rows"]["open"] == 1


def test_a_report_is_never_mixed_with_another(tmp_path: Path) -> None:
    write_report(ENDED, iter(ITEMS), tmp_path / "report")

    with pytest.raises(InvalidInput, match="is not empty"):
        write_report(ENDED, iter(ITEMS), tmp_path / "report")


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidInput, match="cannot be written"):
        write_report(ENDED, iter(ITEMS), tmp_path / "file" / "report")


def test_the_command_writes_the_folder_and_says_what_is_in_it(
    bulkdel: Callable[..., Result], submitted: Callable[..., str], tmp_path: Path
) -> None:
    job = submitted("1,2")

    told = bulkdel("report", job, "--to", str(tmp_path / "r"))
    as_json = bulkdel("report", job, "--to", str(tmp_path / "s"), "--json")

    assert told.exit_code == 0, told.output
    assert "open.csv" in told.stdout
    assert json.loads(as_json.stdout)["rows"]["open"] == 2
