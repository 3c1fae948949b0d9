"""One account's connection to its provider: a call goes out, an answer comes back, always."""

import logging
import re
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import httpx

from worker.domain.calls import Action, Answer, Call
from worker.domain.errors import CredentialsMissing, InvalidInput, Unreachable
from worker.domain.outcomes import Verdict
from worker.providers import verdicts
from worker.providers.answers import MESSAGE_LENGTH, Answers
from worker.providers.base_url import check_base_url
from worker.providers.line import Line, Reply
from worker.providers.reading import one_line
from worker.providers.requests import Connection, Request, build
from worker.providers.through import Through
from worker.providers.tokens import Fixed, NotNow, TokenSource
from worker.providers.wire import NotSent, UnsafeTarget, Wire, WireError

TAKEN: Final = frozenset(
    {Verdict.SEEN, Verdict.DELETED, Verdict.ACCEPTED, Verdict.ABSENT, Verdict.REFUSED}
)
"""What is answered to those alone whose token is good."""
_PRINTABLE: Final = re.compile(r"[!-~]+")
# They write whole URLs and headers into the log.
TALKATIVE: Final = ("httpx", "httpcore", "aiohttp")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A call that may leave."""

    request: Request
    token: str


class HttpProvider:
    """The port Provider over HTTP; what differs between providers is data of the dialect.

    Raises InvalidInput at once if the account's base URL is not one to send a token to.
    `transport` takes the place of the wire in tests.
    """

    def __init__(
        self, connection: Connection, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        check_base_url(connection.base_url)
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._connection = connection
        self._dialect = connection.dialect
        self._answers = Answers(connection)
        source = connection.token
        self._tokens = source if isinstance(source, TokenSource) else Fixed(source)
        self._line: Line = Through(transport) if transport else _wire(connection)
        base = httpx.URL(connection.base_url)
        self._origin = f"{base.scheme}://{base.netloc.decode('ascii')}"
        self._prefix = base.raw_path.decode("ascii").rstrip("/")

    async def perform(self, call: Call) -> Answer:
        """Make one call. Whatever goes wrong is the answer; only a cancellation gets out."""
        start = time.perf_counter()
        ready = await self._ready(call)
        answer = ready if isinstance(ready, Answer) else await self._exchange(call, ready)
        return replace(answer, duration=timedelta(seconds=time.perf_counter() - start))

    async def aclose(self) -> None:
        """Close its connections."""
        await self._tokens.aclose()
        await self._line.aclose()

    async def _ready(self, call: Call) -> _Ready | Answer:
        """Everything that can fail before a byte leaves."""
        try:
            request = build(self._connection, call)
        except InvalidInput as error:
            return _unsent(Verdict.INVALID, "input", error.what)
        except Exception as error:  # noqa: BLE001 - a port never raises; nothing has left yet
            return _unsent(Verdict.INVALID, "input", type(error).__name__)
        try:
            token = await self._tokens.token()
            _check_token(token)
        except NotNow as error:
            answer = _unsent(Verdict.TOKENLESS, "credentials", error.what)
            return replace(answer, retry_after=error.after)
        except CredentialsMissing as error:
            said = f"{error.what}; {error.fix}" if error.fix else error.what
            return _unsent(Verdict.UNAUTHORISED, "credentials", said)
        except Unreachable as error:
            return _unsent(Verdict.NOT_SENT, "credentials", error.what)
        except Exception as error:  # noqa: BLE001 - a port never raises; a person must look
            said = f"the token cannot be had: {type(error).__name__}"
            return _unsent(Verdict.UNAUTHORISED, "credentials", said)
        return _Ready(request=request, token=token)

    async def _exchange(self, call: Call, ready: _Ready) -> Answer:
        try:
            reply = await self._send(ready)
            answer = self._answers.understand(call, reply, secret=ready.token, now=time.time())
            return await self._told(ready.token, answer)
        except NotSent as error:
            return self._unanswered(call.action, verdicts.NOT_SENT, error.reason, str(error))
        except (UnsafeTarget, httpx.InvalidURL) as error:
            return self._unanswered(call.action, verdicts.UNSAFE, verdicts.UNSAFE, str(error))
        # The wire alone may say that nothing left; of anything else it is not known.
        except Exception as error:  # noqa: BLE001 - a port never raises
            reason = error.reason if isinstance(error, WireError) else type(error).__name__
            said = str(error) if isinstance(error, WireError) else f"lost ({reason})"
            return self._unanswered(call.action, verdicts.LOST, reason, said)

    async def _told(self, token: str, answer: Answer) -> Answer:
        """Say what became of the token. One that had ended is no reason to stop the account."""
        if answer.verdict in TAKEN:
            await self._tokens.accept(token)
        if answer.verdict is not Verdict.UNAUTHORISED:
            return answer
        if not await self._tokens.reject(token, answer.provider_code):
            return answer
        return replace(answer, verdict=Verdict.TOKENLESS, retry_after=None)

    async def _send(self, ready: _Ready) -> Reply:
        headers = (
            ("Authorization", self._dialect.authorization.format(token=ready.token)),
            ("Accept", "application/json"),
        )
        target = self._prefix + ready.request.target
        return await self._line.exchange(ready.request.method, self._origin, target, headers)

    def _unanswered(self, action: Action, code: str, reason: str, said: str) -> Answer:
        verdict = verdicts.classify(self._dialect.rows, action, verdicts.NO_ANSWER, code)
        return Answer(verdict=verdict, error_class=reason, message=one_line(said, MESSAGE_LENGTH))


def _wire(connection: Connection) -> Wire:
    return Wire(connections=connection.in_flight, deadline=connection.deadline)


def _unsent(verdict: Verdict, error_class: str, said: str) -> Answer:
    return Answer(verdict=verdict, error_class=error_class, message=one_line(said, MESSAGE_LENGTH))


def _check_token(token: str) -> None:
    """A header takes printable ASCII; anything else would be an error that repeats the token."""
    if not _PRINTABLE.fullmatch(token):
        raise CredentialsMissing(
            "the token is empty or holds what no header can carry",
            fix="look for spaces, line ends and other odd characters in it",
        )
