"""The port of the shared access token: one per login for all processes."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBooks:
    """Under which names the shared facts of one login are kept; they lead back to no secret."""

    book: str  # the access token, and why there is none
    log: str  # the refreshes; logins that share a refresh token share it


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedToken:
    """An access token as all processes share it: sealed, and with its time from now."""

    id: str
    sealed: str
    fresh_for: timedelta  # after that a new one is asked for, while this one is still good
    good_for: timedelta
    is_suspect: bool = False  # it replaced a refused one, and no call has gone well with it yet


class Standing(StrEnum):
    """Whether a process may ask for a new access token now."""

    YOURS = "yours"  # go; the refresh is in the log, and nobody else asks meanwhile
    DONE = "done"  # there is a fresh one: read it
    BUSY = "busy"  # another process asks
    FULL = "full"  # the refreshes of the window are used
    HELD = "held"  # the last one failed, and its pause is not over


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The answer to "may I refresh": with `wait` until it makes sense to ask again."""

    standing: Standing
    wait: timedelta = timedelta(0)
    why: str = ""  # of a hold
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A pause after a refresh that failed; it doubles with each failure in a row."""

    why: str
    first: timedelta
    longest: timedelta
    counts: bool = True  # False: the server was never asked
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRules:
    """How often a refresh token may be used, and how long one refresh may take."""

    most: int
    window: timedelta
    lease: timedelta


class TokenStore(Protocol):
    """One access token per login for all processes, by one clock. Each method is atomic.

    Every method raises Unreachable if the books cannot be asked.
    """

    async def read(self, books: TokenBooks) -> SharedToken | None:
        """The token that is good now, if there is one."""
        ...

    async def begin(self, books: TokenBooks, owner: str, rules: RefreshRules) -> Turn:
        """Ask for the right to refresh; one that is never ended ends with its lease."""
        ...

    async def finish(self, books: TokenBooks, owner: str, token: SharedToken) -> None:
        """Share a new token, and date the refresh now."""
        ...

    async def fail(self, books: TokenBooks, owner: str, hold: Hold) -> timedelta:
        """Say that there is no new token; returns how long nobody asks again."""
        ...

    async def forget(self, books: TokenBooks, token_id: str) -> bool:
        """Drop a refused token if it is still the shared one; whether another one may help."""
        ...

    async def accept(self, books: TokenBooks, token_id: str) -> None:
        """Write down that the shared token is good."""
        ...

    async def aclose(self) -> None:
        """Let go of the connections."""
        ...
