"""Every data centre has its own token server."""

import pytest

from worker.config.centres import token_url_of, with_token_url


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://www.zohoapis.com/books/v4", "accounts.zoho.com"),
        ("https://zohoapis.eu/books/v3", "accounts.zoho.eu"),
        ("https://www.zohoapis.in/books/v3", "accounts.zoho.in"),
        ("https://www.zohoapis.com.au/books/v3", "accounts.zoho.com.au"),
        ("https://www.zohoapis.jp/books/v3", "accounts.zoho.jp"),
        ("https://WWW.ZOHOAPIS.CA/books/v3", "accounts.zohocloud.ca"),
        ("https://www.zohoapis.com.cn/books/v3", "accounts.zoho.com.cn"),
        ("https://www.zohoapis.sa/books/v3", "accounts.zoho.sa"),
    ],
)
def test_a_data_centre_has_its_token_host(base_url: str, host: str) -> None:
    assert token_url_of(base_url) == f"https://{host}/oauth/v2/token"


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8080/books/v4",
        "https://zohoapis.com.evil.example/books/v4",
        "https://evil-zohoapis.com/books/v4",
        "https://www.zohoapis.example/books/v4",
        "https://[::1/books",
    ],
)
def test_secrets_are_sent_to_no_host_that_is_not_in_the_table(base_url: str) -> None:
    assert not token_url_of(base_url)


def test_what_is_written_stands() -> None:
    url = "https://www.zohoapis.eu/books/v4"

    assert with_token_url({"client_id": "env:A"}, url) == {
        "oauth": {"client_id": "env:A", "token_url": "https://accounts.zoho.eu/oauth/v2/token"}
    }
    assert not with_token_url({"token_url": "https://proxy.example"}, url)
    assert not with_token_url({"client_id": "env:A"}, "http://127.0.0.1:1/books/v4")
    assert not with_token_url(None, url)
