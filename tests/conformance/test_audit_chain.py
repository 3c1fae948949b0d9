"""How the audit log grows, on both databases, and what they refuse."""

import sqlite3
import threading
from contextlib import closing

import pytest
from sqlalchemy.exc import IntegrityError

from tests.audits import CHAIN, JOB, an_entry, entries_of, with_settled_job, write
from worker.domain.audit import GENESIS
from worker.store.chain import append, lock_heads
from worker.store.engine import Database, now
from worker.store.models import Base
from worker.store.verify import verify

COLUMNS = ", ".join(
    c.name for c in Base.metadata.tables["audit_entries"].columns if c.name != "id"
)


@pytest.fixture
def settled_job(database: Database) -> Database:
    return with_settled_job(database)


def test_entries_are_numbered_and_linked_from_genesis_on(database: Database) -> None:
    write(database, [an_entry(1), an_entry(2)])
    write(database, [an_entry(3)])

    found = entries_of(database)

    assert [entry.seq for entry in found] == [1, 2, 3]
    assert [entry.prev_hash for entry in found] == [GENESIS, found[0].hash, found[1].hash]


def test_each_chain_is_numbered_by_itself(database: Database) -> None:
    other = an_entry(chain="account:acme", job_id=None)

    write(database, [an_entry(1), other, an_entry(2), other])

    found = entries_of(database)
    assert [(entry.chain, entry.seq) for entry in found] == [
        (CHAIN, 1),
        ("account:acme", 1),
        (CHAIN, 2),
        ("account:acme", 2),
    ]
    assert verify(database).first_bad is None


def test_an_entry_comes_back_as_it_was_given(database: Database) -> None:
    entry = an_entry(
        7,
        parent_external_id="9",
        attempt=2,
        outcome="failed_refused",
        error_class="refused",
        http_status=400,
        provider_code="1002",
        message='Projekt "Größe" 🗑',
        request_id="r-1",
        duration_ms=1234,
        detail={"ids": ["2", "1"], "why": {"ü": None}},
    )

    at = write(database, [entry])

    [found] = entries_of(database)
    assert found.at == at
    assert found.detail == {"ids": ["2", "1"], "why": {"ü": None}}
    assert (found.message, found.http_status, found.attempt) == (entry.message, 400, 2)
    assert (found.outcome, found.job_id, found.item_id) == ("failed_refused", JOB, 7)
    assert found.exported()["at"].endswith("Z")


def test_text_that_no_database_keeps_still_verifies(database: Database) -> None:
    unfit = 'nul \x00 esc \x1b lone \ud800 quote " back \\ tab \t'

    write(database, [an_entry(1, message=unfit, detail={"text": unfit, "\x00": 1})])

    [found] = entries_of(database)
    assert found.message == 'nul \ufffd esc \ufffd lone \ufffd quote " back \\ tab  '
    assert verify(database).first_bad is None


def test_the_time_is_the_databases(database: Database) -> None:
    with database.write() as connection:
        before = now(connection)
        at = append(connection, [an_entry(1)])
        after = now(connection)

    assert before <= at <= after
    assert at.tzinfo is not None


def test_a_caller_may_lock_before_it_reads(database: Database) -> None:
    with database.write() as connection:
        heads = lock_heads(connection, [CHAIN, "account:acme"])
        append(connection, [an_entry(1)], heads=heads)
        append(connection, [an_entry(2)], heads=heads)

    assert [entry.seq for entry in entries_of(database)] == [1, 2]
    assert heads[CHAIN].seq == 2


def test_two_thousand_entries_go_in_at_once(database: Database) -> None:
    write(database, [an_entry(n, detail={"n": n}) for n in range(2_000)])

    found = verify(database)
    assert (found.entries, found.first_bad) == (2_000, None)


def test_a_transaction_that_fails_leaves_no_entry(database: Database) -> None:
    def crash() -> None:
        with database.write() as connection:
            append(connection, [an_entry(1)])
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash()

    assert entries_of(database) == []
    write(database, [an_entry(1)])
    assert [entry.seq for entry in entries_of(database)] == [1]


def test_writers_of_the_same_chains_wait_for_each_other(database: Database) -> None:
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        start.wait(10)
        chains = [CHAIN, "account:a", "account:b"]
        turned = chains if number % 2 else chains[::-1]
        try:
            for _ in range(15):
                write(database, [an_entry(1, chain=chain) for chain in turned])
        except BaseException as error:  # noqa: BLE001  told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    found = verify(database)
    assert (found.chains, found.entries, found.first_bad) == (3, 180, None)


CHANGES = {
    "an update": "UPDATE audit_entries SET message = 'no' WHERE seq = 2",
    "a deletion": "DELETE FROM audit_entries WHERE seq = 6",
    "a deletion of all": "DELETE FROM audit_entries",
    "a gap": "INSERT INTO audit_entries (chain, seq, account, event, actor, at, prev_hash, hash)"
    " SELECT chain, 8, account, event, actor, at, hash, 'x' FROM audit_entries WHERE seq = 6",
    "a wrong link": "INSERT INTO audit_entries"
    " (chain, seq, account, event, actor, at, prev_hash, hash)"
    " SELECT chain, 7, account, event, actor, at, prev_hash, 'x' FROM audit_entries WHERE seq = 6",
    "a second first": "INSERT INTO audit_entries"
    " (chain, seq, account, event, actor, at, prev_hash, hash)"
    " SELECT 'job:x', 1, account, event, actor, at, hash, 'x' FROM audit_entries WHERE seq = 6",
    "a number twice": "INSERT INTO audit_entries"
    " (chain, seq, account, event, actor, at, prev_hash, hash)"
    " SELECT chain, seq, account, event, actor, at, prev_hash, 'x' FROM audit_entries"
    " WHERE seq = 6",
    "a head going back": "UPDATE chain_heads SET seq = seq - 1",
    "a head exchanged": "UPDATE chain_heads SET hash = 'x'",
    "a head deleted": "DELETE FROM chain_heads",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_database_refuses(settled_job: Database, change: str) -> None:
    with pytest.raises(IntegrityError), settled_job.write() as connection:
        connection.exec_driver_sql(change)

    assert verify(settled_job).is_sound


@pytest.mark.integration
@pytest.mark.parametrize("table", ["audit_entries", "chain_heads"])
def test_postgresql_refuses_to_truncate(postgresql_url: str, table: str) -> None:
    database = Database(postgresql_url)
    write(database, [an_entry(1)])

    with pytest.raises(IntegrityError), database.write() as connection:
        connection.exec_driver_sql(f"TRUNCATE {table}")

    assert len(entries_of(database)) == 1
    database.dispose()


@pytest.mark.parametrize("pragma", ["ON", "OFF"])
@pytest.mark.parametrize("number", ["NULL", "1"])
def test_sqlite_refuses_to_replace(sqlite_url: str, pragma: str, number: str) -> None:
    database = Database(sqlite_url)
    write(database, [an_entry(1), an_entry(2)])
    before = entries_of(database)
    path = database.url.removeprefix("sqlite:///")
    changed = COLUMNS.replace("message", "'no'")
    replace = (
        f"INSERT OR REPLACE INTO audit_entries (id, {COLUMNS}) "  # noqa: S608  our own names
        f"SELECT {number}, {changed} FROM audit_entries WHERE seq = 1"
    )

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA recursive_triggers={pragma}")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(replace)

    assert entries_of(database) == before
    database.dispose()
