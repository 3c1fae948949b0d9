"""Acceptance point systems-7: filters select what the provider says, and wrong ones nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.acceptance.conftest import ON_SERVICES, a_site
from tests.acceptance.site import ITEMS, Site
from tests.acceptance.stack import Stack
from tests.acceptance.systems import ZOHO_V3, ZOHO_V4, truto

pytestmark = [pytest.mark.number("systems-7"), ON_SERVICES, pytest.mark.timeout(3000)]

PROJECTS = 120
NOON = "2025-01-31T12:00:00Z"
"""When one project was created and another one changed, so that "before" and "until" differ."""
NOON_MILLIS = "1738324800000"
SEED: Mapping[str, Any] = {
    "projects": PROJECTS,
    "names": "Bridge {n}",
    "created_from": "2025-01-01T12:00:00Z",
    "created_step": 43_200,
    "modified_from": "2025-01-16T12:00:00Z",
    "modified_step": 43_200,
}
OF_ZOHO: Mapping[str, Any] = {
    "status": ["active", "inactive", "completed"],
    "customer_id": ["77", "78"],
    "description": ["Old stone {n}", "Steel {n}"],
    "billing_type": [
        "fixed_cost_for_project",
        "based_on_project_hours",
        "based_on_staff_hours",
        "based_on_task_hours",
    ],
    "budget_type": [
        "total_project_cost",
        "total_project_hours",
        "hours_per_task",
        "hours_per_staff",
    ],
}
OF_TRUTO: Mapping[str, Any] = {
    "owner": ["o1", "o2"],
    "stage": ["s1", "s2"],
    "account": ["a1", "a2"],
    "tags": [["red"], ["blue"], ["red", "green"]],
}
MOMENTS = ("created_time_millis", "last_modified_time_millis")
Case = tuple[str, Mapping[str, str | Sequence[str]]]


def alike(*given: str) -> list[Case]:
    """Filters that the provider has by the same name and value."""
    pairs = [one.partition("=") for one in given]
    return [(f"{name}={value}", {name: value}) for name, _, value in pairs]


ON_TIME: list[Case] = [
    (f"{name}_{side}={NOON}", {f"{name}_{side}": NOON_MILLIS})
    for name in MOMENTS
    for side in ("less_than", "less_equals", "greater_than", "greater_equals")
]
PORTABLE_OF_ZOHO: list[Case] = [
    (f"created_before={NOON}", {"created_time_millis_less_than": NOON_MILLIS}),
    (f"created_after={NOON}", {"created_time_millis_greater_than": NOON_MILLIS}),
    (f"last_modified_before={NOON}", {"last_modified_time_millis_less_than": NOON_MILLIS}),
    (f"last_modified_after={NOON}", {"last_modified_time_millis_greater_than": NOON_MILLIS}),
]
PORTABLE_OF_TRUTO: list[Case] = [
    (f"created_before={NOON}", {"created_at[lt]": NOON}),
    (f"created_after={NOON}", {"created_at[gt]": NOON}),
    (f"last_modified_before={NOON}", {"updated_at[lt]": NOON}),
    (f"last_modified_after={NOON}", {"updated_at[gt]": NOON}),
]
V4 = [
    *alike("status=active", "status=inactive", "status=completed"),
    *alike("filter_by=Status.All", "filter_by=Status.Active", "filter_by=Status.Inactive"),
    *alike("filter_by=Status.Completed", "filter_by=Status.ZohoPeople"),
    *alike("customer_id=78", "project_name_startswith=Bridge 00", "project_name_contains=17"),
    *alike("description_startswith=Steel", "description_contains=stone"),
    *alike("description_in=Steel 0002,Old stone 0003"),
    *alike("description_not_in=Steel 0002,Old stone 0003"),
    *alike(*(f"billing_type={word}" for word in OF_ZOHO["billing_type"])),
    *alike(*(f"budget_type={word}" for word in OF_ZOHO["budget_type"])),
    *ON_TIME,
    *PORTABLE_OF_ZOHO,
]
V3 = [
    *alike("filter_by=Status.All", "filter_by=Status.Active", "filter_by=Status.Inactive"),
    *alike("customer_id=78"),
    *PORTABLE_OF_ZOHO,
]
CRM: list[Case] = [
    *alike("name=Bridge 0017", "search_term=17", f"created_at={NOON}", f"updated_at={NOON}"),
    ("owner.id=o2", {"owner[id]": "o2"}),
    ("stage.id=s1", {"stage[id]": "s1"}),
    ("account.id=a2", {"account[id]": "a2"}),
    ("tags=green,blue", {"tags[]": ["green", "blue"]}),
    *PORTABLE_OF_TRUTO,
]
SYSTEMS = {
    "v4": (ZOHO_V4, {**SEED, **OF_ZOHO}, V4),
    "v3": (ZOHO_V3, {**SEED, **OF_ZOHO}, V3),
    "capsule": (
        truto("capsule"),
        {**SEED, **OF_TRUTO, "status": ["open", "closed"]},
        [*alike("status=open", "status=closed"), *CRM],
    ),
    "pipeliner": (
        truto("pipeliner"),
        {**SEED, **OF_TRUTO, "status": ["completed", "in progress"]},
        [*alike("status=completed", "status=in progress"), *CRM],
    ),
}
ALL_OR_NONE = {"filter_by=Status.All": PROJECTS, "filter_by=Status.ZohoPeople": 1}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    """The name of a system."""
    return str(request.param)


@pytest.fixture
def site(system: str, stack: Stack) -> Iterator[Site]:
    """An account of this system."""
    yield from a_site(stack, SYSTEMS[system][0])


def test_every_filter_selects_what_the_provider_says(site: Site, system: str, full: bool) -> None:
    _, seed, cases = SYSTEMS[system]
    ids = site.seed(**seed)
    if system in {"v3", "v4"}:
        site.stack.control.projects(
            site.organization, [{"project_id": ids[0], "from_zoho_people": True}]
        )
    for given, asked in cases if full else cases[-3:-2]:
        expected = set(site.stack.control.select(site.organization, asked))
        assert 0 < len(expected) <= ALL_OR_NONE.get(given, PROJECTS - 1), given

        job = site.select(given, options=[*_cascade(system), "--dry-run", "--wait=5m"]).ended(0)

        chosen = {item.external_id for item in site.sql(ITEMS, job=job.json["id"])}
        assert chosen == expected, given
    assert site.deletions() == []


def test_the_filters_of_the_table_are_all_there_are(site: Site, system: str) -> None:
    proven = {given.partition("=")[0] for given, _ in SYSTEMS[system][2]}

    told = site.select("no_such=1", options=_cascade(system)).ended(2)

    there = told.json["error"]["fix"].removeprefix("there are: ").split(", ")
    assert set(there) == proven


@pytest.mark.parametrize(
    "given", ["state=open", "", "created_before=", "created_before=yesterday", "status=nowhere"]
)
def test_a_wrong_filter_is_refused_with_what_there_is(
    stack: Stack, given: str, full: bool
) -> None:
    systems = SYSTEMS if full else {"v4": SYSTEMS["v4"]}
    for name, (system, _, cases) in systems.items():
        for site in a_site(stack, system):
            there = {case.partition("=")[0] for case, _ in cases}

            told = site.select(given, options=_cascade(name)).ended(2)

            fix = told.json["error"]["fix"]
            assert all(name in fix for name in there), fix
            assert site.ledger() == []
            assert site.sql("SELECT id FROM jobs WHERE account = :a", a=site.account) == []


def _cascade(system: str) -> list[str]:
    return ["--cascade", "none"] if system in {"v3", "v4"} else []
