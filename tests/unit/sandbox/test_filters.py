from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from worker.sandbox.client import ControlRefused

Ask = Callable[..., Awaitable[tuple[int, Any]]]
Tell = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.enable_socket

OLD = 978_287_400_000  # 2001-01-01T00:00:00+0530
GIVEN = {
    "project_id": "9",
    "project_name": "Zebra",
    "status": "completed",
    "created_time": "2001-01-01T00:00:00+0530",
    "last_modified_time": "2002-01-01T00:00:00+0530",
    "customer_id": "77",
    "customer_name": "Acme",
    "description": "Stripes and all",
    "billing_type": "based_on_task_hours",
    "budget_type": "hours_per_task",
    "rate": 5.0,
    "from_zoho_people": True,
}
SOWN = ["100", "101", "102", "103", "104"]
ONLY_NINE = [
    {"filter_by": "Status.Completed"},
    {"filter_by": "Status.ZohoPeople"},
    {"status": "completed"},
    {"customer_id": "77"},
    {"project_name_startswith": "Zeb"},
    {"project_name_contains": "bra"},
    {"description_startswith": "Stripes"},
    {"description_contains": "and"},
    {"description_in": "Nothing,Stripes and all"},
    {"billing_type": "based_on_task_hours"},
    {"budget_type": "hours_per_task"},
    {"created_time_millis_less_than": str(OLD + 1)},
    {"created_time_millis_less_equals": str(OLD)},
    {"last_modified_time_millis_less_than": str(OLD + 31_536_000_001)},
    {"last_modified_time_millis_less_equals": str(OLD + 31_536_000_000)},
    {"status": "completed", "created_time_millis_greater_equals": str(OLD)},
]
ALL_BUT_NINE = [
    {"filter_by": "Status.Active"},
    {"description_not_in": "Stripes and all"},
    {"created_time_millis_greater_than": str(OLD)},
    {"created_time_millis_greater_equals": str(OLD + 1)},
    {"last_modified_time_millis_greater_than": str(OLD + 31_536_000_000)},
    {"last_modified_time_millis_greater_equals": str(OLD + 31_536_000_001)},
]


@pytest.mark.parametrize(
    "filters, expected",
    [
        *[(filters, ["9"]) for filters in ONLY_NINE],
        *[(filters, SOWN) for filters in ALL_BUT_NINE],
        ({"filter_by": "Status.All"}, ["9", *SOWN]),
        ({"filter_by": "Status.Inactive"}, []),
        ({"status": "completed", "customer_id": "78"}, []),
    ],
)
async def test_a_list_and_the_judge_choose_alike(
    ask: Ask, tell: Tell, filters: dict[str, str], expected: list[str]
) -> None:
    await tell("projects", "1", [GIVEN])

    _, page = await ask("GET", "/projects", f"organization-id=1&{urlencode(filters)}")

    assert [project["project_id"] for project in page["projects"]] == expected
    assert sorted(await tell("select", "1", filters)) == sorted(expected)


async def test_an_unknown_filter_is_passed_over_by_a_list_and_refused_by_the_judge(
    ask: Ask, tell: Tell
) -> None:
    _, page = await ask("GET", "/projects", "organization-id=1&nonsense=1")

    assert len(page["projects"]) == 5
    with pytest.raises(ControlRefused, match="no filter nonsense"):
        await tell("select", "1", {"nonsense": "1"})


@pytest.mark.parametrize("column", ["project_name", "customer_name", "rate", "created_time"])
async def test_a_list_is_sorted_by_each_column(ask: Ask, tell: Tell, column: str) -> None:
    await tell("projects", "1", [GIVEN])
    query = f"organization-id=1&sort_column={column}"

    _, up = await ask("GET", "/projects", query)
    _, down = await ask("GET", "/projects", f"{query}&sort_order=D")

    ids = [project["project_id"] for project in up["projects"]]
    assert ids == [project["project_id"] for project in down["projects"]][::-1]
    assert "9" in (ids[0], ids[-1])


async def test_seeds_give_out_attributes_in_turn(tell: Tell) -> None:
    ids = await tell(
        "seed",
        "2",
        projects=4,
        customer_id=["7", "8"],
        description="Number {n}",
        billing_type=["based_on_staff_hours", "based_on_task_hours"],
        budget_type="hours_per_staff",
        modified_from="2020-01-01T00:00:00Z",
        modified_step=3600,
    )

    chosen = [
        await tell("select", "2", {"customer_id": "7"}),
        await tell("select", "2", {"description_in": "Number 0002"}),
        await tell("select", "2", {"billing_type": "based_on_task_hours", "customer_id": "8"}),
        await tell("select", "2", {"budget_type": "hours_per_staff"}),
        await tell("select", "2", {"last_modified_time_millis_less_equals": "1577840400000"}),
    ]

    assert chosen == [ids[::2], [ids[1]], ids[1::2], ids, ids[:2]]
