"""Acceptance point 8: what somebody changes in the audit log past its triggers is found."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text

from tests.acceptance.commands import Reply
from tests.acceptance.site import Site
from worker.store.engine import database_url
from worker.store.engines import writing_engine

pytestmark = pytest.mark.number(8)

FORGED = """
INSERT INTO audit_entries ({columns})
SELECT {copied} FROM audit_entries WHERE chain = :chain AND seq = 4
"""
CHANGES = {
    "a change": ("UPDATE audit_entries SET message = 'as if' WHERE chain = :chain AND seq = 5",),
    "a deletion": ("DELETE FROM audit_entries WHERE chain = :chain AND seq = 5",),
    "an insert": (
        "UPDATE audit_entries SET seq = -(seq + 1) WHERE chain = :chain AND seq >= 5",
        "UPDATE audit_entries SET seq = -seq WHERE chain = :chain AND seq < 0",
        FORGED,
    ),
    "a swap": (
        "UPDATE audit_entries SET seq = -seq WHERE chain = :chain AND seq IN (5, 6)",
        "UPDATE audit_entries SET seq = 11 + seq WHERE chain = :chain AND seq < 0",
    ),
}


def test_the_database_refuses_to_change_the_audit_log(site: Site) -> None:
    job = _finished(site)
    for statement in CHANGES["a change"] + CHANGES["a deletion"]:
        with (
            pytest.raises(Exception, match=r"never changed|never deleted|only grows"),
            _open(site) as database,
        ):
            database.execute(text(statement), {"chain": f"job:{job['id']}"})

    site.stack.run("audit", "verify", job["id"]).ended(0)


@pytest.mark.parametrize("statements", CHANGES.values(), ids=CHANGES)
def test_verifying_names_the_first_bad_entry(site: Site, statements: tuple[str, ...]) -> None:
    job = _finished(site)
    site.stack.run("audit", "verify", job["id"]).ended(0)
    with _open(site) as database, _triggers_off(database):
        for statement in statements:
            columns = [name for name in _columns(database) if name != "id"]
            forged = {"seq": "5", "prev_hash": "hash", "hash": f"'{'f' * 64}'"}
            copied = [forged.get(name, name) for name in columns]
            told = statement.format(columns=", ".join(columns), copied=", ".join(copied))
            database.execute(text(told), {"chain": f"job:{job['id']}"})

    found = site.stack.run("audit", "verify", job["id"], "--json").ended(5).json

    bad = found["first_bad"]
    assert (found["ok"], bad["chain"], bad["seq"]) == (False, f"job:{job['id']}", 5)
    said = site.stack.run("audit", "verify", job["id"]).ended(5).stdout
    assert f"first bad entry: chain job:{job['id']}, seq 5" in said


def _finished(site: Site) -> Reply:
    return site.submit(site.seed(2), "--cascade", "none", "--yes", "--wait=1m").json


@contextmanager
def _open(site: Site) -> Iterator[Connection]:
    """A transaction of somebody who owns the database.

    On SQLite it begins as a writer: one that read first fails if a worker wrote in between.
    """
    engine = writing_engine(database_url(site.stack.database_url))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _triggers_off(database: Connection) -> Iterator[None]:
    if database.dialect.name == "postgresql":
        database.execute(text("SET LOCAL session_replication_role = replica"))
        yield
        return
    wanted = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = list(database.execute(wanted))
    for name, _ in triggers:
        database.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for _, made in triggers:
        database.exec_driver_sql(made)


def _columns(database: Connection) -> list[str]:
    return list(database.execute(text("SELECT * FROM audit_entries LIMIT 0")).keys())
