"""Texts of providers without the secrets they repeat: of the call, and of calls behind it."""

import re
from functools import lru_cache
from typing import Final

HIDDEN: Final = "[secret]"

# What follows such a word is a secret, whoever's it is. The words themselves stay readable.
_SCHEMES = re.compile(
    r"\b(?:(bearer|zoho-oauthtoken)\s+[^\s\"',;}]+|(basic)\s+(?=\S*[0-9=])[A-Za-z0-9+/=_-]{8,})",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b([\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key|authorization|cookie|signature)[\w-]*)"
    r"(\\*[\"']?\s*[:=]\s*\\*[\"']?)(?!\[secret\]|bearer\b|basic\b|zoho-oauthtoken\b)[^\s\"',;&}\\]+",
    re.IGNORECASE,
)
_IN_URLS = re.compile(r"(https?://)[^/\s@]+@", re.IGNORECASE)


@lru_cache(maxsize=1_000)  # providers say the same few sentences again and again
def scrub(text: str) -> str:
    """The text with every value that looks like a credential hidden."""
    said = _SCHEMES.sub(lambda found: f"{found[1] or found[2]} {HIDDEN}", text)
    said = _NAMED.sub(rf"\1\2{HIDDEN}", said)
    return _IN_URLS.sub(rf"\1{HIDDEN}@", said)
