"""Where the token of a call comes from: a fixed one, or one that is lent out and ends."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, runtime_checkable


class NotNow(Exception):
    """There is no access token just now, and nobody has to do anything but wait."""

    def __init__(self, what: str, *, after: timedelta) -> None:
        super().__init__(what)
        self.what = what
        self.after = after


@runtime_checkable
class TokenSource(Protocol):
    """Gives the token of each call, and is told what the provider said to it."""

    async def token(self) -> str:
        """The token for one call.

        Raises NotNow while there is none, and CredentialsMissing if a person must help.
        """
        ...

    async def accept(self, token: str) -> None:
        """Hear that the provider took this token."""
        ...

    async def reject(self, token: str, code: str) -> bool:
        """Hear that the provider refused this token; whether another one may help."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class Fixed:
    """A token that is what it is; only a person can replace it."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    async def token(self) -> str:
        """The token as it is now; raises what reading it raises."""
        return self._read()

    async def accept(self, _token: str) -> None:
        """Nothing comes of it."""

    async def reject(self, _token: str, _code: str) -> bool:
        """No other one is to be had."""
        return False

    async def aclose(self) -> None:
        """Nothing is open."""
