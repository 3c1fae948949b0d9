"""`doctor`: the facts as they are gathered."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.cli_ops.conftest import Bulkdel, rows
from worker import embedded
from worker.cli.doctor_facts import listens_to_all, overdue, secret_facts
from worker.ports import AccountRow
from worker.store.engine import Database
from worker.store.presence import SWEEP, note, seen

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=2)


def test_on_an_empty_machine_all_is_missing_and_nothing_is_made(
    bulkdel: Bulkdel, home: Path
) -> None:
    result = bulkdel("doctor")

    assert result.exit_code == 9
    assert "bulkdel init" in result.stdout
    assert list(home.iterdir()) == []


def test_a_broken_configuration_is_a_finding_not_an_error(bulkdel: Bulkdel, acme: Path) -> None:
    acme.write_text("[accounts.acme]\nprovidr = 1\n", encoding="utf-8")

    result = bulkdel("doctor", "--json")

    assert result.exit_code == 9
    assert "providr" in rows(result)[0]["text"]


@pytest.mark.usefixtures("acme")
def test_with_everything_there_it_is_exit_0(
    bulkdel: Bulkdel, home: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "sandbox-token")
    seen(database, "worker@here:1", "worker", "0")
    note(database, SWEEP, "worker@here:1")

    with embedded.start(home / ".bulkdel"):
        result = bulkdel("doctor", "--json")

    assert {row["level"] for row in rows(result)} == {"ok"}
    assert "audit log" not in {row["name"] for row in rows(result)}
    assert result.exit_code == 0


def test_a_token_file_that_everybody_reads_is_found(home: Path) -> None:
    token = home / "token"
    token.write_text("secret")
    token.chmod(0o644)
    loose = secret_facts(f"file:{token}")
    token.chmod(0o600)

    assert loose.readable_by_all
    assert not secret_facts(f"file:{token}").readable_by_all


def test_a_file_that_is_not_there_is_a_fault() -> None:
    assert secret_facts("file:/none").fault is not None


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (AccountRow(name="a", next_wake_at=LONG_AGO), ("a",)),
        (AccountRow(name="a", next_wake_at=LONG_AGO, lease_until=LONG_AGO), ("a",)),
        (AccountRow(name="a", next_wake_at=LONG_AGO, lease_until=NOW + timedelta(1)), ()),
        (AccountRow(name="a", next_wake_at=LONG_AGO, parked_code="unauthorised"), ()),
        (AccountRow(name="a", next_wake_at=NOW), ()),
        (AccountRow(name="a"), ()),
    ],
)
def test_work_is_overdue_if_nobody_takes_it(row: AccountRow, found: tuple[str, ...]) -> None:
    assert overdue([row], NOW) == found


def test_alive_tells_of_this_machine_alone(bulkdel: Bulkdel, database: Database) -> None:
    here = socket.gethostname()
    seen(database, "worker@elsewhere:1", "worker", "0")
    elsewhere = bulkdel("doctor", "--alive", "worker")
    seen(database, f"worker@{here}:1", "worker", "0")

    assert elsewhere.exit_code == 9
    assert "fix:" in elsewhere.stdout
    assert bulkdel("doctor", "--alive", "worker").exit_code == 0
    assert bulkdel("doctor", "--alive", "beat").exit_code == 9


def test_alive_without_a_database_is_exit_9(bulkdel: Bulkdel, home: Path) -> None:
    assert home.is_dir()

    assert bulkdel("doctor", "--alive", "worker").exit_code == 9


@pytest.mark.parametrize(
    ("bind", "protected", "is_open"),
    [
        ("127.0.0.1 -::1", "no", False),
        ("* -::*", "yes", False),
        ("* -::*", "no", True),
        ("", "no", True),
        ("127.0.0.1 10.0.0.7", "no", True),
        (None, None, False),
    ],
)
def test_a_redis_on_this_machine_is_not_private_if_it_lets_others_in(
    bind: str | None, protected: str | None, is_open: bool
) -> None:
    assert listens_to_all(bind, protected) is is_open
