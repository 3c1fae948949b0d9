"""The servers and stores that contracts are tested on."""

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.conformance.valkey import start_valkey, stop_valkey
from tests.stores import Store
from worker.store.engine import Database


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """The store over each database; whatever a test does to it, it fits together afterwards."""
    whole = Store(database)
    yield whole
    whole.check()


@pytest.fixture
def postgresql_store(postgresql_url: str) -> Iterator[Store]:
    """The store over PostgreSQL alone, where many write at once."""
    whole = Store(Database(postgresql_url))
    yield whole
    whole.check()
    whole.db.dispose()


@pytest.fixture(scope="module")
def valkey_url() -> Generator[str]:
    with tempfile.TemporaryDirectory(prefix="gate") as home:
        process = start_valkey(Path(home))
        yield f"unix://{home}/s"
        stop_valkey(process)
