"""Builders for tests of the audit log, and what somebody can do who owns the database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, text

from worker.domain.audit import Entry, Event, job_chain
from worker.store.audit_log import AuditEntry, Filter, query
from worker.store.chain import append
from worker.store.engine import Database, now
from worker.store.models import Base

JOB = "j1"
CHAIN = job_chain(JOB)


def an_entry(item_id: int | None = None, **fields: Any) -> Entry:  # noqa: ANN401  any field of an entry
    needed: dict[str, Any] = {
        "chain": CHAIN,
        "job_id": JOB,
        "item_id": item_id,
        "event": Event.CALL,
        "account": "acme",
        "provider": "zoho_books",
        "actor": "w1",
        "kind": "project",
        "external_id": "" if item_id is None else str(460000 + item_id),
        "verdict": "deleted",
    }
    return Entry(**(needed | fields))


def write(database: Database, entries: Sequence[Entry], *, at: datetime | None = None) -> datetime:
    with database.write() as connection:
        return append(connection, entries, at=at)


def entries_of(database: Database, **wanted: Any) -> list[AuditEntry]:  # noqa: ANN401  any field of a filter
    return list(query(database, Filter(**wanted)))


def with_settled_job(database: Database) -> Database:
    """A job of five items, all deleted, with the entries that say so after one of submitting."""
    tables = Base.metadata.tables
    with database.write() as connection:
        at = now(connection)
        connection.execute(insert(tables["accounts"]).values(name="acme"))
        job = {"id": JOB, "account": "acme", "provider": "zoho_books", "action": "delete"}
        job |= {"options": "{}", "state": "succeeded", "reason": "old", "actor": "ann"}
        connection.execute(insert(tables["jobs"]).values(created_at=at, **job))
        item = {"job_id": JOB, "account": "acme", "kind": "project", "state": "settled"}
        connection.execute(
            insert(tables["items"]),
            [
                item
                | {"id": n, "position": n, "external_id": str(460000 + n), "outcome": "deleted"}
                for n in range(1, 6)
            ],
        )
        append(connection, [an_entry(event=Event.JOB_SUBMITTED, verdict="")])
        append(connection, [an_entry(n, outcome="deleted") for n in range(1, 6)])
    return database


@contextmanager
def triggers_off(database: Database) -> Iterator[Connection]:
    """What somebody can do who owns the database."""
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type='trigger'"))
            for name in names.all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
