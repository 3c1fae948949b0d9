"""Names in `bulkdel.toml`: of tables, and of other tables that a key refers to."""

import re
from collections.abc import Mapping

from pydantic_core import PydanticCustomError

from worker.config.fields import NAME, UNKNOWN, fault
from worker.config.values import did_you_mean
from worker.domain.catalogue import shown


def named(tables: object) -> object:
    """Tables that know the name they stand under; a fault for a name that is none."""
    if not isinstance(tables, Mapping):
        return tables
    for name, table in tables.items():
        if not re.fullmatch(NAME, name):
            raise fault(
                "is not a name: a-z, 0-9, - and _, at most 63, a letter or digit first",
                under=(name,),
            )
        if isinstance(table, Mapping) and "name" in table:
            raise fault("is unknown", under=(name, "name"), kind=UNKNOWN)
    return {
        name: {**table, "name": name} if isinstance(table, Mapping) else table
        for name, table in tables.items()
    }


def no_such(
    what: str, name: str, known: Mapping[str, object], under: tuple[str, ...]
) -> PydanticCustomError:
    """A name that refers to nothing, with what there is."""
    return fault(
        f"names no {what} of this file: {shown(name)}{did_you_mean(name, known)}",
        fix=f"there are: {', '.join(known) or 'none'}",
        under=under,
    )
