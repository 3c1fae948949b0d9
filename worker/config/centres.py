"""Zoho's data centres: who gives access tokens for an API address."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

API: Final = "zohoapis."
PATH: Final = "/oauth/v2/token"

ACCOUNTS: Mapping[str, str] = {
    "com": "accounts.zoho.com",
    "eu": "accounts.zoho.eu",
    "in": "accounts.zoho.in",
    "com.au": "accounts.zoho.com.au",
    "jp": "accounts.zoho.jp",
    "ca": "accounts.zohocloud.ca",
    "com.cn": "accounts.zoho.com.cn",
    "sa": "accounts.zoho.sa",
}
"""The token host by what follows `zohoapis.` in the address of the API."""


def token_url_of(base_url: str) -> str:
    """Where the data centre of an API address gives access tokens; empty if it is not known."""
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return ""
    domain = host.removeprefix("www.")
    there = ACCOUNTS.get(domain.removeprefix(API)) if domain.startswith(API) else None
    return f"https://{there}{PATH}" if there else ""


def with_token_url(oauth: object, base_url: str) -> dict[str, Any]:
    """The key `oauth` with the token_url of the data centre; nothing if there is none to add."""
    if not isinstance(oauth, Mapping) or "token_url" in oauth:
        return {}
    url = token_url_of(base_url)
    return {"oauth": {**oauth, "token_url": url}} if url else {}
