"""What a refresh takes: a client, its secret, and the refresh token."""

from dataclasses import dataclass, field
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a refresh takes. No secret is ever shown by its repr."""

    token_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)

    def form(self) -> bytes:
        """The body of the refresh."""
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": self.refresh_token,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        return urlencode(fields).encode()
