"""What came back over the wire, understood: the verdict, what is kept of it, what it shows."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from worker.domain.calls import Answer, Call
from worker.domain.limits import Quota
from worker.domain.options import each_value, merge
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
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
UNCLEAR: Final = frozenset({Verdict.AMBIGUOUS, Verdict.UNAVAILABLE})


def understand(
    connection: Connection, call: Call, response: Reply, *, secret: str, now: float
) -> Answer:
    """The answer to a call; `secret` is the token it carried, `now` our clock's POSIX time."""
    dialect, bulk = connection.dialect, connection.bulk if is_bulk(call) else None
    body, envelope = _opened(dialect, response)
    about = verdicts.About(
        kind=call.targets[0].kind if call.targets else "",
        said=envelope.message,
        asked=frozenset(each_value(merge(connection.options, call.options))),
    )
    rows = bulk.rows if bulk else dialect.rows
    row = verdicts.row_of(rows, call.action, response.status_code, envelope.key, about)
    said = ": ".join(filter(None, (row.note, envelope.message)))
    answer = Answer(
        verdict=row.verdict,
        http_status=response.status_code,
        provider_code=envelope.code,
        message=_shown(said or f"HTTP {response.status_code}", secret),
        error_class="unreadable" if not envelope.key and row.verdict in UNCLEAR else "",
        request_id=one_line(_request_id(dialect, response), REQUEST_ID_LENGTH, secret=secret),
        retry_after=_wait(response, now) or row.wait,
        is_own_limit=row.is_own_limit,
        quota=_quota(dialect, response),
    )
    if bulk is not None:
        return _told_apart(bulk, call, body, answer, secret)
    return _read(dialect, call, body, answer) if row.verdict is Verdict.SEEN else answer


def _read(dialect: Dialect, call: Call, body: dict[str, object], answer: Answer) -> Answer:
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
    bulk: Bulk, call: Call, body: dict[str, object], answer: Answer, secret: str
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


def _opened(dialect: Dialect, response: Reply) -> tuple[dict[str, object], Envelope]:
    """The body and what it says of itself; both empty if it is not what it should be."""
    status = response.status_code
    if status == HTTPStatus.NO_CONTENT and not response.content:
        return {}, Envelope()
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in dialect.content_types:
        said = f"HTTP {status} with {content_type or 'no content type'}"
        return {}, Envelope(message=said)
    try:
        body = parse(response.content)
        return body, dialect.envelope(body)
    except Unreadable as error:
        return {}, Envelope(message=f"HTTP {status}: {error}")


def _shown(said: str, secret: str) -> str:
    return scrub(one_line(said, MESSAGE_LENGTH, secret=secret))


def _distinct(texts: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(filter(None, texts))


def _request_id(dialect: Dialect, response: Reply) -> str:
    there = (name for name in dialect.request_ids if name in response.headers)
    return next((response.headers[name] for name in there), "")


def _quota(dialect: Dialect, response: Reply) -> Quota | None:
    """What is left, if both headers are there and hold what can be meant."""
    if dialect.quota is None:
        return None
    left, resets = (response.headers.get(name, "") for name in dialect.quota)
    if not (_COUNT.fullmatch(left) and _COUNT.fullmatch(resets)):
        return None
    # Whole seconds are often rounded down.
    resets_in = timedelta(seconds=int(resets) + 1)
    return Quota(left=int(left), resets_in=resets_in) if resets_in <= LONGEST_RESET else None


def _wait(response: Reply, now: float) -> timedelta | None:
    header = response.headers.get("retry-after", "")
    if not header:
        return None
    # By the server's own clock, if it shows it: ours may be wrong by more than the wait.
    at = verdicts.posix_of(response.headers.get("date", ""))
    return verdicts.retry_after(header, now if at is None else at)
