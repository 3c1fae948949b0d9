"""One access token for all workers: lent out while it is good, and refreshed by one at a time."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Protocol

from worker.domain.errors import CredentialsMissing, Unreachable
from worker.ports import RefreshRules, SharedToken, Standing, TokenStore, Turn
from worker.providers.login import Login
from worker.providers.sealing import Seal
from worker.providers.token_server import (
    DEADLINE,
    HOLDS,
    NEEDS_A_PERSON,
    Denied,
    Granted,
    Why,
)
from worker.providers.tokens import NotNow

RULES: Final = RefreshRules(
    most=9,  # the provider allows 10: one is left for a person who consents meanwhile
    window=timedelta(minutes=10),
    lease=DEADLINE + timedelta(seconds=10),
)
EARLY: Final = timedelta(minutes=5)
EARLY_SHARE: Final = 0.1
"""A token is refreshed so long before its end, or this share of its life, if that is less."""
PATIENCE: Final = timedelta(seconds=3)
"""How long a call waits for a refresh. Its permit is out meanwhile, so it is short."""
LOOK_AGAIN: Final = timedelta(milliseconds=100)
SOON: Final = timedelta(seconds=1)
NO_BOOKS: Final = timedelta(seconds=5)
NO_RIGHTS: Final = frozenset({"57"})
"""Codes that refuse what the token may do, so that another token would not help."""

SENTENCES: Mapping[Why, str] = {
    Why.DEAD: "the refresh token is dead",
    Why.CLIENT: "the token server does not know this client",
    Why.REFUSED: "the token server refuses to give an access token",
    Why.TOO_OFTEN: "no access token: the token server was asked too often",
    Why.DOWN: "no access token: the token server does not answer",
    Why.UNSENT: "no access token: the token server cannot be reached",
}
FIXES: Mapping[Why, str] = {
    Why.DEAD: "consent again, and put the new refresh token in {where}",
    Why.CLIENT: "check client_id and client_secret, and that token_url is of their data centre",
    Why.REFUSED: "check the client in the provider's console; if in doubt consent again, and "
    "put the new refresh token in {where}",
}


class Asks(Protocol):
    """What a token server is, seen from here."""

    async def refresh(self, login: Login) -> Granted | Denied:
        """Ask once for an access token. Raises nothing."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A token as this process keeps it; the times are those of its own clock."""

    id: str
    token: str = field(repr=False)
    fresh_until: float
    is_suspect: bool


_Refreshed = _Held | NotNow | CredentialsMissing


