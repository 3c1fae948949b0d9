"""A submission by message: what is let through, and what is named as wrong."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from worker.domain.errors import InvalidInput
from worker.services.inbox import MOST_IDS, request_of

GOOD = {
    "account": "acme",
    "reason": "closed",
    "cascade": ["none"],
    "key": "k",
    "ids": ["42", "43"],
}


def test_a_message_becomes_a_request_and_its_ids() -> None:
    request, ids = request_of({**GOOD, "not_before": "2026-12-01T08:00:00+00:00", "priority": 7})

    assert (request.account, request.key, request.priority) == ("acme", "k", 7)
    assert request.not_before == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert list(ids) == [(1, "42"), (2, "43")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": None},
        {"ids": "42"},
        {"ids": [42]},
        {"ids": [["42"]]},
        {"ids": ["42"] * (MOST_IDS + 1)},
        {"key": None},
        {"key": ""},
        {"actor": "root"},
        {"accounts": "acme"},
        {"cascade": 7},
        {"idempotency_key": ["k"]},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
def test_a_message_that_is_no_request_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        request_of({**GOOD, **wrong})


def test_a_message_may_use_the_words_of_the_command() -> None:
    message = {name: value for name, value in GOOD.items() if name != "key"}

    request, _ = request_of({**message, "idempotency_key": "k", "cascade": "comments, tasks"})

    assert (request.key, request.cascade) == ("k", ["comments", "tasks"])


@pytest.mark.parametrize("message", ["x", ["x"], None, 7])
def test_a_message_that_is_no_object_is_refused(message: object) -> None:
    with pytest.raises(InvalidInput, match="an object"):
        request_of(cast(Mapping[str, Any], message))


@pytest.mark.parametrize("missing", ["account", "reason", "key", "ids"])
def test_what_is_needed_is_asked_for(missing: str) -> None:
    message = {name: value for name, value in GOOD.items() if name != missing}

    with pytest.raises(InvalidInput):
        request_of(message)


def test_as_many_ids_as_allowed_pass() -> None:
    _, ids = request_of({**GOOD, "ids": ["42"] * MOST_IDS})

    assert sum(1 for _ in ids) == MOST_IDS


@pytest.mark.parametrize("at", ["tomorrow", "", 5, "2026-12-01T08:00:00"])
def test_a_start_that_is_no_instant_is_refused(at: object) -> None:
    with pytest.raises(InvalidInput):
        request_of({**GOOD, "not_before": at})


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": 5},
        {"reason": 5},
        {"priority": "9"},
        {"dry_run": "false"},
        {"yes": "no"},
        {"max_items": "all"},
        {"filters": []},
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        request_of({**GOOD, **wrong})
