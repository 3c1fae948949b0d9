"""Which projects a list call of Zoho Books shows: filters, order and page."""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter, ge, gt, le, lt

from worker.sandbox.state import Organization, Project

MAX_PER_PAGE = 200
STATUSES = frozenset({"status", "filter_by"})
Test = Callable[[Project], bool]

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "less_than": lt,
    "less_equals": le,
    "greater_than": gt,
    "greater_equals": ge,
}
SORT_KEYS: Mapping[str, Callable[[Project], object]] = {
    "created_time": attrgetter("created_at", "id"),
    "project_name": attrgetter("name", "id"),
    "customer_name": attrgetter("customer_name", "id"),
    "rate": attrgetter("traits.rate", "id"),
}


def _status(value: str) -> Test:
    return lambda project: project.status == value


def _filter_by(value: str) -> Test:
    wanted = value.removeprefix("Status.").lower()
    if wanted == "zohopeople":
        return lambda project: project.traits.from_zoho_people
    return lambda project: wanted in ("all", project.status)


def _trait(name: str) -> Callable[[str], Test]:
    read = attrgetter(f"traits.{name}")
    return lambda value: lambda project: bool(read(project) == value)


def _described_in(value: str, *, is_in: bool) -> Test:
    wanted = frozenset(value.split(","))
    return lambda project: (project.description in wanted) is is_in


def _millis(field: str, comparison: str) -> Callable[[str], Test]:
    moment, holds = attrgetter(field), COMPARISONS[comparison]

    def build(value: str) -> Test:
        limit = int(value)
        return lambda project: holds(round(moment(project) * 1000), limit)

    return build


FILTERS: Mapping[str, Callable[[str], Test]] = {
    "status": _status,
    "filter_by": _filter_by,
    **{name: _trait(name) for name in ("customer_id", "billing_type", "budget_type")},
    "project_name_startswith": lambda value: lambda project: project.name.startswith(value),
    "project_name_contains": lambda value: lambda project: value in project.name,
    "description_startswith": lambda value: lambda project: project.description.startswith(value),
    "description_contains": lambda value: lambda project: value in project.description,
    "description_in": lambda value: _described_in(value, is_in=True),
    "description_not_in": lambda value: _described_in(value, is_in=False),
    **{
        f"{name}_millis_{comparison}": _millis(field, comparison)
        for name, field in (("created_time", "created_at"), ("last_modified_time", "modified_at"))
        for comparison in COMPARISONS
    },
}


def select(organization: Organization, filters: Mapping[str, str]) -> list[str]:
    """The ids of the living projects every filter holds for; ValueError for an unknown filter."""
    unknown = sorted(filters.keys() - FILTERS.keys())
    if unknown:
        raise ValueError(f"no filter {', '.join(unknown)}; there are {', '.join(sorted(FILTERS))}")
    tests = [FILTERS[name](value) for name, value in filters.items()]
    return [project.id for project in _matching(organization.projects.values(), tests)]


class Lists:
    """Sorted lists by organisation, kept for as long as nothing changes there."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[int, list[Project]]] = {}

    def page(
        self, organization: Organization, params: Mapping[str, str]
    ) -> tuple[list[Project], dict[str, object]]:
        """The projects of one page and its page context; ValueError for a bad parameter."""
        page = int(params.get("page", "1"))
        per_page = min(int(params.get("per_page", str(MAX_PER_PAGE))), MAX_PER_PAGE)
        if page < 1 or per_page < 1:
            raise ValueError
        column = params.get("sort_column", "created_time")
        tests = [FILTERS[name](value) for name, value in params.items() if name in FILTERS]
        hidden = organization.rules.hidden_status
        if hidden and not params.keys() & STATUSES:
            tests.append(lambda project: project.status != hidden)
        shown = _matching(self._sorted(organization, column), tests)
        if params.get("sort_order", "A").upper().startswith("D"):
            shown = shown[::-1]
        start = (page - 1) * per_page
        context: dict[str, object] = {
            "page": page,
            "per_page": per_page,
            "has_more_page": len(shown) > start + per_page,
            "sort_column": column,
        }
        return shown[start : start + per_page], context

    def _sorted(self, organization: Organization, column: str) -> list[Project]:
        key = (organization.id, column)
        version, kept = self._kept.get(key, (-1, []))
        if version != organization.version:
            by = SORT_KEYS.get(column, SORT_KEYS["created_time"])
            kept = sorted(organization.all_seen(), key=by)  # type: ignore[arg-type] # keys of one column compare
            self._kept[key] = (organization.version, kept)
        return kept


def _matching(projects: Iterable[Project], tests: Iterable[Test]) -> list[Project]:
    wanted = list(tests)
    if not wanted:
        return list(projects)
    return [project for project in projects if all(test(project) for test in wanted)]
