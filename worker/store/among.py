"""A column among many values that go in one parameter, so that the statement stays the same.

An IN list has a parameter for each value: for every other number of them SQLAlchemy writes the
statement anew, and the database plans it anew.
"""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Boolean, Dialect, String, TypeDecorator, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


class _Many(TypeDecorator[Collection[Any]]):
    """Values of one type: an array on PostgreSQL, JSON text on SQLite."""

    # SQLAlchemy documents these as plain class attributes.
    impl = String  # type: ignore[mutable-override]
    cache_ok = True  # type: ignore[mutable-override]

    def __init__(self, each: TypeEngine[Any]) -> None:
        super().__init__()
        self.each = each

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """How the parameter goes to this database."""
        is_array = dialect.name == "postgresql"
        return dialect.type_descriptor(ARRAY(self.each) if is_array else String())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:  # noqa: ANN401  by the database
        """The values as this database takes them."""
        values = list(value or ())
        return values if dialect.name == "postgresql" else json.dumps(values)


class _Among(FunctionElement[bool]):
    """Written out by `among`."""

    # The same.
    inherit_cache = True  # type: ignore[mutable-override]
    type = Boolean()  # type: ignore[mutable-override]


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether the column has one of the values of the parameter `name`, a collection."""
    return _Among(column, bindparam(name, type_=_Many(column.type)))


@compiles(_Among, "postgresql")
def _any(element: _Among, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401  SQLAlchemy's own
    column, values = (compiler.process(part, **words) for part in element.clauses)
    return f"{column} = ANY({values})"


@compiles(_Among, "sqlite")
def _each(element: _Among, compiler: SQLCompiler, **words: Any) -> str:  # noqa: ANN401  SQLAlchemy's own
    column, values = (compiler.process(part, **words) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608  SQL from the compiler
