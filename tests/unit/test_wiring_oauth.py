"""An account with a refresh token: where its tokens come from, and what unparks it."""

from pathlib import Path

import pytest

from worker.config.accounts import Account, load
from worker.connecting import connection_of, token_source
from worker.domain.errors import CredentialsMissing
from worker.providers.oauth import OAuthTokens
from worker.ratelimit.tokens import RedisTokens
from worker.wiring import secret_digest, secret_of

TOML = """
[accounts.acme]
provider = "zoho_books"
base_url = "https://www.zohoapis.eu/books/v4"
organization_id = "10234695"

[accounts.acme.oauth]
client_id = "env:ACME_ID"
client_secret = "env:ACME_SECRET"
refresh_token = "env:ACME_REFRESH"
"""


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("ACME_ID", "1000.id")
    monkeypatch.setenv("ACME_SECRET", "secret")
    monkeypatch.setenv("ACME_REFRESH", "1000.refresh")
    path = tmp_path / "bulkdel.toml"
    path.write_text(TOML, encoding="utf-8")
    return load(path).account("acme")


def test_its_tokens_come_from_the_data_centre_of_its_address(account: Account) -> None:
    tokens = RedisTokens.at("redis://127.0.0.1:1/0")

    assert isinstance(token_source(account, tokens), OAuthTokens)
    assert isinstance(connection_of(account, tokens).token, OAuthTokens)
    assert account.oauth is not None
    assert account.oauth.token_url == "https://accounts.zoho.eu/oauth/v2/token"


@pytest.mark.parametrize("name", ["ACME_ID", "ACME_SECRET", "ACME_REFRESH"])
def test_replacing_any_part_of_it_is_noticed(
    account: Account, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = secret_digest(account)
    monkeypatch.setenv(name, "another")

    assert before.startswith("sha256:")
    assert secret_digest(account) not in {"", before}


def test_a_missing_part_is_said(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_REFRESH")

    assert not secret_digest(account)
    with pytest.raises(CredentialsMissing, match="ACME_REFRESH"):
        secret_of(account)
