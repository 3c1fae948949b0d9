"""Eight kinds of tampering at drawn places: each is found; a log left alone never looks bad."""

import random
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.audits import CHAIN, JOB, an_entry, triggers_off, with_settled_job, write
from worker.domain.audit import (
    EXPORTED,
    Entry,
    account_chain,
    canonical,
    canonical_at,
    hash_of,
)
from worker.store.audit_log import AuditEntry, Filter, query
from worker.store.engine import Database
from worker.store.verify import verify

ENTRIES = 30
TRIES = 20
CLEAN = 100
_COLUMNS = ", ".join(EXPORTED)

Tamper = Callable[[Connection, random.Random], None]


def _do(connection: Connection, statement: str, **values: object) -> None:
    connection.execute(text(statement), values)


def change(connection: Connection, rng: random.Random) -> None:
    column = rng.choice(["message", "actor", "external_id", "verdict", "detail", "provider_code"])
    statement = f"UPDATE audit_entries SET {column} = {column} || 'x' WHERE seq = :seq"  # noqa: S608  of this test
    _do(connection, statement, seq=rng.randint(1, ENTRIES))


def delete(connection: Connection, rng: random.Random) -> None:
    _do(connection, "DELETE FROM audit_entries WHERE seq = :seq", seq=rng.randint(1, ENTRIES))


def insert(connection: Connection, rng: random.Random) -> None:
    """A copy of an entry, word for word, behind one of those there are."""
    source, at = rng.randint(1, ENTRIES), rng.randint(2, ENTRIES)
    _do(connection, "UPDATE audit_entries SET seq = -(seq + 1) WHERE seq >= :at", at=at)
    _do(connection, "UPDATE audit_entries SET seq = -seq WHERE seq < 0")
    copied = _COLUMNS.replace("seq", ":at")
    moved = source + (source >= at)
    statement = (
        f"INSERT INTO audit_entries ({_COLUMNS}) SELECT {copied} "  # noqa: S608  our own names
        "FROM audit_entries WHERE seq = :source"
    )
    _do(connection, statement, at=at, source=moved)


def swap(connection: Connection, rng: random.Random) -> None:
    first, second = rng.sample(range(1, ENTRIES + 1), 2)
    statement = "UPDATE audit_entries SET seq = :to WHERE seq = :was"
    for was, to in ((first, -1), (second, first), (-1, second)):
        _do(connection, statement, was=was, to=to)


def cut(connection: Connection, rng: random.Random) -> None:
    _do(connection, "DELETE FROM audit_entries WHERE seq > :seq", seq=rng.randint(0, ENTRIES - 1))


def redate(connection: Connection, rng: random.Random) -> None:
    statement = "UPDATE audit_entries SET at = :at WHERE seq = :seq"
    _do(connection, statement, at="2020-01-01 00:00:00.000000", seq=rng.randint(1, ENTRIES))


def rehash(connection: Connection, rng: random.Random) -> None:
    """All of a job written anew from some entry on; its head is not thought of."""
    rewrite(connection, rng, rng.randint(1, ENTRIES))


def rewrite(connection: Connection, rng: random.Random, first: int) -> None:
    before = ""
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM audit_entries ORDER BY seq"))  # noqa: S608  our own names
    for row in rows.mappings().all():
        values: dict[str, Any] = dict(row)
        if values["seq"] >= first:
            values["actor"] = f"nobody {rng.random()}"
            values["prev_hash"] = before or values["prev_hash"]
            told = [canonical_of(values[name]) for name in EXPORTED[:-2]]
            values["hash"] = hash_of(values["prev_hash"], canonical(told))
            statement = (
                "UPDATE audit_entries SET actor = :actor, prev_hash = :prev_hash, hash = :hash "
                "WHERE seq = :seq"
            )
            _do(
                connection,
                statement,
                **{n: values[n] for n in ("actor", "prev_hash", "hash", "seq")},
            )
        before = values["hash"]


def canonical_of(value: object) -> object:
    """A column as the canonical row has it; SQLite gives times as text."""
    if isinstance(value, str) and len(value) == 26 and value[10] == " ":
        return value.replace(" ", "T") + "Z"
    return canonical_at(value) if isinstance(value, datetime) else value


