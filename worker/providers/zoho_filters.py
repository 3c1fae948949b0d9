"""The filters of Zoho Books' project list, by version."""

from typing import Final

from worker.domain.bounds import CREATED, MODIFIED, Side
from worker.domain.filters import Filter, FilterType, portable
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
    ("customer_id", "customer_id", Match.ID),
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
TIMES: Final = (
    ("less_than", Side.BEFORE, False),
    ("less_equals", Side.BEFORE, True),
    ("greater_than", Side.AFTER, False),
    ("greater_equals", Side.AFTER, True),
)
STATUSES: Final = ("active", "inactive", "completed")


def _statuses(name: str, *choices: str) -> Filter:
    words = tuple(
        (choice, status)
        for choice in choices
        for status in STATUSES
        if choice.lower() in {status, f"status.{status}"}
    )
    trait = Trait(field="status", words=words, all_of=frozenset({"Status.All"}))
    return Filter(name=name, type=FilterType.CHOICE, choices=choices, trait=trait)


def _times(name: str, moment: str) -> tuple[Filter, ...]:
    return tuple(
        Filter(
            name=f"{name}_millis_{comparison}",
            type=FilterType.MILLIS,
            moment=moment,
            side=side,
            includes=includes,
        )
        for comparison, side, includes in TIMES
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
    *(
        Filter(name=name, type=FilterType.LIST, trait=Trait(field="description", match=how))
        for name, how in (
            ("description_in", Match.ONE_OF),
            ("description_not_in", Match.NONE_OF),
        )
    ),
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
    Filter(name="customer_id", trait=Trait(field="customer_id", match=Match.ID)),
    *portable({}),
)
