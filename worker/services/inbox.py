"""A submission by message: the same JSON as the Python producer, checked before it is trusted."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from worker.domain.errors import InvalidInput
from worker.services.submit import DeleteProjects

MOST_IDS = 10_000
"""Ids that one message may carry; more go by the command line or the Python producer."""

_TEXT, _YES_OR_NO, _NUMBER, _WORDS = "a text", "true or false", "a whole number", "a list of texts"
_SHAPES = {
    "account": _TEXT,
    "reason": _TEXT,
    "key": _TEXT,
    "cascade": _WORDS,
    "cascade_mode": _TEXT,
    "recheck_children": _YES_OR_NO,
    "on_child_refused": _TEXT,
    "dry_run": _YES_OR_NO,
    "max_items": _NUMBER,
    "priority": _NUMBER,
    "not_before": _TEXT,
    "yes": _YES_OR_NO,
    "keep_projects": _YES_OR_NO,
    "stop_timer": _YES_OR_NO,
    "provider_options": _WORDS,
    "filters": _WORDS,
    "ids": _WORDS,
}
_NEEDED = ("account", "reason", "key")
_SAME = {"idempotency_key": "key"}


def request_of(message: Mapping[str, Any]) -> tuple[DeleteProjects, Iterator[tuple[int, str]]]:
    """The request and its ids; InvalidInput names what is wrong with the message."""
    given = _fields(message)
    for name in _NEEDED:
        if not given.get(name):
            raise InvalidInput(f"`{name}` is required", fix="see worker.producer.DeleteProjects")
    _check_selection(given)
    for name, value in given.items():
        if not _has_shape(value, _SHAPES[name]):
            raise InvalidInput(f"`{name}` is {_SHAPES[name]}")
    ids = given.pop("ids", ())
    if len(ids) > MOST_IDS:
        raise InvalidInput(f"a message carries at most {MOST_IDS} ids", fix="use --ids-file")
    if "not_before" in given:
        given["not_before"] = _instant(given["not_before"])
    return DeleteProjects(**given), enumerate(ids, start=1)


def _fields(message: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise InvalidInput("a submission is an object", fix="see worker.producer.DeleteProjects")
    given = {_SAME.get(name, name): value for name, value in message.items() if value is not None}
    strange = sorted(set(given) - set(_SHAPES))
    if strange:
        raise InvalidInput(f"unknown fields: {', '.join(strange)}", fix=f"known: {list(_SHAPES)}")
    if "cascade" in given:
        given["cascade"] = words_of(given["cascade"])
    return given


def words_of(given: Any) -> Any:  # noqa: ANN401  whatever somebody sends; checked afterwards
    """A list as it is; one text with commas, as the command takes it, as its words."""
    return [word.strip() for word in given.split(",")] if isinstance(given, str) else given


def _check_selection(given: Mapping[str, Any]) -> None:
    if "filters" not in given and not given.get("ids"):
        raise InvalidInput("`ids` is required", fix="or `filters`, which select them")
    if "filters" in given and (given.get("ids") or not given["filters"]):
        raise InvalidInput("`filters` stand in the place of `ids`, and there is at least one")


def _has_shape(value: object, shape: str) -> bool:
    match value:
        case bool():
            return shape == _YES_OR_NO
        case int():
            return shape == _NUMBER
        case str():
            return shape == _TEXT
        case list():
            return shape == _WORDS and all(isinstance(one, str) for one in value)
        case _:
            return False


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"`not_before` is no ISO 8601 time: {text[:40]!r}") from None
    if at.tzinfo is None:
        raise InvalidInput("`not_before` needs its zone", fix="2026-01-31T03:00:00+00:00")
    return at
