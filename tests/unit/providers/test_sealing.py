"""A sealed token can be opened by whoever has the same secrets, and by nobody else."""

from dataclasses import replace

import pytest

from worker.providers.login import Login
from worker.providers.sealing import Seal

LOGIN = Login(
    token_url="https://accounts.zoho.com/oauth/v2/token",
    client_id="1000.client",
    client_secret="a secret",
    refresh_token="1000.refresh",
)
TOKEN = "1000.canary.token"


def test_every_process_with_the_secrets_opens_it() -> None:
    sealed = Seal.of(LOGIN).close(TOKEN)

    assert Seal.of(replace(LOGIN)).open(sealed) == TOKEN
    assert TOKEN not in sealed
    assert Seal.of(LOGIN).close(TOKEN) != sealed


@pytest.mark.parametrize(
    "other",
    [
        replace(LOGIN, client_secret="another"),
        replace(LOGIN, refresh_token="another"),
        replace(LOGIN, client_id="another"),
        replace(LOGIN, token_url="https://accounts.zoho.eu/oauth/v2/token"),
    ],
)
def test_nobody_else_opens_it(other: Login) -> None:
    seal, stranger = Seal.of(LOGIN), Seal.of(other)

    assert stranger.open(seal.close(TOKEN)) is None
    assert stranger.books.book != seal.books.book


def test_a_token_of_one_book_is_none_in_another() -> None:
    seal = Seal.of(LOGIN)
    elsewhere = replace(seal, books=replace(seal.books, book="another"))

    assert elsewhere.open(seal.close(TOKEN)) is None


@pytest.mark.parametrize("sealed", ["", "x", "AAAA", "not base64 \u00fc", "A" * 64])
def test_rubbish_is_no_token(sealed: str) -> None:
    assert Seal.of(LOGIN).open(sealed) is None


def test_logins_that_share_a_refresh_token_share_its_log() -> None:
    one, other = Seal.of(LOGIN), Seal.of(replace(LOGIN, client_secret="another"))

    assert one.books.log == other.books.log


def test_nothing_shows_the_key_or_a_secret() -> None:
    shown = repr(Seal.of(LOGIN))

    assert "key" not in shown
    assert "1000.refresh" not in shown
