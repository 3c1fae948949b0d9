"""The store over each database, checked once more when a test has had its way with it."""

from collections.abc import Iterator

import pytest

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
