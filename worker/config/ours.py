"""What an account of a provider of ours must say, may say, and says by default."""

from collections.abc import Mapping
from typing import Any

from worker.config.centres import with_token_url
from worker.config.values import is_loopback

ZOHO_BOOKS = "zoho_books"
TRUTO = "truto"

ORGANIZATION_PARAM = {"v4": "organization-id", "v3": "organization_id"}

NEEDED = {ZOHO_BOOKS: ("organization_id", "dialect"), TRUTO: ("integrated_account_id",)}

OWNER_BY_KEY = {
    "organization_id": ZOHO_BOOKS,
    "organization_param": ZOHO_BOOKS,
    "oauth": ZOHO_BOOKS,
    "bulk_delete": ZOHO_BOOKS,
    "lists_comments": ZOHO_BOOKS,
    "integrated_account_id": TRUTO,
    "options": TRUTO,
}
"""Keys that one of our providers alone has; those of installed packages may use them all."""

LIMITS = {ZOHO_BOOKS: {}, TRUTO: {"windows": [[50, "10s"]], "per_day": 0}}
"""Limits that are not those of Zoho's free plan; Truto's is for one connected account."""


def from_base_url(base_url: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """What the address of an account says by itself, where the account does not say it."""
    read = with_token_url(written.get("oauth"), base_url)
    if "grace" not in written and is_loopback(base_url):
        read["grace"] = {"wait": "0s"}
    if written["provider"] == ZOHO_BOOKS:
        last = base_url.rstrip("/").rpartition("/")[2]
        read["dialect"] = written.get("dialect", last if last in ORGANIZATION_PARAM else "")
        if read["dialect"] in ORGANIZATION_PARAM and "organization_param" not in written:
            read["organization_param"] = ORGANIZATION_PARAM[read["dialect"]]
    return read
