import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.audit import (
    EXPORTED,
    GENESIS,
    HASHED,
    Entry,
    Event,
    account_chain,
    canonical,
    canonical_at,
    canonical_detail,
    clean,
    hash_of,
    job_chain,
    values_of,
)

AT = canonical_at(datetime(2026, 11, 21, 10, tzinfo=UTC))


def an_entry(**fields: Any) -> Entry:  # noqa: ANN401  any field of an entry
    needed = {"chain": "job:j1", "event": Event.CALL, "account": "acme", "actor": "ann"}
    return Entry(**(needed | fields))


def test_the_exported_fields_are_those_of_the_published_list() -> None:
    published = (
        "chain, seq, job_id, item_id, account, provider, kind, external_id, parent_external_id, "
        "event, attempt, verdict, outcome, error_class, http_status, provider_code, message, "
        "request_id, duration_ms, actor, at, detail, prev_hash, hash"
    )

    assert ", ".join(EXPORTED) == published


def test_the_canonical_text_is_a_versioned_array_in_the_order_of_the_fields() -> None:
    entry = an_entry(job_id="j1", item_id=7, kind="project", message="weg, für immer", attempt=1)

    text = canonical(values_of(entry, seq=3, at=AT))

    assert text == (
        '[1,"job:j1",3,"j1",7,"acme","","project","","","call",1,"",null,"",null,"",'
        '"weg, für immer","",null,"ann","2026-11-21T10:00:00.000000Z","{}"]'
    )
    assert len(json.loads(text)) == 1 + len(HASHED)


def test_the_hash_is_sha_256_of_the_predecessors_hash_and_the_text() -> None:
    text = canonical(values_of(an_entry(), seq=1, at=AT))

    own = hash_of(GENESIS, text)

    assert own == hashlib.sha256(("0" * 64 + text).encode()).hexdigest()


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "other"},
        {"outcome": "deleted"},
        {"item_id": 1},
        {"detail": {"ids": ["1"]}},
        {"http_status": 200},
        {"actor": "bob"},
    ],
)
def test_any_other_field_is_another_hash(fields: dict[str, object]) -> None:
    one = canonical(values_of(an_entry(), seq=1, at=AT))
    other = canonical(values_of(an_entry(**fields), seq=1, at=AT))

    assert hash_of(GENESIS, one) != hash_of(GENESIS, other)


def test_what_belongs_to_one_field_cannot_move_to_the_next() -> None:
    one = values_of(an_entry(kind="a", external_id="bc"), seq=1, at=AT)
    other = values_of(an_entry(kind="ab", external_id="c"), seq=1, at=AT)

    assert canonical(one) != canonical(other)


def test_chains_are_named_for_what_they_belong_to() -> None:
    assert job_chain("j1") == "job:j1"
    assert account_chain("acme") == "account:acme"


def test_an_instant_is_written_in_utc_to_the_microsecond() -> None:
    at = datetime(2026, 11, 21, 12, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))

    assert canonical_at(at) == "2026-11-21T10:00:00.005000Z"


def test_text_no_database_keeps_is_replaced() -> None:
    assert clean("a\x00b\x1b[31mc\ud800d") == "a\ufffdb\ufffd[31mc\ufffdd"
    assert clean("one\r\n\ttwo") == "one two"
    assert clean("Müller & Söhne 🗑") == "Müller & Söhne 🗑"


def test_a_detail_is_sorted_compact_and_keeps_control_characters_as_escapes() -> None:
    detail = {"b": [1, "x\x00y"], "a": {"d": None, "c": "ü"}}

    assert canonical_detail(detail) == '{"a":{"c":"ü","d":null},"b":[1,"x\\u0000y"]}'


def test_a_detail_json_cannot_say_is_an_error() -> None:
    with pytest.raises(TypeError):
        canonical_detail({"at": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_detail({"share": float("nan")})


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_fit_for_both_databases(text: str) -> None:
    cleaned = clean(text)

    assert "\x00" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert clean(cleaned) == cleaned
