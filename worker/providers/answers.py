"""What came back over the wire, understood: the verdict, what is kept of it, what it shows."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Final

from worker.domain.calls import Action, Answer, Call
from worker.domain.limits import Quota
from worker.domain.options import Options, each_value, merge
from worker.domain.outcomes import Verdict
from worker.providers import verdicts
from worker.providers.bulk import by_target, left_alone
from worker.providers.dialect import Bulk, Dialect, Envelope
from worker.providers.line import Reply
from worker.providers.reading import Unreadable, one_line, parse, read
from worker.providers.requests import Connection, is_bulk
from worker.providers.scrubbing import scrub

MESSAGE_LENGTH: Final = 300
REQUEST_ID_LENGTH: Final = 100
LONGEST_RESET: Final = timedelta(days=1)
"""Beyond it a header names no seconds, but perhaps an instant: nobody says which it is."""
KEPT: Final = 256
"""Answers of which it is kept what they mean ..."""
SHORT: Final = 512
"""... each of so many bytes at most: what is longer shows objects, and is new each time."""
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
ANOTHER: Final = "it names another id than the one that was to be deleted"
UNCLEAR: Final = frozenset({Verdict.AMBIGUOUS, Verdict.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What an answer says by itself, whatever it was asked about."""

    body: Mapping[str, object]  # shared by all who read it
    envelope: Envelope
    row: verdicts.Row


class Answers:
    """Understands what one account's calls come to.

    A provider says the same few things of all deletions, so what those mean is kept.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept = lru_cache(maxsize=KEPT)(partial(_meaning, connection))

    def understand(self, call: Call, reply: Reply, *, secret: str, now: float) -> Answer:
        """The answer to a call; `secret` is the token it carried, `now` our clock's POSIX time."""
        meant = self._kept if len(reply.content) <= SHORT else partial(_meaning, self._connection)
        content_type = reply.headers.get("content-type", "")
        kind = call.targets[0].kind if call.targets else ""
        words = (call.action, is_bulk(call), kind, call.options)
        meaning = meant(words, reply.status_code, content_type, reply.content)
        answer = _answer(self._connection.dialect, meaning, reply, secret, now)
        if self._connection.bulk is not None and is_bulk(call):
            return _told_apart(self._connection.bulk, call, meaning.body, answer, secret)
        if answer.verdict is Verdict.SEEN:
            return _read(self._connection.dialect, call, meaning.body, answer)
        if answer.verdict is Verdict.DELETED and _is_of_another(meaning.envelope, call):
            return replace(answer, verdict=Verdict.AMBIGUOUS, message=ANOTHER)
        return answer


def _is_of_another(envelope: Envelope, call: Call) -> bool:
    """Whether a deletion is confirmed of another id: that proves nothing for the one asked."""
    return bool(envelope.names) and envelope.names != call.targets[0].external_id


_Words = tuple[Action, bool, str, Options]  # of the call: what else its answer goes by


def _meaning(
    connection: Connection, words: _Words, status: int, content_type: str, content: bytes
) -> _Meaning:
    action, goes_together, kind, options = words
    dialect, bulk = connection.dialect, connection.bulk if goes_together else None
    body, envelope = _opened(dialect, status, content_type, content)
    asked = frozenset(each_value(merge(connection.options, options)))
    about = verdicts.About(kind=kind, said=envelope.message, asked=asked)
    rows = bulk.rows if bulk else dialect.rows
    row = verdicts.row_of(rows, action, status, envelope.key, about)
    return _Meaning(body, envelope, row)


def _answer(dialect: Dialect, meaning: _Meaning, reply: Reply, secret: str, now: float) -> Answer:
    row, envelope = meaning.row, meaning.envelope
    said = f"{row.note}: {envelope.message}" if row.note and envelope.message else row.note
    return Answer(
        verdict=row.verdict,
        http_status=reply.status_code,
        provider_code=envelope.code,
        message=_shown(said or envelope.message or f"HTTP {reply.status_code}", secret),
        error_class="unreadable" if not envelope.key and row.verdict in UNCLEAR else "",
        request_id=one_line(_request_id(dialect, reply), REQUEST_ID_LENGTH, secret=secret),
        retry_after=_wait(reply, now) or row.wait,
        is_own_limit=row.is_own_limit,
        quota=_quota(dialect, reply),
    )


def _read(dialect: Dialect, call: Call, body: Mapping[str, object], answer: Answer) -> Answer:
    try:
        return replace(answer, reading=read(dialect, call, body))
    except Unreadable as error:
        return replace(
            answer,
            verdict=Verdict.UNAVAILABLE,
            error_class="unreadable",
            message=one_line(str(error), MESSAGE_LENGTH),
        )


def _told_apart(
    bulk: Bulk, call: Call, body: Mapping[str, object], answer: Answer, secret: str
) -> Answer:
    """A success may name ids it left alone; their code and words are worth more than its own."""
    left = left_alone(bulk, call, body)
    verdict_by_target = by_target(call, answer.verdict, left)
    if not verdict_by_target:
        return answer
    said = "; ".join(_distinct(one.message for one in left)) or answer.message
    code = next(filter(None, (one.code for one in left)), answer.provider_code)
    return replace(
        answer, by_target=verdict_by_target, provider_code=code, message=_shown(said, secret)
    )


def _opened(
    dialect: Dialect, status: int, content_type: str, content: bytes
) -> tuple[Mapping[str, object], Envelope]:
    """The body and what it says of itself; both empty if it is not what it should be."""
    if status == HTTPStatus.NO_CONTENT and not content:
        return {}, Envelope()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in dialect.content_types:
        said = f"HTTP {status} with {media_type or 'no content type'}"
        return {}, Envelope(message=said)
    try:
        body = parse(content)
        return body, dialect.envelope(body)
    except Unreadable as error:
        return {}, Envelope(message=f"HTTP {status}: {error}")


def _shown(said: str, secret: str) -> str:
    return scrub(one_line(said, MESSAGE_LENGTH, secret=secret))


def _distinct(texts: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(filter(None, texts))


def _request_id(dialect: Dialect, reply: Reply) -> str:
    there = (name for name in dialect.request_ids if name in reply.headers)
    return next((reply.headers[name] for name in there), "")


def _quota(dialect: Dialect, reply: Reply) -> Quota | None:
    """What is left, if both headers are there and hold what can be meant."""
    if dialect.quota is None:
        return None
    left, resets = (reply.headers.get(name, "") for name in dialect.quota)
    if not (_COUNT.fullmatch(left) and _COUNT.fullmatch(resets)):
        return None
    # Whole seconds are often rounded down.
    resets_in = timedelta(seconds=int(resets) + 1)
    return Quota(left=int(left), resets_in=resets_in) if resets_in <= LONGEST_RESET else None


def _wait(reply: Reply, now: float) -> timedelta | None:
    header = reply.headers.get("retry-after", "")
    if not header:
        return None
    # By the server's own clock, if it shows it: ours may be wrong by more than the wait.
    at = verdicts.posix_of(reply.headers.get("date", ""))
    return verdicts.retry_after(header, now if at is None else at)
