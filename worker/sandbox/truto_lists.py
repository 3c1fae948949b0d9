"""Which projects a list call of Truto shows: filters, order, cursor and page."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter, ge, gt, le, lt
from urllib.parse import parse_qsl

from worker.sandbox.rules import TrutoProvider
from worker.sandbox.seeding import moment
from worker.sandbox.state import Organization, Project
from worker.sandbox.truto_bodies import status_of

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
Pairs = Iterable[tuple[str, str]]
Test = Callable[[Project, TrutoProvider], bool]
SORTS: Mapping[str, Callable[[Project], object]] = {
    "amount": attrgetter("traits.rate", "id"),
    "created_at": attrgetter("created_at", "id"),
    "name": attrgetter("name", "id"),
    "updated_at": attrgetter("modified_at", "id"),
}
# A time without a comparison is the earliest that is wanted.
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "": ge,
    "[gte]": ge,
    "[gt]": gt,
    "[lte]": le,
    "[lt]": lt,
}


def _trait(name: str) -> Callable[[str], Test]:
    read = attrgetter(f"traits.{name}")
    return lambda value: lambda project, _: bool(read(project) == value)


def _time(field: str, holds: Callable[[float, float], bool]) -> Callable[[str], Test]:
    read = attrgetter(field)

    def build(value: str) -> Test:
        limit = moment(value)
        return lambda project, _: holds(read(project), limit)

    return build


FILTERS: Mapping[str, Callable[[str], Test]] = {
    "name": lambda value: lambda project, _: project.name == value,
    "status": lambda value: lambda project, provider: status_of(project, provider) == value,
    "search_term": lambda value: lambda project, _: value.lower() in project.name.lower(),
    **{f"{name}[id]": _trait(name) for name in ("owner", "stage", "account")},
    **{
        f"{name}{comparison}": _time(field, holds)
        for name, field in (("created_at", "created_at"), ("updated_at", "modified_at"))
        for comparison, holds in COMPARISONS.items()
    },
}
TAGS = "tags[]"  # may come several times: a project that has any of them is wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a reader is: the number of the page that comes next, and what it begins with."""

    page: int = 1
    start: int = 0

    def cursor(self) -> str:
        """The place in letters nobody is to read."""
        text = json.dumps([self.page, self.start], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page; `after` is where the next one begins, if there is one."""

    projects: list[Project]
    after: Place | None
    before: Place | None


def pairs_of(query: str) -> list[tuple[str, str]]:
    """Every name and value of a query, in their order, the repeated ones too."""
    return parse_qsl(query, keep_blank_values=True)


def page(organization: Organization, given: Pairs) -> Page:
    """One page of what is asked for; ValueError for a value nobody can read."""
    pairs = list(given)
    params = dict(pairs)
    limit = int(params.get("limit", str(DEFAULT_LIMIT)))
    if limit < 1:
        raise ValueError("limit")
    limit = min(limit, MAX_LIMIT)
    place = _place(params.get("next_cursor", ""))
    shown = _wanted(organization, organization.all_seen(), pairs)
    shown.sort(key=SORTS[params.get("sort_by", "created_at")])  # type: ignore[arg-type] # keys of one column compare
    rules = organization.truto
    if rules is not None and place.page in rules.empty_pages:
        return Page(projects=[], after=Place(page=place.page + 1, start=place.start), before=None)
    end = place.start + limit
    after = Place(page=place.page + 1, start=end) if end < len(shown) else None
    back = max(0, place.start - limit)
    before = Place(page=max(1, place.page - 1), start=back) if place.start else None
    return Page(projects=shown[place.start : end], after=after, before=before)


def select(organization: Organization, given: Pairs) -> list[str]:
    """The ids of the living projects every filter holds for; ValueError for an unknown filter."""
    pairs = list(given)
    known = {*FILTERS, TAGS}
    unknown = sorted({name for name, _ in pairs} - known)
    if unknown:
        raise ValueError(f"no filter {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    living = organization.projects.values()
    return [project.id for project in _wanted(organization, living, pairs)]


def _wanted(
    organization: Organization, projects: Iterable[Project], pairs: list[tuple[str, str]]
) -> list[Project]:
    rules = organization.truto
    provider = TrutoProvider.CAPSULE if rules is None else rules.provider
    tests = [FILTERS[name](value) for name, value in pairs if name in FILTERS]
    tags = {value for name, value in pairs if name == TAGS}
    return [
        project
        for project in projects
        if all(test(project, provider) for test in tests)
        and (not tags or not tags.isdisjoint(project.traits.tags))
    ]


def _place(cursor: str) -> Place:
    if not cursor:
        return Place()
    try:
        number, start = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return Place(page=int(number), start=max(0, int(start)))
    except (binascii.Error, TypeError) as error:
        raise ValueError("next_cursor") from error
