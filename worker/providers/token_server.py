"""One refresh: what is asked of a token server, and what its answer means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

import httpx

from worker.ports import Hold
from worker.providers.login import Login
from worker.providers.reading import Unreadable, one_line, parse
from worker.providers.wire import NotSent, UnsafeTarget, Wire, WireError, raw_request

DEADLINE: Final = timedelta(seconds=10)
LIFETIME: Final = timedelta(hours=1)
"""How long a token lives at most, and if nothing is said of it."""
SERVER_ERRORS: Final = 500
TOO_MANY: Final = 429
TIMED_OUT: Final = 408
WORD_LENGTH: Final = 80


class Why(StrEnum):
    """Why there is no access token."""

    DEAD = "dead"  # the refresh token is no good any more: consent again
    CLIENT = "client"  # nobody knows this client, or its secret is another
    REFUSED = "refused"  # refused for a reason we have no word for: a person must look
    TOO_OFTEN = "too_often"  # too many refreshes: wait
    DOWN = "down"  # asked, and not understood: an outage, a timeout, rubbish
    UNSENT = "unsent"  # nobody was asked: no connection came about


NEEDS_A_PERSON: Final = frozenset({Why.DEAD, Why.CLIENT, Why.REFUSED})

HOLDS: Mapping[Why, Hold] = {
    # A replaced secret has books of its own, so this only keeps us from asking in vain.
    Why.DEAD: Hold(why=Why.DEAD, first=timedelta(minutes=1), longest=timedelta(minutes=1)),
    Why.CLIENT: Hold(why=Why.CLIENT, first=timedelta(minutes=1), longest=timedelta(minutes=1)),
    Why.REFUSED: Hold(why=Why.REFUSED, first=timedelta(minutes=1), longest=timedelta(minutes=1)),
    Why.TOO_OFTEN: Hold(
        why=Why.TOO_OFTEN, first=timedelta(minutes=2), longest=timedelta(minutes=2)
    ),
    # Nine such waits are longer than ten minutes, so an outage never uses up the refreshes.
    Why.DOWN: Hold(why=Why.DOWN, first=timedelta(seconds=5), longest=timedelta(seconds=160)),
    Why.UNSENT: Hold(
        why=Why.UNSENT, first=timedelta(seconds=1), longest=timedelta(seconds=30), counts=False
    ),
}
"""How long nobody asks again; it doubles from `first` with each failure in a row."""

WORDS: Mapping[str, Why] = {
    "invalid_code": Why.DEAD,
    "invalid_grant": Why.DEAD,
    "invalid_client": Why.CLIENT,
    "invalid_client_secret": Why.CLIENT,
    "access denied": Why.TOO_OFTEN,
    "access_denied": Why.TOO_OFTEN,
}
"""What the server says in `error`, in lower case; the HTTP status may well be 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A new access token."""

    token: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No token; `said` is the server's own word or the wire's, fit for people."""

    why: Why
    said: str


def answer_of(status: int, content: bytes) -> Granted | Denied:
    """What an answer means. Nothing in it is trusted to be right, and nothing secret is kept."""
    try:
        body = parse(content)
    except Unreadable:
        return Denied(why=Why.TOO_OFTEN if status == TOO_MANY else Why.DOWN, said=f"HTTP {status}")
    error, token = body.get("error"), body.get("access_token")
    if isinstance(error, str) and error:
        said = one_line(error, WORD_LENGTH)
        return Denied(why=_why(status, error), said=said)
    good = isinstance(token, str) and token and all("!" <= char <= "~" for char in token)
    if status == httpx.codes.OK and isinstance(token, str) and good:
        return Granted(token=token, lifetime=_lifetime(body))
    return Denied(why=_why(status, ""), said=f"HTTP {status} without a token")


def _why(status: int, error: str) -> Why:
    known = WORDS.get(error.strip().lower())
    if status >= SERVER_ERRORS:
        return Why.DOWN
    if known is not None:
        return known
    if status == TOO_MANY:
        return Why.TOO_OFTEN
    is_refusal = error and httpx.codes.is_client_error(status) and status != TIMED_OUT
    return Why.REFUSED if is_refusal else Why.DOWN


def _lifetime(body: Mapping[str, object]) -> timedelta:
    # Where both are there, `expires_in` is in milliseconds.
    seconds = body.get("expires_in_sec", body.get("expires_in"))
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        return LIFETIME
    return timedelta(seconds=min(seconds, LIFETIME.total_seconds()))


class TokenServer:
    """Asks for access tokens over the same wire as every other call."""

    def __init__(self, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        wire = transport or Wire(connections=2, deadline=DEADLINE)
        self._client = httpx.AsyncClient(transport=wire, trust_env=False, follow_redirects=False)

    async def refresh(self, login: Login) -> Granted | Denied:
        """Ask once. Whatever goes wrong is the answer."""
        url = httpx.URL(login.token_url)
        origin = str(url.copy_with(raw_path=b"/"))
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        request = raw_request("POST", origin, url.path, headers=headers, content=login.form())
        try:
            response = await self._client.send(request)
        except (NotSent, UnsafeTarget) as error:
            reason = error.reason if isinstance(error, NotSent) else "unsafe"
            return Denied(why=Why.UNSENT, said=reason)
        except Exception as error:  # noqa: BLE001 - a port never raises; it may have been granted
            reason = error.reason if isinstance(error, WireError) else type(error).__name__
            return Denied(why=Why.DOWN, said=reason)
        return answer_of(response.status_code, response.content)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()
