"""Brings a database up to the schema of this release, and says where it stands."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from worker.domain.errors import Unreachable
from worker.store.engine import SCHEMA, Database, schema_revision

_PACKAGE = Path(__file__).resolve().parents[1]


def migrations_folder() -> Path:
    """Where the migrations are: inside an installed wheel, or at the top of the repository."""
    for folder in (_PACKAGE / "_bundled" / "migrations", _PACKAGE.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise Unreachable("the migrations are not there", fix="install bulkdel again")


def upgrade(url: str, revision: str = "head") -> str:
    """Run all migrations that are missing; returns where the database stands then.

    Upgrades at the same time are harmless: one waits for the other. Raises Unreachable if the
    database is not there or in the way.
    """
    _run(url, command.upgrade, revision)
    return current(url) or ""


def downgrade(url: str, revision: str = "base") -> None:
    """Undo migrations down to `revision`. Everything in dropped tables is gone."""
    _run(url, command.downgrade, revision)


def current(url: str) -> str | None:
    """The migration the database stands at; None if it has no tables."""
    database = Database(url)
    try:
        with database.read() as connection:
            return schema_revision(connection)
    finally:
        database.dispose()


def head() -> str:
    """The newest migration there is."""
    return ScriptDirectory.from_config(config_of()).get_current_head() or ""


def is_current(database: Database) -> bool:
    """Whether the database has all that this release needs."""
    with database.read() as connection:
        return (schema_revision(connection) or "") >= SCHEMA


def config_of(url: str = "") -> Config:
    """What alembic needs to know to work on this database."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def _run(url: str, action: Callable[[Config, str], None], revision: str) -> None:
    Database(url)  # an address we cannot use is the caller's mistake, said plainly
    try:
        action(config_of(url), revision)
    except DBAPIError as error:
        why = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
        raise Unreachable(
            f"the database cannot be migrated: {why}",
            fix="check that it runs and nothing holds its tables, then: bulkdel db upgrade",
        ) from error
    except CommandError as error:
        raise Unreachable(
            f"the database cannot be migrated: {error}", fix="is it from a newer release?"
        ) from error
