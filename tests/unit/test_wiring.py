"""What of an account's configuration reaches its connection and its work."""

from pathlib import Path

import pytest

from worker.config.accounts import Account, Config, load
from worker.connecting import connection_of
from worker.domain.catalogue import is_id
from worker.domain.errors import InvalidInput
from worker.providers.registry import dialect_of
from worker.ratelimit.tokens import RedisTokens
from worker.wiring import account_facts, checked_dialect

ZOHO = """
[accounts.acme]
provider = "zoho_books"
base_url = "http://127.0.0.1:1/books/{dialect}"
organization_id = "10234695"
token = "env:ACME_TOKEN"
bulk_delete = {{ enabled = {enabled}, parameter = "ids", size = 40 }}
"""
TRUTO = """
[accounts.acme]
provider = "truto"
base_url = "http://127.0.0.1:1"
dialect = "capsule"
integrated_account_id = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
token = "env:ACME_TOKEN"
options = {{ {options} }}
"""
TOKENS = RedisTokens.at("redis://127.0.0.1:1/0")


def config_of(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "bulkdel.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def account_of(tmp_path: Path, text: str) -> Account:
    return config_of(tmp_path, text).account("acme")


def test_a_bulk_delete_that_is_on_has_the_settings_of_the_account(tmp_path: Path) -> None:
    config = config_of(tmp_path, ZOHO.format(dialect="v4", enabled="true"))

    bulk = connection_of(config.account("acme"), TOKENS).bulk

    assert bulk is not None
    assert (bulk.parameter, bulk.size) == ("ids", 40)
    assert account_facts(config.account("acme"), config).bulk_size == 40


def test_a_bulk_delete_that_is_off_is_none(tmp_path: Path) -> None:
    config = config_of(tmp_path, ZOHO.format(dialect="v4", enabled="false"))

    assert connection_of(config.account("acme"), TOKENS).bulk is None
    assert account_facts(config.account("acme"), config).bulk_size == 0


def test_a_bulk_delete_that_there_is_not_is_refused(tmp_path: Path) -> None:
    account = account_of(tmp_path, ZOHO.format(dialect="v3", enabled="true"))

    with pytest.raises(InvalidInput, match="v3 has no bulk delete"):
        connection_of(account, TOKENS)


def test_an_integrated_account_is_named_in_every_call(tmp_path: Path) -> None:
    connection = connection_of(account_of(tmp_path, TRUTO.format(options="")), TOKENS)

    assert connection.selector_value == "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
    assert connection.dialect.name == "capsule"


def test_the_options_of_an_account_are_checked_and_kept(tmp_path: Path) -> None:
    options = 'remote_query = { embed = "team" }, truto_ignore_remote_data = true'
    account = account_of(tmp_path, TRUTO.format(options=options))

    assert connection_of(account, TOKENS).options == (
        ("truto_ignore_remote_data", "true"),
        ("remote_query.embed", "team"),
    )


def test_an_option_that_there_is_not_names_those_there_are(tmp_path: Path) -> None:
    account = account_of(tmp_path, TRUTO.format(options="truto_response = true"))

    with pytest.raises(InvalidInput, match="truto_response") as caught:
        connection_of(account, TOKENS)

    assert "truto_response_format" in str(caught.value.fix)


@pytest.mark.parametrize("number", ["042", "0", "42,43", "id-42", "４２"])  # noqa: RUF001  digits, but not ours
def test_a_protected_id_that_no_object_can_have_is_refused_not_ignored(
    tmp_path: Path, number: str
) -> None:
    text = ZOHO.format(dialect="v4", enabled="false") + f'protect = {{ ids = ["42", "{number}"] }}'
    config = config_of(tmp_path, text)

    with pytest.raises(InvalidInput, match="would protect nothing"):
        account_facts(config.account("acme"), config)
    with pytest.raises(InvalidInput, match="would protect nothing"):
        checked_dialect(config.account("acme"))


@pytest.mark.parametrize("dialect", ["v3", "v4"])
def test_one_id_of_zoho_has_one_writing(dialect: str) -> None:
    catalogue = dialect_of("zoho_books", dialect).catalogue

    for kind in (catalogue.project, *catalogue.children):
        assert is_id(kind, "42")
        assert not is_id(kind, "042")
        assert not is_id(kind, "0")


@pytest.mark.parametrize(
    "text",
    [ZOHO.format(dialect="v3", enabled="true"), TRUTO.format(options="truto_response = true")],
    ids=["bulk", "options"],
)
def test_settings_that_no_call_could_be_made_with_are_found_before_a_job_is_kept(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(InvalidInput):
        checked_dialect(account_of(tmp_path, text))
