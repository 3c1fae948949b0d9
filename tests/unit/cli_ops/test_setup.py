"""`init` and `db upgrade`."""

import tomllib
from pathlib import Path

import pytest

from tests.schemas import validate
from tests.unit.cli_ops.conftest import Bulkdel, rows
from worker import embedded
from worker.cli import answers
from worker.cli.answers import PROVIDERS, Answers
from worker.cli.output import Output
from worker.cli.setup import BASE_URLS, render
from worker.config.accounts import load
from worker.domain.errors import InvalidInput
from worker.store import migrate

GIVEN = ("init", "--organization-id", "10234695", "--yes")


def test_init_writes_a_file_that_can_be_read_and_says_what_comes_next(
    bulkdel: Bulkdel, home: Path
) -> None:
    result = bulkdel(*GIVEN)

    account = load(home / "bulkdel.toml").account("acme")
    assert result.exit_code == 0
    assert (account.organization_id, account.token) == ("10234695", "env:ACME_TOKEN")
    assert "bulkdel accounts check acme" in result.stderr
    assert "export ACME_TOKEN=" in result.stderr
    assert (home / ".bulkdel" / "bulkdel.db").exists()


def test_init_does_not_overwrite(bulkdel: Bulkdel, acme: Path) -> None:
    before = acme.read_text()

    result = bulkdel(*GIVEN)

    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert acme.read_text() == before


def test_init_without_a_person_says_which_flag_is_needed(bulkdel: Bulkdel, home: Path) -> None:
    result = bulkdel("init", "--no-input")

    assert result.exit_code == 2
    assert "--organization-id" in result.stderr
    assert not (home / "bulkdel.toml").exists()


def test_a_secret_instead_of_its_place_is_refused_and_not_repeated(
    bulkdel: Bulkdel, home: Path
) -> None:
    result = bulkdel(*GIVEN, "--token", "1000.canary-secret")

    assert result.exit_code == 2
    assert "canary" not in result.output
    assert not (home / "bulkdel.toml").exists()


@pytest.mark.parametrize("flag", ["--base-url", "--organization-id"])
def test_what_the_configuration_refuses_leaves_no_file(
    bulkdel: Bulkdel, home: Path, flag: str
) -> None:
    result = bulkdel("init", "--organization-id", "1", "--yes", flag, 'http://a.b/"\n[x]')

    assert result.exit_code == 2
    assert not (home / "bulkdel.toml").exists()


def test_init_as_json_names_file_and_account(bulkdel: Bulkdel) -> None:
    (told,) = rows(bulkdel(*GIVEN, "--json"))

    validate("init", told)
    assert told == {"config": "bulkdel.toml", "account": "acme", "checked": False}


@pytest.mark.enable_socket
def test_init_checks_the_account_where_it_can(
    bulkdel: Bulkdel, home: Path, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "sandbox-token")

    with embedded.start(home / ".bulkdel"):
        result = bulkdel(*GIVEN, "--base-url", sandbox)

    assert result.exit_code == 0
    assert "the token is good" in result.stdout
    assert "3 projects" in result.stdout
    assert "not checked yet" not in result.stderr
    assert "export ACME_TOKEN" not in result.stderr


def test_init_that_cannot_check_says_what_is_missing_and_keeps_the_file(
    bulkdel: Bulkdel, home: Path
) -> None:
    result = bulkdel(*GIVEN)

    assert result.exit_code == 0
    assert "not checked yet: " in result.stderr
    assert (home / "bulkdel.toml").exists()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_commented_out_is_right_as_well(provider: str, tmp_path: Path) -> None:
    base_url = BASE_URLS[provider]
    text = render("acme", provider, base_url=base_url, selected="1", token="file:/run/token")
    settings = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if " = " in line and not line.startswith("# oauth")  # it stands in the token's place
    ]
    whole = tmp_path / "whole.toml"

    whole.write_text("\n".join(["[accounts.acme]", *settings]), encoding="utf-8")

    assert tomllib.loads(text)["accounts"]["acme"]["provider"] == provider
    assert load(whole).account("acme").token == "file:/run/token"


