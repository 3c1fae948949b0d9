"""A submission by message: the same JSON as the Python producer, checked before it is trusted."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from worker.domain.errors import InvalidInput
from worker.services.submit import DeleteProjects

MOST_IDS = 10_000
"""Ids that one message may carry; more go by the command line or the Python producer."""

_KNOWN = frozenset(field.name for field in fields(DeleteProjects)) | {"ids"}


def request_of(message: Mapping[str, Any]) -> tuple[DeleteProjects, Iterator[tuple[int, str]]]:
    """The request and its ids; InvalidInput names what is wrong with the message."""
    strange = sorted(set(message) - _KNOWN)
    if strange:
        raise InvalidInput(f"unknown fields: {', '.join(strange)}", fix=f"known: {sorted(_KNOWN)}")
    ids = message.get("ids")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise InvalidInput("`ids` is a list of strings")
    if len(ids) > MOST_IDS:
        raise InvalidInput(f"a message carries at most {MOST_IDS} ids", fix="use --ids-file")
    if not message.get("key"):
        raise InvalidInput(
            "`key` is required", fix="the same key makes a second delivery harmless"
        )
    options = {name: value for name, value in message.items() if name != "ids"}
    if isinstance(options.get("not_before"), str):
        options["not_before"] = datetime.fromisoformat(options["not_before"])
    try:
        request = DeleteProjects(**options)
    except TypeError as error:
        raise InvalidInput(f"not a request: {error}") from error
    return request, enumerate(ids, start=1)
