"""The filters of Zoho Books' project list, by version."""

from typing import Final

from worker.domain.filters import CREATED, MODIFIED, Filter, FilterType, Side, portable

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
    "customer_id",
    "project_name_startswith",
    "project_name_contains",
    "description_startswith",
    "description_contains",
)
# "Earlier or at" and "later or at" are no side: the bound next to the filter would be too narrow.
TIMES: Final = (
    ("less_than", Side.BEFORE),
    ("less_equals", None),
    ("greater_than", Side.AFTER),
    ("greater_equals", None),
)


STATUSES: Final = ("active", "inactive", "completed")


def _choice(name: str, *choices: str) -> Filter:
    shows = tuple(
        (choice, status)
        for choice in choices
        for status in STATUSES
        if choice.lower() in {status, f"status.{status}"}
    )
    return Filter(name=name, type=FilterType.CHOICE, choices=choices, shows=shows)


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
    _choice("status", *STATUSES),
    _choice(
        "filter_by",
        "Status.All",
        "Status.Active",
        "Status.Inactive",
        "Status.Completed",
        "Status.ZohoPeople",
    ),
    *(Filter(name=name) for name in TEXTS),
    Filter(name="description_in", type=FilterType.LIST),
    Filter(name="description_not_in", type=FilterType.LIST),
    _choice("billing_type", *BILLING),
    _choice("budget_type", *BUDGETS),
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
    _choice("filter_by", "Status.All", "Status.Active", "Status.Inactive"),
    Filter(name="customer_id"),
    *portable({}),
)