def test_the_login_that_renews_tokens_can_take_the_place_of_the_token(tmp_path: Path) -> None:
    base_url = BASE_URLS["zoho_books"]
    text = render("acme", "zoho_books", base_url=base_url, selected="1", token="env:ACME_TOKEN")
    renewed = tmp_path / "renewed.toml"

    renewed.write_text(text.replace("\ntoken", "\n# token").replace("# oauth", "oauth"))

    oauth = load(renewed).account("acme").oauth
    assert oauth is not None
    assert oauth.refresh_token == "env:ACME_REFRESH"


@pytest.mark.parametrize("name", ["2024", "bulkdel-eu", "acme"])
def test_every_name_has_a_token_that_can_be_referred_to(
    bulkdel: Bulkdel, home: Path, name: str
) -> None:
    result = bulkdel(*GIVEN, "--name", name, "--no-check")

    assert result.exit_code == 0, result.output
    token = load(home / "bulkdel.toml").account(name).token or ""
    assert token.startswith("env:")
    assert f"export {token.removeprefix('env:')}=" in result.stderr


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be the name"):
        answers.name("Acme!")


def a_person(*typed: str) -> tuple[Output, list[str]]:
    """Somebody who answers so, and what is said to them meanwhile."""
    said: list[str] = []
    ready = iter(typed)

    class Person(Output):
        def ask(self, question: str) -> str:
            said.append(question)
            return next(ready)

        def say(self, text: str, **_: object) -> None:
            said.append(text)

    return Person(), said


@pytest.mark.parametrize(
    ("check", "wrong", "right", "why"),
    [
        (answers.provider, "zoho", "truto", "there are: zoho_books, truto"),
        (answers.name, "My Acme", "acme", "cannot be the name"),
        (answers.base_url("zoho_books"), "ftp://x", "https://x.eu/books/v4", "is not an address"),
        (answers.base_url("zoho_books"), "https://x.eu/api", "https://x.eu/v3", "end with one of"),
        (answers.selected("--organization-id"), "", "1", "is needed"),
        (answers.selected("--organization-id"), "1 2", "12", "is no id"),
        (answers.token, "1000.secret", "env:T", "must say where the secret is"),
    ],
)
def test_a_wrong_answer_is_explained_and_asked_for_again(
    check: answers.Check, wrong: str, right: str, why: str
) -> None:
    out, said = a_person(wrong, right)

    answer = Answers(out, asks=True).get(None, "Which", check)

    assert answer == right
    assert said.count("Which:") == 2
    assert why in "\n".join(said)


def test_an_answer_left_blank_is_the_default() -> None:
    out, said = a_person("")

    assert Answers(out, asks=True).get(None, "Name", answers.name, default="acme") == "acme"
    assert said == ["Name [acme]:"]


def test_a_flag_that_is_wrong_is_not_asked_about() -> None:
    out, said = a_person()

    with pytest.raises(InvalidInput, match="cannot be the name"):
        Answers(out, asks=True).get("My Acme", "Name", answers.name)

    assert said == []


def test_what_goes_wrong_after_the_file_is_written_leaves_none(
    bulkdel: Bulkdel, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "taken").write_text("a file where the folder of the database should be")
    monkeypatch.setenv("BULKDEL_DATA_DIR", str(home / "taken"))

    result = bulkdel(*GIVEN)

    assert result.exit_code == 9
    assert not (home / "bulkdel.toml").exists()


def test_a_file_that_cannot_be_written_says_what_to_do(
    bulkdel: Bulkdel, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKDEL_CONFIG", str(home / "not-there" / "bulkdel.toml"))

    result = bulkdel(*GIVEN)

    assert result.exit_code == 2
    assert "or name another file with BULKDEL_CONFIG" in result.stderr


def test_a_database_of_somebody_is_left_to_db_upgrade(
    bulkdel: Bulkdel, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKDEL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    result = bulkdel(*GIVEN, "--no-check")

    assert result.exit_code == 0
    assert "bulkdel db upgrade" in result.stderr
    assert (home / "bulkdel.toml").exists()


def test_db_upgrade_says_from_where_to_where(bulkdel: Bulkdel, home: Path) -> None:
    assert home.is_dir()

    first, second = bulkdel("db", "upgrade", "--json"), bulkdel("db", "upgrade", "--json")

    assert rows(first) == [{"from": None, "to": migrate.head()}]
    assert rows(second) == [{"from": migrate.head(), "to": migrate.head()}]
    assert "is up to date" in bulkdel("db", "upgrade").stdout
    for told in (*rows(first), *rows(second)):
        validate("upgrade", told)
