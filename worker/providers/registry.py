"""Which dialects there are: ours, and those of installed packages.

A package adds a provider with an entry point of the group `bulkdel.providers`, named like the
provider and leading to a Dialect or to a tuple of them. Ours cannot be replaced.
"""

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput
from worker.providers import truto, zoho_books
from worker.providers.dialect import Dialect

GROUP: Final = "bulkdel.providers"
OURS: Final[tuple[Dialect, ...]] = (
    zoho_books.V4,
    zoho_books.V3,
    truto.UNIFIED,
    truto.CAPSULE,
    truto.PIPELINER,
)


def dialect_of(provider: str, name: str) -> Dialect:
    """The dialect of that name; InvalidInput naming what there is.

    An empty name will do for a provider with one dialect, or with one that is its default.
    """
    there = tuple(dialect for dialect in OURS if dialect.provider == provider)
    there = there or _installed(provider)
    if not there:
        raise InvalidInput(
            f"there is no provider {shown(provider)}{_guess(provider)}",
            fix=f"there are: {', '.join(providers())}",
        )
    usual = there if len(there) == 1 else tuple(one for one in there if one.is_default)
    if not name and len(usual) == 1:
        return usual[0]
    for dialect in there:
        if dialect.name == name:
            return dialect
    names = ", ".join(dialect.name for dialect in there)
    raise InvalidInput(f"{provider} has no dialect {shown(name)}", fix=f"it has: {names}")


def _guess(provider: str) -> str:
    near = get_close_matches(provider, providers(), n=1)
    return f": did you mean {near[0]}?" if near else ""


def providers() -> tuple[str, ...]:
    """Names of all providers, without loading those of others."""
    ours = {dialect.provider for dialect in OURS}
    return tuple(sorted(ours | {entry.name for entry in entry_points(group=GROUP)}))


def _installed(provider: str) -> tuple[Dialect, ...]:
    found: list[Dialect] = []
    for entry in entry_points(group=GROUP, name=provider):
        found.extend(_loaded(entry))
    return tuple(found)


def _loaded(entry: EntryPoint) -> tuple[Dialect, ...]:
    try:
        value = entry.load()
    except Exception as error:
        raise InvalidInput(
            f"provider {entry.name} of {entry.value} does not load: {type(error).__name__}",
            fix="repair or remove the package that offers it",
        ) from error
    dialects = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(dialect, Dialect) for dialect in dialects):
        raise InvalidInput(
            f"provider {entry.name}: {entry.value} is not a Dialect",
            fix="an entry point leads to a Dialect or a tuple of them",
        )
    return dialects
