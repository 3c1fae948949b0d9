"""Runs the migrations: one at a time, whoever else tries; each in a transaction of its own.

The URL comes from `config.attributes["url"]` (worker.store.migrate) or BULKDEL_DATABASE_URL.
"""

import os

from alembic import context
from sqlalchemy import Connection

from worker.store.base import Utc
from worker.store.engine import database_url
from worker.store.engines import writing_engine
from worker.store.models import Base

# Any constant will do, as long as all upgrades of one database use the same.
UPGRADE_LOCK = 6_204_771_935


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """Migrations name plain types: ours may move or change later."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Utc) else False


OPTIONS = {
    "render_item": render_item,
    "target_metadata": Base.metadata,
    "transactional_ddl": True,
    "transaction_per_migration": True,
    "compare_type": True,
}


def url_text() -> str:
    text = context.config.attributes.get("url") or os.environ.get("BULKDEL_DATABASE_URL")
    if not text:
        raise SystemExit("set BULKDEL_DATABASE_URL, or run: bulkdel db upgrade")
    return str(text)


def run_offline() -> None:
    url = database_url(url_text())
    context.configure(url=url, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def run_sqlite(connection: Connection) -> None:
    # BEGIN IMMEDIATE around all of it keeps every other upgrade out; SQLite has no other lock.
    with connection.begin():
        context.configure(connection=connection, render_as_batch=True, **OPTIONS)
        context.run_migrations()
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise SystemExit(f"a migration broke {len(broken)} foreign keys; nothing was changed")


def run_postgresql(connection: Connection) -> None:
    # Another upgrade may take its time; a lock on a table that is in use may not.
    connection.exec_driver_sql("SET lock_timeout = '10min'")
    connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (UPGRADE_LOCK,))
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    connection.commit()
    try:
        # Here alone: of SQLite's defaults the comparison reads every '' as a change.
        context.configure(connection=connection, compare_server_default=True, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (UPGRADE_LOCK,))
        connection.commit()


def run_online() -> None:
    # Without foreign keys: a batch operation drops tables that others point to.
    engine = writing_engine(database_url(url_text()), foreign_keys=False)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                run_sqlite(connection)
            else:
                run_postgresql(connection)
    finally:
        engine.dispose()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
