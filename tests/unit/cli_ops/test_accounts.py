"""`accounts` and `accounts check`."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from tests.schemas import validate
from tests.unit.cli_ops.conftest import CONFIG, Bulkdel, rows
from worker import embedded
from worker.cli.accounts import used_cells
from worker.domain.limits import Purse, PurseBook, Window
from worker.sandbox.client import Control
from worker.store.engine import Database
from worker.store.models import ACCOUNTS

PURSE = Purse(
    name="acme",
    windows=(Window(calls=100, per=timedelta(seconds=60)),),
    per_day=1000,
)
BOOK = PurseBook(name="acme", is_current=True, used_windows=(12,), used_today=7, in_flight=2)


@pytest.fixture
def valkey(home: Path) -> Iterator[None]:
    with embedded.start(home / ".bulkdel"):
        yield


@pytest.fixture
def reachable(home: Path, sandbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "bulkdel.toml").write_text(CONFIG.format(url=sandbox), encoding="utf-8")
    monkeypatch.setenv("ACME_TOKEN", "sandbox-token")


def park(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            insert(ACCOUNTS).values(name="acme", parked_code="unauthorised", parked_text="refused")
        )


def test_what_is_used_stands_beside_our_share() -> None:
    assert used_cells(PURSE, BOOK, "") == ("12/90 in 1m", "7/800", "2/5", "-", "ok")


def test_what_is_not_known_is_a_dash() -> None:
    assert used_cells(PURSE, None, "") == ("-/90 in 1m", "-/800", "-/5", "-", "ok")


def test_a_closed_purse_says_until_when() -> None:
    until = datetime(2026, 11, 21, 13, tzinfo=UTC)
    book = PurseBook(name="acme", is_current=True, closed_until=until)

    assert used_cells(PURSE, book, "")[-1] == "closed until 11-21 13:00:00 UTC"


def test_a_purse_that_was_slowed_down_says_so() -> None:
    assert used_cells(PURSE, replace(BOOK, pace=0.55), "")[-1] == "slowed to 55%"


def test_a_spent_day_says_until_when_by_the_providers_clock() -> None:
    resets_at = datetime(2026, 11, 21, 18, 15, tzinfo=UTC)
    book = PurseBook(name="acme", is_current=True, used_today=800, resets_at=resets_at)

    state = used_cells(replace(PURSE, day_zone="Asia/Kathmandu"), book, "")[-1]

    assert state == "day used until 2026-11-22 00:00 Asia/Kathmandu (18:15 UTC)"


def test_the_last_correction_of_the_books_is_shown() -> None:
    book = replace(BOOK, corrected_at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC))

    assert used_cells(PURSE, book, "")[3] == "11-21 09:30:00"


def test_no_limit_is_said() -> None:
    assert used_cells(Purse(name="acme"), None, "")[:2] == ("no limit", "no limit")


@pytest.mark.usefixtures("acme", "database")
def test_without_redis_the_accounts_are_listed_and_the_books_are_said_to_be_away(
    bulkdel: Bulkdel,
) -> None:
    result = bulkdel("accounts")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split()[:3] == ["acme", "zoho_books", "v4"]
    assert "books: not reachable" in result.stderr
    assert rows(bulkdel("accounts", "--json"))[0]["purses"][0]["per_day_ours"] == 800


@pytest.mark.usefixtures("acme")
def test_a_parked_account_says_so_and_how_it_goes_on(bulkdel: Bulkdel, database: Database) -> None:
    park(database)

    result = bulkdel("accounts")

    assert "parked (unauthorised)" in result.stdout
    assert "bulkdel accounts check acme" in result.stderr


@pytest.mark.usefixtures("acme", "database")
def test_a_missing_token_is_exit_4_and_names_its_place(bulkdel: Bulkdel) -> None:
    result = bulkdel("accounts", "check", "acme")

    assert result.exit_code == 4
    assert "ACME_TOKEN" in result.stderr


@pytest.mark.usefixtures("acme", "database")
def test_without_redis_there_is_no_permit_and_so_no_call(
    bulkdel: Bulkdel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "sandbox-token")

    assert bulkdel("accounts", "check", "acme").exit_code == 9


@pytest.mark.usefixtures("acme", "database")
def test_an_account_that_is_not_there_is_wrong_usage(bulkdel: Bulkdel) -> None:
    assert bulkdel("accounts", "check", "nobody").exit_code == 2


@pytest.mark.enable_socket
@pytest.mark.usefixtures("reachable", "valkey")
def test_a_check_shows_what_was_seen_counts_in_the_books_and_is_audited(
    bulkdel: Bulkdel, database: Database
) -> None:
    park(database)

    result = bulkdel("accounts", "check", "acme")
    again = rows(bulkdel("accounts", "check", "acme", "--json"))
    listed = rows(bulkdel("accounts", "--json"))

    assert result.exit_code == 0, result.output
    assert "organisation  10234695 Sandbox Ltd" in result.stdout
    assert "3 projects, the first is Project 0001" in result.stdout
    assert "acme was parked, and goes on now" in result.stdout
    assert (again[0]["ok"], again[0]["unparked"]) == (True, False)
    assert listed[0]["purses"][0]["used"]["today"] == 4
    validate("account-check", again[0])
    validate("account", listed[0])
    events = [row["event"] for row in rows(bulkdel("audit", "--json"))]
    assert events == ["call", "call", "account.resumed", "call", "call"]
    assert bulkdel("audit", "verify").exit_code == 0


@pytest.mark.enable_socket
@pytest.mark.usefixtures("reachable", "valkey", "database")
def test_a_token_that_may_not_read_the_name_is_good_all_the_same(
    bulkdel: Bulkdel, sandbox: str
) -> None:
    Control(sandbox).organization("10234695", token="sandbox-token", scopes=["READ", "DELETE"])

    result = bulkdel("accounts", "check", "acme")
    view = rows(bulkdel("accounts", "check", "acme", "--json"))[0]

    assert result.exit_code == 0, result.output
    assert "the right ZohoBooks.settings.READ" in result.stdout
    assert (view["ok"], view["organisation_name"]) == (True, None)
    assert rows(bulkdel("accounts", "--json"))[0]["parked"] is None


@pytest.mark.enable_socket
@pytest.mark.usefixtures("reachable", "valkey")
def test_a_refused_token_is_exit_4_and_leaves_the_account_parked(
    bulkdel: Bulkdel, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(database)
    monkeypatch.setenv("ACME_TOKEN", "canary-secret")

    result = bulkdel("accounts", "check", "acme")

    assert result.exit_code == 4
    assert "canary" not in result.output
    assert rows(bulkdel("accounts", "--json"))[0]["parked"] is not None


@pytest.mark.enable_socket
@pytest.mark.usefixtures("acme", "database", "valkey")
def test_a_provider_that_is_not_there_is_exit_9_and_costs_nothing(
    bulkdel: Bulkdel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "sandbox-token")

    assert bulkdel("accounts", "check", "acme").exit_code == 9
    assert rows(bulkdel("accounts", "--json"))[0]["purses"][0]["used"]["today"] == 0


# --- Truto: what an account may do is said --------------------------------------

CRM = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"


@pytest.fixture
def crm(home: Path, sandbox: str, bulkdel: Bulkdel, monkeypatch: pytest.MonkeyPatch) -> Control:
    """An account of Truto, as `init` writes it, and the control of its provider."""
    monkeypatch.setenv("CRM_TOKEN", "crm-token")
    url = sandbox.partition("/books")[0]
    how = ("--base-url", url, "--integrated-account-id", CRM, "--name", "crm", "--yes")
    result = bulkdel("init", "--provider", "truto", *how)
    assert result.exit_code == 0, result.output
    assert (home / "bulkdel.toml").exists()
    control = Control(sandbox)
    control.truto(CRM, token="crm-token")
    control.seed(CRM, projects=2, first_id=100)
    return control


@pytest.mark.enable_socket
@pytest.mark.usefixtures("crm", "valkey")
def test_a_check_says_what_an_account_of_truto_may_do(bulkdel: Bulkdel) -> None:
    result = bulkdel("accounts", "check", "crm")

    assert result.exit_code == 0, result.output
    assert "may delete, get, list" in result.stdout
    assert [row["event"] for row in rows(bulkdel("audit", "--json"))] == ["call", "call"]


@pytest.mark.enable_socket
@pytest.mark.usefixtures("valkey")
def test_a_check_of_an_account_that_may_not_delete_says_so_and_is_exit_4(
    bulkdel: Bulkdel, crm: Control
) -> None:
    crm.truto(CRM, token="crm-token", capabilities=["list", "get"])

    result = bulkdel("accounts", "check", "crm")
    view = rows(bulkdel("accounts", "check", "crm", "--json"))[0]

    assert result.exit_code == 4, result.output
    assert "but not delete" in result.stdout
    assert (view["ok"], view["rights"]) == (False, ["get", "list"])
