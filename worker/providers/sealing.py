"""An access token as others may keep it: sealed with a key that every worker can derive.

The key comes from the refresh token and the client's secret, which every worker has and Redis has
not. So nothing that is readable leaves for Redis, and there is no further secret to set. The names
come from the same secrets, by another path of the derivation: they lead back to nothing.
"""

import base64
import binascii
import json
import os
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from worker.ports import TokenBooks
from worker.providers.login import Login

KEY_BYTES: Final = 32
NAME_BYTES: Final = 16
NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """How one login's token is closed, and under which names it is kept."""

    books: TokenBooks
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, login: Login) -> "Seal":
        """The seal of a login; the same in every process."""
        # JSON says where one part ends, so no two logins make the same text.
        parts = [login.token_url, login.client_id, login.client_secret, login.refresh_token]
        whole = json.dumps(parts)
        return cls(
            books=TokenBooks(
                book=_derived(whole, b"bulkdel oauth book", NAME_BYTES).hex(),
                # The provider counts by refresh token, whoever uses it.
                log=_derived(login.refresh_token, b"bulkdel oauth log", NAME_BYTES).hex(),
            ),
            key=_derived(whole, b"bulkdel oauth token", KEY_BYTES),
        )

    def close(self, token: str) -> str:
        """The token, sealed; bound to its book."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self.key).encrypt(nonce, token.encode(), self.books.book.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str) -> str | None:
        """The token again; None if it is not what we sealed."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            nonce, rest = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return AESGCM(self.key).decrypt(nonce, rest, self.books.book.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            return None


def _derived(secret: str, use: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=use).derive(secret.encode())
