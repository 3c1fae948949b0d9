"""What verifying the audit log finds after it was tampered with, on both databases."""

import pytest
from sqlalchemy import text

from tests.audits import CHAIN, JOB, an_entry, triggers_off, with_settled_job, write
from worker.domain.errors import NotFound
from worker.store.chain import append
from worker.store.engine import Database
from worker.store.models import Base
from worker.store.verify import verify

COLUMNS = ", ".join(
    c.name for c in Base.metadata.tables["audit_entries"].columns if c.name != "id"
)


@pytest.fixture
def settled_job(database: Database) -> Database:
    return with_settled_job(database)


def test_an_untouched_log_is_sound(settled_job: Database) -> None:
    found = verify(settled_job, JOB)

    assert found.is_sound
    assert (found.chains, found.entries, found.first_bad) == (1, 6, None)


@pytest.mark.parametrize("seq", [1, 3, 6])
@pytest.mark.parametrize(
    "change",
    [
        "message = 'no'",
        "actor = 'bob'",
        "outcome = 'unknown'",
        "hash = '0'",
        "at = '2001-01-01 00:00:00.000000'",
        "detail = '{}x'",
    ],
)
def test_a_changed_entry_is_named(settled_job: Database, seq: int, change: str) -> None:
    with triggers_off(settled_job) as connection:
        connection.execute(
            text(f"UPDATE audit_entries SET {change} WHERE seq = :seq"),  # noqa: S608  of this test
            {"seq": seq},
        )

    first_bad = verify(settled_job, JOB).first_bad
    assert first_bad is not None
    assert (first_bad.chain, first_bad.seq) == (CHAIN, seq)


@pytest.mark.parametrize("seq", [1, 3, 6])
def test_a_deleted_entry_is_named(settled_job: Database, seq: int) -> None:
    with triggers_off(settled_job) as connection:
        connection.execute(text("DELETE FROM audit_entries WHERE seq = :seq"), {"seq": seq})

    first_bad = verify(settled_job, JOB).first_bad
    assert first_bad is not None
    assert (first_bad.seq, "missing" in first_bad.why) == (seq, True)


def test_a_chain_emptied_is_named(settled_job: Database) -> None:
    with triggers_off(settled_job) as connection:
        connection.execute(text("DELETE FROM audit_entries"))

    found = verify(settled_job)
    assert found.first_bad is not None
    assert found.first_bad.seq == 1
    assert f"job {JOB} has no audit entries" in found.problems


@pytest.mark.parametrize("seq", [1, 3, 6])
def test_a_copy_of_an_entry_put_behind_it_is_named(settled_job: Database, seq: int) -> None:
    with triggers_off(settled_job) as connection:
        connection.execute(
            text("UPDATE audit_entries SET seq = -seq - 1 WHERE seq >= :seq"), {"seq": seq}
        )
        connection.execute(text("UPDATE audit_entries SET seq = -seq WHERE seq < 0"))
        connection.execute(
            text(
                f"INSERT INTO audit_entries ({COLUMNS}) "  # noqa: S608  our own names
                f"SELECT {COLUMNS.replace('seq', 'seq - 1', 1)} FROM audit_entries"
                " WHERE seq = :next"
            ),
            {"next": seq + 1},
        )

    first_bad = verify(settled_job, JOB).first_bad
    assert first_bad is not None
    assert (first_bad.seq, first_bad.why) == (seq + 1, "is a copy of the entry before it")


def test_an_entry_added_past_the_head_is_named(settled_job: Database) -> None:
    with triggers_off(settled_job) as connection:
        connection.execute(
            text("INSERT INTO chain_heads SELECT 'kept', seq, hash FROM chain_heads")
        )
        append(connection, [an_entry(3)])
        connection.execute(text("DELETE FROM chain_heads WHERE chain <> 'kept'"))
        connection.execute(text("UPDATE chain_heads SET chain = :chain"), {"chain": CHAIN})

    first_bad = verify(settled_job, JOB).first_bad
    assert first_bad is not None
    assert (first_bad.seq, first_bad.why) == (7, "was added past the head of its chain")


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_of_two_swapped_entries_the_first_is_named(settled_job: Database, seq: int) -> None:
    with triggers_off(settled_job) as connection:
        for old, new in ((seq, -1), (seq + 1, seq), (-1, seq + 1)):
            connection.execute(
                text("UPDATE audit_entries SET seq = :new WHERE seq = :old"),
                {"old": old, "new": new},
            )

    first_bad = verify(settled_job, JOB).first_bad
    assert first_bad is not None
    assert first_bad.seq == seq


def test_a_changed_entry_whose_hash_was_made_anew_is_named(settled_job: Database) -> None:
    with triggers_off(settled_job) as connection:
        connection.execute(text("DELETE FROM audit_entries WHERE seq = 3"))
        kept = connection.execute(text("SELECT seq, hash FROM audit_entries WHERE seq = 2")).one()
        connection.execute(text("UPDATE audit_entries SET seq = -seq WHERE seq > 3"))
        connection.execute(
            text("UPDATE chain_heads SET seq = :seq, hash = :hash"),
            {"seq": kept.seq, "hash": kept.hash},
        )
        append(connection, [an_entry(2, outcome="deleted", actor="somebody else")])
        connection.execute(text("UPDATE audit_entries SET seq = -seq WHERE seq < 0"))

    first_bad = verify(settled_job, JOB).first_bad
    assert first_bad is not None
    assert first_bad.seq == 3


ITEM_CHANGES = {
    "item 2 of job j1 ended as unknown, but its entry says deleted": (
        "UPDATE items SET outcome = 'unknown' WHERE id = 2"
    ),
    "entry 3 of job:j1 says deleted, but item 2 is pending": (
        "UPDATE items SET state = 'pending', outcome = NULL WHERE id = 2"
    ),
    "entry 3 of job:j1 says deleted, but item 2 does not exist": "DELETE FROM items WHERE id = 2",
    "the counts of job j1 do not add up: of 5 items 5 are settled, 5 have an outcome and 4 one"
    " that there is": "UPDATE items SET outcome = 'vanished' WHERE id = 2",
    "item 6 of job j1 ended as deleted, but no entry says so": (
        "INSERT INTO items (id, job_id, account, position, kind, external_id, state, outcome)"
        " VALUES (6, 'j1', 'acme', 6, 'project', '6', 'settled', 'deleted')"
    ),
}


@pytest.mark.parametrize(
    ("problem", "change"), ITEM_CHANGES.items(), ids=range(1, len(ITEM_CHANGES) + 1)
)
@pytest.mark.parametrize("job_id", [JOB, None])
def test_an_item_that_says_something_else_is_named(
    settled_job: Database, problem: str, change: str, job_id: str | None
) -> None:
    with settled_job.write() as connection:
        connection.exec_driver_sql(change)

    found = verify(settled_job, job_id)
    assert problem in found.problems
    assert found.first_bad is None
    assert not found.is_sound


def test_a_second_outcome_of_an_item_is_named(settled_job: Database) -> None:
    write(settled_job, [an_entry(2, outcome="unknown")])

    assert verify(settled_job, JOB).problems == ("item 2 of job j1 has 2 entries with an outcome",)


def test_an_unknown_job_cannot_be_verified(database: Database) -> None:
    with pytest.raises(NotFound, match="there is no job nope"):
        verify(database, "nope")
