"""Transactions and presence, on both databases."""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Pool, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from worker import bootstrap
from worker.bootstrap import Desk
from worker.cli.desk import SilentBell
from worker.domain.errors import InvalidInput, Unreachable
from worker.store import engines
from worker.store.engine import Database, now
from worker.store.presence import (
    alive,
    forget,
    give_named_lease,
    gone,
    seen,
    take_named_lease,
)

MINUTE = timedelta(minutes=1)
ADD = "INSERT INTO accounts (name) VALUES ('acme')"
COUNT = "SELECT count(*) FROM accounts"


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql(COUNT).scalar_one())


def test_a_write_is_kept_and_a_failed_one_is_not(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(ADD)
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.exec_driver_sql(ADD)

    assert count(database) == 1


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, Unreachable)), database.read() as connection:
        connection.exec_driver_sql(ADD)

    assert count(database) == 0


def test_a_read_sees_one_snapshot(database: Database) -> None:
    with database.read() as connection:
        before = connection.exec_driver_sql(COUNT).scalar_one()
        with database.write() as other:
            other.exec_driver_sql(ADD)
        after = connection.exec_driver_sql(COUNT).scalar_one()

    assert (before, after) == (0, 0)
    assert count(database) == 1


def test_who_reads_and_then_writes_waits_for_other_writers(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO accounts (name, bell) VALUES ('acme', 0)"))
    read = "SELECT bell FROM accounts"
    read += " FOR UPDATE" if database.dialect == "postgresql" else ""
    failures: list[BaseException] = []

    def ring() -> None:
        try:
            for _ in range(20):
                with database.write() as connection:
                    bell = connection.exec_driver_sql(read)
                    connection.execute(
                        text("UPDATE accounts SET bell = :bell"), {"bell": bell.scalar_one() + 1}
                    )
        except BaseException as error:  # noqa: BLE001  told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=ring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT bell FROM accounts").scalar_one() == 80


def test_the_databases_time_is_aware_and_about_now(database: Database) -> None:
    with database.read() as connection:
        at = now(connection)

    assert at.utcoffset() == timedelta(0)
    assert abs(at.timestamp() - time.time()) < 60


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_opens_connections_of_its_own(database: Database) -> None:
    assert count(database) == 0

    child = os.fork()
    if child == 0:
        try:
            with database.write() as connection:
                connection.exec_driver_sql(ADD)
            os._exit(0)
        except BaseException:  # noqa: BLE001  the parent reads the exit code
            os._exit(1)

    assert os.waitpid(child, 0)[1] == 0
    assert count(database) == 1


def test_threads_that_begin_together_share_their_connections(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)
    make = engines.writing_engine

    def make_at_once(*args: Any, **options: Any) -> Engine:  # noqa: ANN401  whatever it is given
        both.wait(10)
        return make(*args, **options)

    monkeypatch.setattr(engines, "writing_engine", make_at_once)
    opened = Database(database_url)

    def pool(_: int) -> Pool:
        with opened.read() as connection:
            return connection.engine.pool

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(pool, range(2))

    assert first is second
    opened.dispose()


def test_threads_that_begin_together_share_the_database_of_their_desk(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    def open_at_once(*args: Any) -> Database:  # noqa: ANN401  whatever it is given
        both.wait(10)
        return Database(*args)

    monkeypatch.setattr(bootstrap, "Database", open_at_once)
    desk = Desk.open({"BULKDEL_DATABASE_URL": database_url}, SilentBell())

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: desk.db, range(2))

    assert first is second
    desk.close()


def test_a_disposed_database_opens_again(database: Database) -> None:
    assert count(database) == 0

    database.dispose()

    assert count(database) == 0


def test_our_own_mistake_is_not_taken_for_an_outage(database: Database) -> None:
    with pytest.raises(DBAPIError), database.read() as connection:
        connection.exec_driver_sql("SELECT nothing FROM nowhere")


@pytest.mark.integration
def test_a_connection_that_was_cut_is_an_outage_and_the_next_one_works(
    postgresql_url: str,
) -> None:
    database = Database(postgresql_url)
    cut = text("SELECT pg_terminate_backend(:pid)")

    def cut_off() -> None:
        with database.write() as connection, database.write() as other:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            other.execute(cut, {"pid": pid})
            connection.exec_driver_sql(ADD)

    with pytest.raises(Unreachable, match="the database cannot be used") as raised:
        cut_off()

    assert "PostgreSQL runs" in raised.value.fix
    assert count(database) == 0
    database.dispose()


def test_a_server_that_is_not_there_is_an_outage_and_its_password_is_not_told(
    unused_tcp_port: int,
) -> None:
    database = Database(f"postgresql://ann:secret77@127.0.0.1:{unused_tcp_port}/none")

    with pytest.raises(Unreachable) as raised, database.read():
        pass

    assert "secret77" not in f"{raised.value} {raised.value.fix} {database!r}"


def test_a_disk_that_is_full_is_an_outage_that_passes_and_keeps_what_there_was(
    sqlite_url: str,
) -> None:
    database = Database(sqlite_url)
    with database.write() as connection:
        connection.exec_driver_sql(ADD)
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    many = "INSERT INTO accounts (name) VALUES (hex(randomblob(100000)))"

    with pytest.raises(Unreachable, match="disk is full"), database.write() as connection:
        connection.exec_driver_sql(many)
    kept = count(database)
    with database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        connection.exec_driver_sql(many)

    assert kept == 1
    assert count(database) == 2
    database.dispose()


def test_a_file_that_is_no_database_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "bulkdel.db"
    path.write_text("not a database, though long enough to be looked at " * 20)

    with pytest.raises(Unreachable), Database(f"sqlite:///{path}").write():
        pass


def test_the_folder_is_made_and_is_nobody_elses(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'bulkdel.db'}")

    with database.write():
        pass

    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    database.dispose()


def test_sqlite_is_set_up_to_survive_a_crash(sqlite_url: str) -> None:
    database = Database(sqlite_url)

    with database.write() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "recursive_triggers", "foreign_keys")
        }

    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "recursive_triggers": 1,
        "foreign_keys": 1,
    }
    database.dispose()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_a_database_we_cannot_work_with_is_wrong_input(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Database(url)

    assert "sqlite:///FILE" in raised.value.fix


def test_who_was_seen_lately_is_alive(database: Database) -> None:
    seen(database, "w1", "worker", "1.0")
    [first] = alive(database, MINUTE)
    seen(database, "b1", "beat", "1.0")
    seen(database, "w1", "worker", "1.1")

    [beat, again] = sorted(alive(database, MINUTE), key=lambda one: one.owner)

    assert (beat.owner, beat.role, beat.version) == ("b1", "beat", "1.0")
    assert (again.owner, again.role, again.version) == ("w1", "worker", "1.1")
    assert again.started_at == first.started_at
    assert again.seen_at >= first.seen_at


def test_who_was_not_seen_for_long_is_forgotten(database: Database) -> None:
    seen(database, "w1", "worker", "1.0")
    seen(database, "w2", "worker", "1.0")
    with database.write() as connection:
        connection.execute(
            text("UPDATE workers SET seen_at = '2020-01-01 00:00:00.000000' WHERE owner = 'w1'")
        )

    assert [one.owner for one in alive(database, MINUTE)] == ["w2"]
    assert forget(database, timedelta(days=1)) == 1
    gone(database, "w2")
    assert alive(database, timedelta(days=10_000)) == []


def test_a_named_lease_has_one_holder_until_it_ends(database: Database) -> None:
    assert take_named_lease(database, "sweep", "w1", MINUTE)
    assert not take_named_lease(database, "sweep", "w2", MINUTE)
    assert take_named_lease(database, "sweep", "w1", timedelta(0))
    assert take_named_lease(database, "sweep", "w2", MINUTE)

    give_named_lease(database, "sweep", "w1")
    assert not take_named_lease(database, "sweep", "w1", MINUTE)
    give_named_lease(database, "sweep", "w2")
    assert take_named_lease(database, "sweep", "w1", MINUTE)


def test_of_many_who_ask_at_once_one_gets_the_lease(database: Database) -> None:
    start = threading.Barrier(6)
    answers: list[bool] = []

    def ask(owner: str) -> None:
        start.wait(10)
        answers.append(take_named_lease(database, "sweep", owner, MINUTE))

    threads = [threading.Thread(target=ask, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(answers) == [False] * 5 + [True]
