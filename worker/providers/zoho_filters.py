"""The filters of Zoho Books' project list, by version."""

from typing import Final

from worker.domain.filters import CREATED, MODIFIED, Filter, FilterType, Side, portable
from worker.domain.traits import Match, Trait

BILLING: Final = (
    "fixed_cost_for_project",
    "based_on_project_hours",
    "based_on_staff_hours",
    "based_on_task_hours",
    "based_on_project_days",
    "based_on_staff_days",
    "based_on_task_days",
)
BUDGETS: Final = ("total_project_cost", "total_project_hours", "hours_per_task", "hours_per_staff")
TEXTS: Final = (
    ("customer_id", "customer_id", Match.WHOLE),
    ("project_name_startswith", "name", Match.BEGINS),
    ("project_name_contains", "name", Match.WITHIN),
    ("description_startswith", "description", Match.BEGINS),
    ("description_contains", "description", Match.WITHIN),
)
# What of that a list shows beside a project's name; v4 shows the customer as an object.
BESIDE: Final = (
    *((name, (name,)) for name in ("customer_id", "description", "billing_type", "budget_type")),
    ("customer_id", ("customer", "customer_id")),
)
# "Earlier or at" and "later or at" are no side: the bound next to the filter would be too narrow.
TIMES: Final = (
    ("less_than", Side.BEFORE),
    ("less_equals", None),
    ("greater_than", Side.AFTER),
    ("greater_equals", None),
)


STATUSES: Final = ("active", "inactive", "completed")


def _statuses(name: str, *choices: str) -> Filter:
    words = tuple(
        (choice, status)
        for choice in choices
        for status in STATUSES
        if choice.lower() in {status, f"status.{status}"}
    )
    trait = Trait(field="status", words=words)
    return Filter(name=name, type=FilterType.CHOICE, choices=choices, trait=trait)


def _times(name: str, moment: str) -> tuple[Filter, ...]:
    return tuple(
        Filter(
            name=f"{name}_millis_{comparison}",
            type=FilterType.MILLIS,
            moment=moment if side else "",
            side=side,
        )
        for comparison, side in TIMES
    )


FILTERS_V4: Final = (
    _statuses("status", *STATUSES),
    _statuses(
        "filter_by",
        "Status.All",
        "Status.Active",
        "Status.Inactive",
        "Status.Completed",
        "Status.ZohoPeople",
    ),
    *(Filter(name=name, trait=Trait(field=field, match=how)) for name, field, how in TEXTS),
    Filter(name="description_in", type=FilterType.LIST),
    Filter(name="description_not_in", type=FilterType.LIST),
    *(
        Filter(name=name, type=FilterType.CHOICE, choices=choices, trait=Trait(field=name))
        for name, choices in (("billing_type", BILLING), ("budget_type", BUDGETS))
    ),
    *_times("created_time", CREATED),
    *_times("last_modified_time", MODIFIED),
    *portable(
        {
            "created_before": "created_time_millis_less_than",
            "created_after": "created_time_millis_greater_than",
            "last_modified_before": "last_modified_time_millis_less_than",
            "last_modified_after": "last_modified_time_millis_greater_than",
        },
        FilterType.MILLIS,
    ),
)

# v3 documents two filters. One that it does not know might be ignored, and then select everything:
# so times are held against what its list shows.
FILTERS_V3: Final = (
    _statuses("filter_by", "Status.All", "Status.Active", "Status.Inactive"),
    Filter(name="customer_id", trait=Trait(field="customer_id")),
    *portable({}),
)
