"""The roles of docs/roles.sql on PostgreSQL: who may do what with which table, as a matrix."""

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from tests.stores import Store
from worker.store.engine import Database
from worker.store.migrate import upgrade
from worker.store.verify import verify

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[2] / "docs" / "roles.sql"
ROLES = ("owner", "work", "read")
REFUSED = "permission denied|must be owner"
BY_TRIGGER = "is refused: the audit log only grows|never goes back"

ALL, WORK, OWNER, NONE = {"owner", "work", "read"}, {"owner", "work"}, {"owner"}, set[str]()
MATRIX = {
    "SELECT count(*) FROM audit_entries": ALL,
    "SELECT count(*) FROM chain_heads": ALL,
    "SELECT count(*) FROM jobs": ALL,
    "SELECT count(*) FROM items": ALL,
    "SELECT version_num FROM alembic_version": ALL,
    "UPDATE jobs SET reason = 'x'": WORK,
    "UPDATE items SET reason = 'x'": WORK,
    "UPDATE accounts SET parked_text = 'x'": WORK,
    "DELETE FROM workers": WORK,
    "DELETE FROM items WHERE id < 0": WORK,
    "INSERT INTO accounts (name) VALUES ('another')": WORK,
    "INSERT INTO chain_heads (chain, seq, hash) VALUES ('job:x', 0, '0')": WORK,
    "DELETE FROM jobs WHERE id = 'x'": OWNER,
    "DELETE FROM accounts WHERE name = 'x'": OWNER,
    "UPDATE alembic_version SET version_num = version_num": OWNER,
    "ALTER TABLE audit_entries DISABLE TRIGGER USER": OWNER,
    "DROP TABLE audit_entries": OWNER,
    "CREATE TABLE mine (id int)": OWNER,
    "UPDATE audit_entries SET message = 'x'": NONE,
    "DELETE FROM audit_entries": NONE,
    "TRUNCATE audit_entries": NONE,
    "DELETE FROM chain_heads": NONE,
    "TRUNCATE chain_heads": NONE,
    "SET session_replication_role = replica": NONE,
}


class Roles:
    """A database of the owner's, with the grants of the script under names of this test's own."""

    def __init__(self, server: str) -> None:
        self.prefix = f"t{uuid4().hex[:8]}"
        self.name = f"{self.prefix}_db"
        self._server = server

    def make(self) -> None:
        for role in ROLES:
            self._admin("CREATE ROLE {} LOGIN", f"{self.prefix}_{role}")
        self._admin("CREATE DATABASE {} OWNER {}", self.name, f"{self.prefix}_owner")
        upgrade(self.url("owner"))
        script = SCRIPT.read_text(encoding="utf-8").replace("bulkdel_", f"{self.prefix}_")
        with self.connect("owner") as connection:
            connection.execute(script.encode())

    def drop(self) -> None:
        self._admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)
        for role in ROLES:
            self._admin("DROP ROLE IF EXISTS {}", f"{self.prefix}_{role}")

    def url(self, role: str) -> str:
        place = urlsplit(self._server)
        return f"postgresql://{self.prefix}_{role}@{place.hostname}:{place.port}/{self.name}"

    def connect(self, role: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.url(role), autocommit=True, connect_timeout=5)

    def _admin(self, statement: LiteralString, *names: str) -> None:
        asked = sql.SQL(statement).format(*map(sql.Identifier, names))
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(asked)


@pytest.fixture(scope="module")
def roles(postgresql_server: str) -> Iterator[Roles]:
    made = Roles(postgresql_server)
    try:
        made.make()
        yield made
    finally:
        made.drop()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("statement", MATRIX)
def test_each_role_may_do_what_the_matrix_says(roles: Roles, role: str, statement: str) -> None:
    with roles.connect(role) as connection, connection.transaction(force_rollback=True):
        if role in MATRIX[statement]:
            connection.execute(statement.encode())
            return
        # The owner is held up by the triggers alone, and could take them away.
        why = f"{REFUSED}|{BY_TRIGGER}"
        if role == "owner" and statement.startswith(("UPDATE", "DELETE")):
            connection.execute(_AN_ENTRY)
        with pytest.raises(psycopg.Error, match=why):
            connection.execute(statement.encode())


_AN_ENTRY = b"""
INSERT INTO chain_heads (chain, seq, hash) VALUES ('account:x', 1, 'h');
INSERT INTO audit_entries (chain, seq, account, event, actor, at, prev_hash, hash)
VALUES ('account:x', 1, 'x', 'account.parked', 'w', now(), repeat('0', 64), 'h');
"""


def test_a_job_is_worked_by_work_and_verified_by_read(roles: Roles) -> None:
    worker = Database(roles.url("work"))
    store = Store(worker)
    lease, job = store.running()
    store.open(lease, store.item(job, "p1"))
    auditor = Database(roles.url("read"))

    assert verify(auditor, job.id).is_sound
    auditor.check_schema()
    with pytest.raises(Exception, match="permission denied"), auditor.write() as connection:
        connection.execute(text("UPDATE jobs SET reason = 'x'"))
    worker.dispose()
    auditor.dispose()
