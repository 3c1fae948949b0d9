"""Fresh databases for tests: a SQLite file, or a PostgreSQL database cloned from a template.

Loaded as a plugin by `tests/conftest.py`. Without PostgreSQL its tests are
skipped on a laptop and fail where CI is set.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.services import need_postgres
from worker.store.engine import Database
from worker.store.migrate import upgrade

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]


def _on_server(server: str, statement: LiteralString, *names: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=5) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def _postgresql_database(server: str, template: str | None = None) -> Iterator[str]:
    name = f"bulkdel_test_{uuid4().hex[:12]}"
    if template is None:
        _on_server(server, "CREATE DATABASE {}", name)
    else:
        _on_server(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield name
    finally:
        _on_server(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """PostgreSQL answers here; or the test is skipped, and fails where CI is set."""
    return need_postgres()


@pytest.fixture(scope="session")
def _postgresql_template(postgresql_server: str) -> Iterator[str]:
    with _postgresql_database(postgresql_server) as name:
        upgrade(f"{postgresql_server}/{name}")
        yield name


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "bulkdel.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh SQLite database with all tables."""
    path = tmp_path / "bulkdel.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgresql_server: str, _postgresql_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with all tables, dropped afterwards."""
    with _postgresql_database(postgresql_server, _postgresql_template) as name:
        yield f"{postgresql_server}/{name}"


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with all tables: SQLite, then PostgreSQL."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database with all tables, opened."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database without any table: SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'folder' / 'bulkdel.db'}"
        return
    server = str(request.getfixturevalue("postgresql_server"))
    with _postgresql_database(server) as name:
        yield f"{server}/{name}"
