"""Which base URL is safe to send a token to."""

import ipaddress

import httpx

from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput


def check_base_url(base_url: str) -> None:
    """Raise InvalidInput unless requests may be built on it and secrets sent to it."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"not a URL: {shown(base_url)}", fix="set base_url") from error
    if url.userinfo or "?" in base_url or "#" in base_url:
        raise InvalidInput(
            "a base_url has no user, no query and no fragment",
            fix="secrets go by reference: token = env:NAME or file:PATH",
        )
    safe = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host))
    if not safe or not url.host:
        raise InvalidInput(
            f"not safe to send a token to: {shown(base_url)}",
            fix="use https://… (http:// is for loopback only)",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
