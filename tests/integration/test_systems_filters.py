"""Every filter there is selects exactly what the provider says it selects."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.stage import CRM, OLD, ORGANIZATION, Stage
from worker.domain.filters import Filter, FilterType
from worker.providers.truto import CAPSULE
from worker.providers.zoho_filters import FILTERS_V3, FILTERS_V4

pytestmark = pytest.mark.enable_socket

PROJECTS = 220
MIDDLE = "2025-02-10T00:00:00Z"
AT = str(int(datetime(2025, 2, 10, tzinfo=UTC).timestamp() * 1000))
SEED: dict[str, Any] = {
    "projects": PROJECTS,
    "created_step": 40_000,
    "modified_from": "2025-01-20T00:00:00Z",
    "modified_step": 30_000,
    "names": "Bridge {n}",
    "status": ["active", "inactive", "completed"],
    "customer_id": ["77", "78"],
    "description": ["Old stone {n}", "Steel {n}"],
    "billing_type": ["fixed_cost_for_project", "based_on_staff_hours"],
    "budget_type": ["total_project_cost", "hours_per_task"],
}
CRM_SEED: dict[str, Any] = {
    **{name: SEED[name] for name in ("projects", "created_step", "modified_from")},
    **{name: SEED[name] for name in ("modified_step", "names")},
    "status": ["open", "closed"],
    "owner": ["o1", "o2"],
    "stage": ["s1", "s2"],
    "account": ["a1", "a2"],
    "tags": [["red"], ["blue"], ["red", "green"]],
}
TEXTS = {
    "customer_id": "78",
    "project_name_startswith": "Bridge 00",
    "project_name_contains": "17",
    "description_startswith": "Steel",
    "description_contains": "stone",
    "description_in": "Steel 0002,Old stone 0003",
    "description_not_in": "Steel 0002,Old stone 0003",
    "name": "Bridge 0017",
    "search_term": "17",
    "owner.id": "o2",
    "stage.id": "s1",
    "account.id": "a2",
    "tags": "green,blue",
}
PORTABLE = {
    "created_before": "created_time_millis_less_than",
    "created_after": "created_time_millis_greater_than",
    "last_modified_before": "last_modified_time_millis_less_than",
    "last_modified_after": "last_modified_time_millis_greater_than",
}
NOT_HERE = {"Status.ZohoPeople"}  # no project of the seed came from there


def values_of(spec: Filter) -> list[str]:
    match spec.type:
        case FilterType.CHOICE:
            seeded = [*SEED["billing_type"], *SEED["budget_type"]]
            is_type = spec.name in {"billing_type", "budget_type"}
            return [word for word in spec.choices if not is_type or word in seeded]
        case FilterType.MILLIS | FilterType.DATE:
            return [MIDDLE]
        case _:
            return [TEXTS[spec.name]]


def asked_of(spec: Filter, value: str) -> dict[str, Any]:
    """The filter in the words of the provider."""
    if spec.name in PORTABLE:
        return {PORTABLE[spec.name]: AT}
    if spec.type is FilterType.MILLIS:
        return {spec.wire_name: AT}
    if spec.wire_name.endswith("[]"):
        return {spec.wire_name: value.split(",")}
    return {spec.wire_name: value}


async def differences(
    stage: Stage, specs: tuple[Filter, ...], *, account: str, organization: str
) -> list[str]:
    """Filters that select something else than the provider does, or nothing, or all."""
    wrong = []
    for spec in specs:
        for value in values_of(spec):
            expected = set(await stage.tell("select", organization, asked_of(spec, value)))
            given = (f"{spec.name}={value}",)
            cascade = None if account == "crm" else ("none",)
            job = await stage.run(filters=given, account=account, cascade=cascade, dry_run=True)
            says_all = value == "Status.All"
            tells = says_all or value in NOT_HERE or 0 < len(expected) < PROJECTS
            if stage.selected(job) != expected or not tells:
                wrong.append(f"{given}: {len(stage.selected(job))} and not {len(expected)}")
    return wrong


async def test_every_filter_of_v4(stage: Stage) -> None:
    await stage.tell("seed", ORGANIZATION, **SEED)

    assert await differences(stage, FILTERS_V4, account="acme", organization=ORGANIZATION) == []


async def test_every_filter_of_v3(stage: Stage) -> None:
    await stage.tell("seed", OLD, **SEED)

    assert await differences(stage, FILTERS_V3, account="old", organization=OLD) == []


async def test_every_filter_of_truto(stage: Stage) -> None:
    await stage.tell("seed", CRM, **CRM_SEED)
    specs = tuple(spec for spec in CAPSULE.filters if spec.name not in PORTABLE)

    assert await differences(stage, specs, account="crm", organization=CRM) == []
