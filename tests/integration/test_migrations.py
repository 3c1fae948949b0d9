"""Migrations on SQLite and PostgreSQL: up, down, and the models say the same."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from tests.audits import an_entry, entries_of, write
from worker.domain.errors import Unreachable
from worker.store import migrate
from worker.store.engine import SCHEMA, Database
from worker.store.models import Base

pytestmark = pytest.mark.integration

TABLES = set(Base.metadata.tables) | {"alembic_version"}


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.dispose()


def tables_of(database: Database) -> set[str]:
    with database.read() as connection:
        return set(inspect(connection).get_table_names())


def test_upgrading_makes_every_table(empty: Database) -> None:
    revision = migrate.upgrade(empty.url)

    assert revision == SCHEMA == migrate.head() == migrate.current(empty.url)
    assert tables_of(empty) == TABLES
    assert migrate.is_current(empty)


def test_upgrading_again_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty.url)
    write(empty, [an_entry(1)])

    again = migrate.upgrade(empty.url)

    write(empty, [an_entry(2)])
    assert again == SCHEMA
    assert [entry.item_id for entry in entries_of(empty)] == [1, 2]


def test_the_models_and_the_migrations_agree(empty: Database) -> None:
    migrate.upgrade(empty.url)

    command.check(migrate.config_of(empty.url))


def test_what_was_migrated_can_be_undone(empty: Database) -> None:
    migrate.upgrade(empty.url)

    migrate.downgrade(empty.url)

    assert tables_of(empty) == {"alembic_version"}
    assert migrate.current(empty.url) is None
    assert migrate.upgrade(empty.url) == SCHEMA


def test_the_triggers_come_back_with_the_migration(empty: Database) -> None:
    migrate.upgrade(empty.url)
    migrate.downgrade(empty.url, "0001")
    migrate.upgrade(empty.url)
    write(empty, [an_entry(1)])

    with pytest.raises(IntegrityError), empty.write() as connection:
        connection.exec_driver_sql("DELETE FROM audit_entries")


def test_upgrades_at_the_same_time_wait_for_each_other(empty: Database) -> None:
    code = "import sys; from worker.store.migrate import upgrade; upgrade(sys.argv[1])"
    root = Path(__file__).parents[2]

    running = [
        subprocess.Popen([sys.executable, "-c", code, empty.url], cwd=root) for _ in range(3)
    ]

    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert migrate.current(empty.url) == SCHEMA


def test_a_database_without_tables_says_what_to_run(empty: Database) -> None:
    with pytest.raises(Unreachable, match="has no tables") as raised:
        empty.check_schema()

    assert raised.value.fix == "run: bulkdel db upgrade"
    assert not migrate.is_current(empty)


def test_a_database_that_is_behind_says_what_to_run(empty: Database) -> None:
    migrate.upgrade(empty.url, "0001")

    with pytest.raises(Unreachable, match=f"it is at 0001, needed is {SCHEMA}") as raised:
        empty.check_schema()

    assert raised.value.fix == "run: bulkdel db upgrade"
    assert not migrate.is_current(empty)


def test_a_newer_database_still_works_and_is_not_touched(empty: Database) -> None:
    migrate.upgrade(empty.url)
    with empty.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    empty.check_schema()
    with pytest.raises(Unreachable, match="9999") as raised:
        migrate.upgrade(empty.url)

    assert "newer release" in raised.value.fix


def test_a_server_that_is_not_there_says_so(unused_tcp_port: int) -> None:
    with pytest.raises(Unreachable):
        migrate.upgrade(f"postgresql://postgres@127.0.0.1:{unused_tcp_port}/none")