def edit_item(connection: Connection, rng: random.Random) -> None:
    statement = "UPDATE items SET outcome = :outcome WHERE id = :id"
    outcome = rng.choice(["already_absent", "failed_refused", "unknown", "nonsense"])
    _do(connection, statement, outcome=outcome, id=rng.randint(1, 5))


KINDS: Sequence[Tamper] = (change, delete, insert, swap, cut, redate, rehash, edit_item)
IN_FULL = pytest.mark.number(full=True)
ON_POSTGRESQL = [0, *(pytest.param(number, marks=IN_FULL) for number in range(1, TRIES))]
"""A database of its own for each takes its time."""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Path:
    """A log of thirty entries, five of which settle an item."""
    path = tmp_path_factory.mktemp("untouched") / "log.db"
    shutil.copyfile(_sqlite_template, path)
    _fill(Database(f"sqlite:///{path}"))
    return path


def _fill(database: Database) -> None:
    with_settled_job(database)
    write(database, [an_entry(verdict="seen", external_id=str(n)) for n in range(6, ENTRIES)])
    with database.write() as connection:  # so that a copy of the file has all of it
        assert connection.execute(text("SELECT count(*) FROM audit_entries")).scalar() == ENTRIES
    database.dispose()


@pytest.mark.number("trust-3")
@pytest.mark.parametrize("number", range(TRIES))
@pytest.mark.parametrize("tamper", KINDS, ids=lambda one: one.__name__)
def test_tampering_is_found(tamper: Tamper, number: int, untouched: Path, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{shutil.copyfile(untouched, tmp_path / 'log.db')}")

    _tampered_and_found(database, tamper, number)


@pytest.mark.number("trust-3")
@pytest.mark.integration
@pytest.mark.parametrize("number", ON_POSTGRESQL)
@pytest.mark.parametrize("tamper", KINDS, ids=lambda one: one.__name__)
def test_tampering_is_found_on_postgresql(
    tamper: Tamper, number: int, postgresql_url: str
) -> None:
    database = Database(postgresql_url)
    _fill(database)

    _tampered_and_found(database, tamper, number)


def _tampered_and_found(database: Database, tamper: Tamper, number: int) -> None:
    with triggers_off(database) as connection:
        tamper(connection, random.Random(number))

    found = verify(database, JOB)

    assert not found.is_sound
    assert (found.first_bad is None) == (tamper is edit_item)
    assert all(CHAIN in problem or "item" in problem for problem in found.problems)
    database.dispose()


@pytest.mark.number("trust-3")
def test_a_log_left_alone_never_looks_bad(database: Database) -> None:
    with_settled_job(database)

    for number in range(CLEAN):
        write(database, _drawn(random.Random(number)))
        assert verify(database).problems == ()


def _drawn(rng: random.Random) -> list[Entry]:
    """Entries as they come, of a job and of its account, with texts of any script and length."""
    return [
        an_entry(
            chain=rng.choice([CHAIN, account_chain("acme")]),
            message=_text(rng),
            provider_code=_text(rng),
            http_status=rng.choice([None, 200, 503]),
            duration_ms=rng.choice([None, 0, 2**31 - 1]),
            detail=rng.choice([{}, {_text(rng): [_text(rng), rng.random(), None]}]),
        )
        for _ in range(rng.randint(1, 9))
    ]


def _text(rng: random.Random) -> str:
    return "".join(chr(rng.randrange(0x11_0000)) for _ in range(rng.randint(0, 40)))


@pytest.mark.number("trust-3")
def test_a_chain_written_anew_with_its_head_is_seen_against_a_certificate_kept_elsewhere(
    untouched: Path, tmp_path: Path
) -> None:
    database = Database(f"sqlite:///{shutil.copyfile(untouched, tmp_path / 'log.db')}")
    kept = _last(database)
    with triggers_off(database) as connection:
        rewrite(connection, random.Random(1), 1)
        last = "SELECT hash FROM audit_entries WHERE seq = :seq"
        _do(connection, f"UPDATE chain_heads SET hash = ({last})", seq=ENTRIES)  # noqa: S608  of this test

    assert verify(database, JOB).is_sound
    now = _last(database)
    assert (now.seq, now.hash) != (kept.seq, kept.hash)
    database.dispose()


def _last(database: Database) -> AuditEntry:
    """What a certificate names: the number and hash of the last entry."""
    return list(query(database, Filter(job=JOB)))[-1]
