"""How a fault is played: what is waited for, what is done, what is said."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate

from worker.sandbox.dialect import Answer, Dialect, Situation
from worker.sandbox.faults import FaultKind, Rule

BODIES: Mapping[str, tuple[bytes, str]] = {
    "html": (b"<!doctype html><html><body><h1>Service page</h1></body></html>", "text/html"),
    "broken": (b'{"code":0,"message":"The pro', "application/json"),
    "list": (b"[]", "application/json"),
    "empty": (b"", "application/json"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What happens to one request, in the order of the fields."""

    before: float = 0.0
    acts: bool = True
    visible_for: float = 0.0
    after: float = 0.0
    lost: bool = False
    reset: bool = False
    answer: Answer | None = None
    content_type: str | None = None


AS_IT_SHOULD = Stage()
Play = Callable[[Rule, Dialect], Stage]


def stage(rule: Rule | None, dialect: Dialect) -> Stage:
    """The stage for a rule, or the one on which nothing goes wrong."""
    return AS_IT_SHOULD if rule is None else PLAYS[rule.kind](rule, dialect)


def _says(situation: Situation, *, acts: bool = False) -> Play:
    def play(rule: Rule, dialect: Dialect) -> Stage:
        answer = dialect.say(situation, status=rule.status, code=rule.code, text=rule.text)
        if rule.retry_after is not None:
            headers = (("Retry-After", _plain(rule.retry_after)),)
            answer = replace(answer, headers=headers)
        return Stage(acts=acts, answer=answer)

    return play


def _loses(*, acts: bool) -> Play:
    return lambda rule, _: Stage(acts=acts, lost=True, reset=rule.reset)


def _garbage(rule: Rule, _: Dialect) -> Stage:
    body, content_type = BODIES[rule.body]
    answer = Answer(status=rule.status or 200, code=None, body=body, content_type=content_type)
    return Stage(acts=rule.when == "after", answer=answer)


def _wrong_type(rule: Rule, dialect: Dialect) -> Stage:
    if rule.when == "after":
        return Stage(content_type="text/plain")
    answer = dialect.say(Situation.BROKEN, status=200, code=0, text="success")
    return Stage(acts=False, answer=replace(answer, content_type="text/plain"))


def _oversize(rule: Rule, dialect: Dialect) -> Stage:
    answer = dialect.say(Situation.BROKEN, status=200, code=0, text="x" * rule.size)
    return Stage(acts=rule.when == "after", answer=answer)


def _redirect(rule: Rule, _: Dialect) -> Stage:
    headers = (("Location", rule.location),)
    status = rule.status or 302
    return Stage(acts=False, answer=Answer(status=status, code=None, body=b"", headers=headers))


def _slow(rule: Rule, _: Dialect) -> Stage:
    if rule.when == "after":
        return Stage(after=rule.seconds)
    return Stage(before=rule.seconds)


def _plain(retry_after: float | str) -> str:
    if isinstance(retry_after, str):
        later = retry_after.removeprefix("date+")
        return retry_after if later == retry_after else _date_in(float(later))
    return str(int(retry_after)) if retry_after.is_integer() else str(retry_after)


def _date_in(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


PLAYS: Mapping[FaultKind, Play] = {
    FaultKind.ERROR_BEFORE: _says(Situation.BROKEN),
    FaultKind.ERROR_AFTER: _says(Situation.BROKEN, acts=True),
    FaultKind.LOST_BEFORE: _loses(acts=False),
    FaultKind.LOST_AFTER: _loses(acts=True),
    FaultKind.GARBAGE: _garbage,
    FaultKind.WRONG_TYPE: _wrong_type,
    FaultKind.OVERSIZE: _oversize,
    FaultKind.REFUSE: _says(Situation.REFUSED),
    FaultKind.THROTTLE: _says(Situation.WINDOW_FULL),
    FaultKind.THROTTLE_DAY: _says(Situation.DAY_SPENT),
    FaultKind.UNAUTHORISED: _says(Situation.BAD_TOKEN),
    FaultKind.REDIRECT: _redirect,
    FaultKind.SLOW: _slow,
    FaultKind.STILL_VISIBLE: lambda rule, _: Stage(visible_for=rule.seconds),
}
