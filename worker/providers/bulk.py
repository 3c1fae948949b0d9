"""What the answer to a bulk delete says of each id: some succeed and still name what they left."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.domain.calls import Call
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Verdict
from worker.providers.dialect import Bulk, Dialect

IDS = re.compile(r"(?:^|_)ids?$|Ids?$")
"""The end of a key that names ids: `ids`, `projectId`, `project_ids`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Ids that a call did not delete, and what it says of them."""

    ids: frozenset[str]
    code: str
    message: str


def bulk_of(dialect: Dialect, *, parameter: str = "", size: int = 0) -> Bulk:
    """The dialect's bulk delete with the settings of an account, where it has its own.

    InvalidInput if the dialect has none, or the size is above what there may be.
    """
    known = dialect.bulk
    if known is None:
        raise InvalidInput(
            f"{dialect.provider} {dialect.name} has no bulk delete".replace("  ", " "),
            fix="take bulk_delete out of the account",
        )
    if size > known.most:
        raise InvalidInput(f"bulk_delete.size is {size}", fix=f"at most {known.most}")
    return Bulk(
        path=known.path,
        rows=known.rows,
        parameter=parameter or known.parameter,
        size=size or known.size,
        most=known.most,
        reports=known.reports,
        shows_all=known.shows_all,
    )


def left_alone(bulk: Bulk, call: Call, body: Mapping[str, object]) -> tuple[Left, ...]:
    """The ids of the call that its answer names as not deleted; ids of others do not count."""
    asked = frozenset(target.external_id for target in call.targets)
    found = []
    for keys in bulk.reports:
        place = _at(body, keys)
        code = _code(place)
        for entry in _entries(place):
            ids = asked & frozenset(_ids(entry))
            if ids:
                said = entry.get("message")
                message = said if isinstance(said, str) else ""
                found.append(Left(ids=ids, code=_code(entry) or code, message=message))
    return tuple(found)


def by_target(call: Call, verdict: Verdict, left: Sequence[Left]) -> tuple[Verdict, ...]:
    """A verdict for each target, where the answer tells them apart."""
    if verdict is not Verdict.ACCEPTED or not left:
        return ()
    named = frozenset().union(*(one.ids for one in left))
    return tuple(
        Verdict.REFUSED if target.external_id in named else verdict for target in call.targets
    )


def _entries(place: object) -> Iterator[Mapping[str, object]]:
    lists = place.values() if isinstance(place, Mapping) else (place,)
    for entries in lists:
        if isinstance(entries, list):
            yield from (entry for entry in entries if isinstance(entry, Mapping))


def _ids(entry: Mapping[str, object]) -> Iterator[str]:
    for key, value in entry.items():
        if IDS.search(key):
            ids = value if isinstance(value, list) else (value,)
            yield from (str(id_) for id_ in ids if isinstance(id_, str | int))


def _code(place: object) -> str:
    code = place.get("code") if isinstance(place, Mapping) else None
    return str(code)[:20] if isinstance(code, int | str) else ""


def _at(body: Mapping[str, object], keys: Sequence[str]) -> object:
    place: object = body
    for key in keys:
        place = place.get(key) if isinstance(place, Mapping) else None
    return place