class OAuthTokens:
    """A TokenSource. `where` names the place of the refresh token, for people.

    A refresh runs beside the calls: a call that cannot wait for it is told so, and the token is
    there for the next one. While a token is good, calls go on with it, whatever a refresh says.
    """

    def __init__(
        self,
        login: Callable[[], Login],
        store: TokenStore,
        server: Asks,
        *,
        where: str,
        rules: RefreshRules = RULES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_login = login
        self._store = store
        self._server = server
        self._where = where
        self._rules = rules
        self._clock = clock
        self._login: Login | None = None
        self._seal: Seal | None = None
        self._held: _Held | None = None
        self._refreshing: asyncio.Task[_Refreshed] | None = None
        self._tasks: set[asyncio.Task[_Refreshed]] = set()

    async def token(self) -> str:
        """The access token; a new one if there is none, or if this one is old."""
        login, seal = self._who()
        held = self._held
        if held is None or self._clock() >= held.fresh_until:
            held = self._held = await self._shared(seal)
        if held is None or self._clock() >= held.fresh_until:
            held = await self._renewed(login, seal, held)
        return held.token

    async def accept(self, token: str) -> None:
        """A call went well: this token is beyond suspicion, for every process."""
        held, seal = self._held, self._seal
        if held is None or seal is None or held.token != token or not held.is_suspect:
            return
        self._held = replace(held, is_suspect=False)
        try:
            await self._store.accept(seal.books, held.id)
        except Unreachable:
            self._held = held  # the next call that goes well says it again

    async def reject(self, token: str, code: str) -> bool:
        """A call was refused: whether another token may help. Only the shared one is dropped.

        Not if the token itself is good and has not the right, if it is a new one that replaced
        a refused one, or if tokens were refused again and again.
        """
        held, seal = self._held, self._seal
        if code in NO_RIGHTS:
            return False
        if held is None or seal is None or held.token != token:
            return True  # it was replaced meanwhile
        self._held = None
        try:
            return await self._store.forget(seal.books, held.id)
        except Unreachable:
            return True  # no call goes out before Redis is back

    async def aclose(self) -> None:
        """End a refresh that is under way, and let go of the connections."""
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=PATIENCE.total_seconds())
            for task in running:
                task.cancel()
        await self._server.aclose()

    def _who(self) -> tuple[Login, Seal]:
        """The login as it is now. A replaced secret makes it another one, with nothing held."""
        login = self._read_login()
        if self._seal is None or login != self._login:
            self._login, self._seal = login, Seal.of(login)
            self._held = self._refreshing = None
        return login, self._seal

    async def _shared(self, seal: Seal) -> _Held | None:
        """The token all processes share; what cannot be opened is none."""
        asked_at = self._clock()
        try:
            shared = await self._store.read(seal.books)
        except Unreachable as error:
            raise NotNow(error.what, after=NO_BOOKS) from error
        token = None if shared is None else seal.open(shared.sealed)
        if shared is None or token is None:
            return None
        return _held(shared, token, asked_at)

    async def _renewed(self, login: Login, seal: Seal, held: _Held | None) -> _Held:
        """The fresh token, or the one that is still good while a refresh is under way."""
        task = self._refreshing
        if task is None or task.done():
            task = self._refreshing = asyncio.create_task(self._refresh(login, seal))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if held is not None:
            return held
        await asyncio.wait({task}, timeout=PATIENCE.total_seconds())
        if not task.done():
            raise NotNow("the token server takes its time", after=SOON)
        match task.result():
            case _Held() as fresh:
                self._held = fresh
                return fresh
            case error:
                raise error

    async def _refresh(self, login: Login, seal: Seal) -> _Refreshed:
        """Refresh if it is our turn, or wait for whoever does. What goes wrong is the result."""
        owner = secrets.token_hex(8)
        try:
            for _ in range(PATIENCE // LOOK_AGAIN):
                turn = await self._store.begin(seal.books, owner, self._rules)
                if turn.standing is Standing.YOURS:
                    return await self._ask(login, seal, owner)
                if turn.standing is not Standing.BUSY:
                    return await self._told(turn, seal)
                await asyncio.sleep(min(LOOK_AGAIN, turn.wait).total_seconds())
        except Unreachable as error:
            return NotNow(error.what, after=NO_BOOKS)
        except NotNow as error:
            return error
        return NotNow("another process asks for the access token", after=SOON)

    async def _told(self, turn: Turn, seal: Seal) -> _Refreshed:
        match turn.standing:
            case Standing.DONE:
                held = await self._shared(seal)
                return held or NotNow("the access token cannot be read", after=NO_BOOKS)
            case Standing.FULL:
                return NotNow(self._full(), after=turn.wait)
            case _:
                return self._trouble(turn)

    async def _ask(self, login: Login, seal: Seal, owner: str) -> _Refreshed:
        asked_at = self._clock()
        answer = await self._server.refresh(login)
        if isinstance(answer, Denied):
            hold = replace(HOLDS[answer.why], said=answer.said)
            wait = await self._store.fail(seal.books, owner, hold)
            held = Turn(standing=Standing.HELD, wait=wait, why=answer.why, said=answer.said)
            return self._trouble(held)
        # It lives from some moment after it was asked for.
        good_for = answer.lifetime - timedelta(seconds=self._clock() - asked_at)
        shared = SharedToken(
            id=secrets.token_hex(8),
            sealed=seal.close(answer.token),
            fresh_for=max(good_for - early(answer.lifetime), timedelta(0)),
            good_for=max(good_for, timedelta(0)),
        )
        await self._store.finish(seal.books, owner, shared)
        # Read, because the books know whether it is under suspicion, and whether it is ours.
        held_now = await self._shared(seal)
        return held_now or NotNow("the access token has ended already", after=SOON)

    def _trouble(self, turn: Turn) -> NotNow | CredentialsMissing:
        """A refresh that failed, for people."""
        why = Why(turn.why)
        said = f"{SENTENCES[why]} ({turn.said})" if turn.said else SENTENCES[why]
        if why in NEEDS_A_PERSON:
            return CredentialsMissing(said, fix=FIXES[why].format(where=self._where))
        return NotNow(said, after=max(turn.wait, SOON))

    def _full(self) -> str:
        minutes = self._rules.window // timedelta(minutes=1)
        return f"no access token: {self._rules.most} refreshes in {minutes} min are all we may"


def early(lifetime: timedelta) -> timedelta:
    """How long before its end a token is refreshed."""
    return min(EARLY, lifetime * EARLY_SHARE)


def _held(shared: SharedToken, token: str, at: float) -> _Held:
    return _Held(
        id=shared.id,
        token=token,
        fresh_until=at + shared.fresh_for.total_seconds(),
        is_suspect=shared.is_suspect,
    )
