"""What a filter may say, what goes over the wire for it, and what is never read as "all"."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.calls import PROJECT, Seen, Target
from worker.domain.errors import InvalidInput
from worker.domain.filters import Filter, FilterType, described, parse
from worker.providers.truto import CAPSULE, PIPELINER, UNIFIED
from worker.providers.zoho_filters import FILTERS_V3, FILTERS_V4

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DAY_MS = 86_400_000
JAN_31_2025 = 1_738_281_600_000
UUID = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"


def a_project(created: str = "", modified: str = "", name: str = "x", **shown: str) -> Seen:
    target = Target(kind=PROJECT, external_id="1")
    status, beside = shown.pop("status", ""), tuple(shown.items())
    return Seen(
        target=target, name=name, status=status, created=created, modified=modified, beside=beside
    )


ZOHO = [
    ("status=active", "status", "active"),
    ("status=Completed", "status", "completed"),
    ("filter_by=Status.ZohoPeople", "filter_by", "Status.ZohoPeople"),
    ("filter_by=status.all", "filter_by", "Status.All"),
    ("customer_id=460000000044001", "customer_id", "460000000044001"),
    ("project_name_startswith=Net", "project_name_startswith", "Net"),
    ("project_name_contains=a=b & c", "project_name_contains", "a=b & c"),
    ("description_startswith=This", "description_startswith", "This"),
    ("description_contains=city", "description_contains", "city"),
    ("description_in=one, two", "description_in", "one,two"),
    ("description_not_in=one", "description_not_in", "one"),
    ("billing_type=based_on_staff_days", "billing_type", "based_on_staff_days"),
    ("budget_type=hours_per_task", "budget_type", "hours_per_task"),
    *(
        (f"{time}_millis_{side}={JAN_31_2025}", f"{time}_millis_{side}", str(JAN_31_2025))
        for time in ("created_time", "last_modified_time")
        for side in ("less_than", "less_equals", "greater_than", "greater_equals")
    ),
    ("created_before=2025-01-31", "created_time_millis_less_than", str(JAN_31_2025)),
    (
        "created_after=2025-01-31",
        "created_time_millis_greater_than",
        str(JAN_31_2025 + DAY_MS - 1),
    ),
    (
        "last_modified_before=2025-01-31T01:00:00+01:00",
        "last_modified_time_millis_less_than",
        str(JAN_31_2025),
    ),
    (
        "last_modified_after=2025-01-31 00:00",
        "last_modified_time_millis_greater_than",
        str(JAN_31_2025),
    ),
    (
        "created_before=365d",
        "created_time_millis_less_than",
        str(JAN_31_2025 + DAY_MS // 2),
    ),
    ("created_before= 12h ", "created_time_millis_less_than", "1769817600000"),
]


@pytest.mark.parametrize(("text", "name", "value"), ZOHO)
def test_every_filter_of_zoho_goes_out_under_its_own_name(
    text: str, name: str, value: str
) -> None:
    assert parse(FILTERS_V4, [text], NOW).wire == ((name, value),)


TRUTO = [
    ("status=open", (("status", "open"),)),
    ("status=In Progress", (("status", "in progress"),)),
    ("name=Kick off", (("name", "Kick off"),)),
    ("search_term=x", (("search_term", "x"),)),
    ("owner.id=7", (("owner[id]", "7"),)),
    ("owner[id]=7", (("owner[id]", "7"),)),
    ("stage.id=7", (("stage[id]", "7"),)),
    ("account.id=7", (("account[id]", "7"),)),
    ("tags=a,b", (("tags[]", "a"), ("tags[]", "b"))),
    ("tags[]=a", (("tags[]", "a"),)),
    ("created_at=2025-01-31", (("created_at", "2025-01-31T00:00:00.000Z"),)),
    ("updated_at=2025-01-31T10:00:00Z", (("updated_at", "2025-01-31T10:00:00.000Z"),)),
    ("created_before=2025-01-31", ()),
    ("last_modified_after=30d", ()),
]


@pytest.mark.parametrize(("text", "wire"), TRUTO)
def test_every_filter_of_truto_goes_out_as_documented(
    text: str, wire: tuple[tuple[str, str], ...]
) -> None:
    assert parse(UNIFIED.filters, [text], NOW).wire == wire


def test_the_words_of_a_status_are_those_of_the_provider_behind() -> None:
    assert parse(CAPSULE.filters, ["status=closed"], NOW).wire == (("status", "closed"),)
    assert parse(PIPELINER.filters, ["status=completed"], NOW).wire == (("status", "completed"),)
    with pytest.raises(InvalidInput) as refused:
        parse(CAPSULE.filters, ["status=completed"], NOW)
    assert refused.value.fix.startswith("status takes one of: open, closed; there are: ")


WRONG = [
    ([], "never read as everything"),
    (["stauts=active"], "no filter 'stauts': did you mean status?"),
    (["=active"], "no filter ''"),
    (["status"], "status has no value"),
    (["status="], "status has no value"),
    (["status=  "], "status has no value"),
    (["status=actve"], "did you mean active?"),
    (["status=active,inactive"], "has no 'active,inactive'"),
    (["description_in=a,,b"], "blank value"),
    (["description_contains=a\nb"], "cannot be sent"),
    (["description_contains=" + "x" * 1001], "cannot be sent"),
    (["status=active", "status=inactive"], "given twice"),
    (["created_before=1d", f"created_time_millis_less_than={JAN_31_2025}"], "given twice"),
    (["page=1"], "no filter 'page'"),
    *(
        ([f"created_before={wrong}"], "is not a date")
        for wrong in (
            "yesterday",
            "2025-02-30",
            "2025-13-01",
            "31.01.2025",
            "20250131",
            "2025-01",
            "365",
            "-1d",
            "1y",
            "9999999d",
            "2025-01-31T25:00:00Z",
            "0001-01-01T00:00:00+14:00",
        )
    ),
    (["created_time_millis_less_than=2025"], "is not a date"),
    (["created_time_millis_less_than=1.5"], "is not a date"),
    (["created_time_millis_less_than=99999999999999999"], "is not a date"),
]


@pytest.mark.parametrize(("given_", "what"), WRONG)
def test_what_is_no_filter_is_refused_with_what_there_is(given_: list[str], what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(FILTERS_V4, given_, NOW)

    assert what in refused.value.what
    assert "there are: status, filter_by, customer_id, " in refused.value.fix


def test_an_unknown_filter_is_told_all_there_are() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(FILTERS_V3, ["nonsense=1"], NOW)

    assert refused.value.fix == (
        "there are: filter_by, customer_id, created_before, created_after, "
        "last_modified_before, last_modified_after"
    )


@pytest.mark.parametrize(
    ("text", "created", "is_wanted"),
    [
        ("created_before=2025-01-31", "2025-01-30T23:59:59Z", True),
        ("created_before=2025-01-31", "2025-01-31T00:00:00Z", False),
        ("created_before=2025-01-31", "2025-01-31T05:29:59+0530", True),
        ("created_after=2025-01-31", "2025-01-31T23:59:59Z", False),
        ("created_after=2025-01-31", "2025-02-01T00:00:00.000Z", True),
        ("created_after=365d", "2025-01-31T12:00:00Z", False),
        ("created_after=365d", "2025-01-31T12:00:01Z", True),
        ("created_before=2025-01-31", "", False),
        ("created_before=2025-01-31", "2025-01-30", False),
        ("created_after=2025-01-31", "soon", False),
    ],
)
def test_what_the_provider_cannot_filter_is_held_against_the_list(
    text: str, created: str, is_wanted: bool
) -> None:
    filters = parse(UNIFIED.filters, [text], NOW)

    assert filters.wire == ()
    assert filters.client(a_project(created=created)) is is_wanted


def test_a_time_filter_that_the_provider_ignored_is_noticed() -> None:
    filters = parse(FILTERS_V4, ["created_before=2025-01-31", "status=active"], NOW)

    assert filters.client(a_project(created="2025-01-30T23:59:59+0000"))
    assert filters.client(a_project())
    assert not filters.client(a_project(created="2025-01-31T00:00:00+0000"))
    assert not filters.client(a_project(created="2025-06-01T00:00:00+0000"))


IGNORED = [
    (FILTERS_V4, "status=active", {"status": "Active"}, {"status": "completed"}),
    (FILTERS_V4, "filter_by=Status.Inactive", {"status": "inactive"}, {"status": "active"}),
    (FILTERS_V4, "customer_id=46", {"customer_id": "46"}, {"customer_id": "460"}),
    (FILTERS_V4, "project_name_startswith=net", {"name": "Network"}, {"name": "The network"}),
    (FILTERS_V4, "project_name_contains=net w", {"name": "A NET  work"}, {"name": "Planet"}),
    (FILTERS_V4, "description_startswith=For", {"description": "for X"}, {"description": "A"}),
    (FILTERS_V4, "description_contains=city", {"description": "Big City"}, {"description": "A"}),
    (FILTERS_V4, "description_in=one, Two", {"description": "two"}, {"description": "three"}),
    (FILTERS_V4, "description_not_in=one, two", {"description": "three"}, {"description": "Two"}),
    (
        FILTERS_V4,
        "billing_type=based_on_task_hours",
        {"billing_type": "based_on_task_hours"},
        {"billing_type": "fixed_cost_for_project"},
    ),
    (
        FILTERS_V4,
        "budget_type=hours_per_task",
        {"budget_type": "hours_per_task"},
        {"budget_type": "total_project_cost"},
    ),
    (FILTERS_V3, "customer_id=46", {"customer_id": "46"}, {"customer_id": "47"}),
    (CAPSULE.filters, "status=open", {"status": "OPEN"}, {"status": "CLOSED"}),
    (PIPELINER.filters, "status=in progress", {"status": "In Progress"}, {"status": "doing"}),
    (UNIFIED.filters, "name=kick", {"name": "Our Kick-off"}, {"name": "Retreat"}),
    (UNIFIED.filters, "owner.id=u1", {"owner.id": "u1"}, {"owner.id": "u2"}),
    (UNIFIED.filters, "account.id=0015g", {"account.id": "0015g"}, {"account.id": "0015G"}),
    (UNIFIED.filters, "tags=red,blue", {"tags": "Blue"}, {"tags": "green"}),
]
SHOWN_EMPTY = [
    (FILTERS_V4, "status=active", "status"),
    (FILTERS_V4, "customer_id=46", "customer_id"),
    (FILTERS_V4, "project_name_contains=net", "name"),
    (FILTERS_V4, "description_startswith=for", "description"),
    (FILTERS_V4, "description_in=one", "description"),
    (FILTERS_V4, "billing_type=based_on_task_hours", "billing_type"),
    (UNIFIED.filters, "status=open", "status"),
    (UNIFIED.filters, "owner.id=u1", "owner.id"),
    (UNIFIED.filters, "tags=red", "tags"),
]


@pytest.mark.parametrize(("specs", "text", "fits", "strays"), IGNORED)
def test_a_filter_that_the_provider_ignored_is_noticed_by_what_the_list_shows(
    specs: tuple[Filter, ...], text: str, fits: dict[str, str], strays: dict[str, str]
) -> None:
    filters = parse(specs, [text], NOW)

    assert filters.client(a_project(**fits))
    assert not filters.client(a_project(**strays))


@pytest.mark.parametrize(
    ("specs", "text"), [(specs, text) for specs, text, _, _ in IGNORED if "name" not in text]
)
def test_where_a_list_shows_nothing_of_it_the_provider_is_believed(
    specs: tuple[Filter, ...], text: str
) -> None:
    assert parse(specs, [text], NOW).client(a_project())


@pytest.mark.parametrize(("specs", "text", "field"), SHOWN_EMPTY)
def test_what_is_shown_to_be_empty_is_not_what_was_asked_for(
    specs: tuple[Filter, ...], text: str, field: str
) -> None:
    project = replace(a_project(name=""), beside=((field, ""),))

    assert not parse(specs, [text], NOW).client(project)


def test_an_empty_text_is_none_of_those_that_are_excluded() -> None:
    assert parse(FILTERS_V4, ["description_not_in=one"], NOW).client(a_project(description=""))


def test_one_of_several_texts_is_enough() -> None:
    project = replace(a_project(), beside=(("tags", "t1"), ("tags", "red"), ("tags", "")))

    assert parse(UNIFIED.filters, ["tags=blue,red"], NOW).client(project)


def test_the_same_letters_are_the_same_however_they_are_composed() -> None:
    filters = parse(FILTERS_V4, ["project_name_contains=cafe\u0301"], NOW)

    assert filters.client(a_project(name="Caf\u00e9 Central"))


@pytest.mark.parametrize(
    ("text", "created", "is_wanted"),
    [
        ("created_time_millis_less_equals=2025-01-31", "2025-01-31T00:00:00+0000", True),
        ("created_time_millis_less_equals=2025-01-31", "2025-01-31T05:31:00+0530", False),
        ("created_time_millis_greater_equals=2025-01-31", "2025-01-31T00:00:00+0000", True),
        ("created_time_millis_greater_equals=2025-01-31", "2025-01-30T23:59:00+0000", False),
    ],
)
def test_a_moment_that_is_included_bounds_the_list_as_well(
    text: str, created: str, *, is_wanted: bool
) -> None:
    assert parse(FILTERS_V4, [text], NOW).client(a_project(created=created)) is is_wanted


def test_both_sides_of_a_time_may_be_bound() -> None:
    filters = parse(
        UNIFIED.filters, ["last_modified_after=2025-01-01", "last_modified_before=30d"], NOW
    )

    assert filters.client(a_project(modified="2025-06-01T00:00:00Z"))
    assert not filters.client(a_project(modified="2024-06-01T00:00:00Z"))
    assert not filters.client(a_project(modified="2026-01-30T00:00:00Z"))


def test_an_age_is_resolved_once_and_its_words_are_kept() -> None:
    filters = parse(FILTERS_V4, ["created_before=365d", "status=active"], NOW)
    later = parse(FILTERS_V4, ["status=active", "created_before=365d"], NOW + timedelta(hours=1))

    assert filters.canonical == (
        ("created_before", "2025-01-31T12:00:00.000Z"),
        ("status", "active"),
    )
    assert filters.asked == later.asked == (("created_before", "365d"), ("status", "active"))
    assert filters.canonical != later.canonical


TEXTS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)
MOMENTS = st.one_of(
    st.dates().map(str),
    st.integers(1, 9999).map(lambda days: f"{days}d"),
    st.datetimes().map(lambda at: f"{at.isoformat(timespec='microseconds')}Z"),
)


@given(
    moment=MOMENTS,
    name=st.sampled_from([spec.name for spec in FILTERS_V4 if spec.type is FilterType.MILLIS]),
    text=TEXTS,
    now=st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
)
def test_the_canonical_form_selects_the_same_at_any_time(
    moment: str, name: str, text: str, now: datetime
) -> None:
    try:
        filters = parse(FILTERS_V4, [f"{name}={moment}", f"description_contains={text}"], now)
    except InvalidInput:
        return
    again = parse(FILTERS_V4, ["=".join(pair) for pair in filters.canonical], NOW)

    assert again.wire == filters.wire
    assert again.canonical == filters.canonical


def test_a_filter_says_how_it_is_written() -> None:
    assert described(FILTERS_V4[0]) == "status=active | inactive | completed"
    assert described(Filter(name="x", type=FilterType.DATE)) == "x=DATE"


def test_yes_or_no_has_two_words() -> None:
    spec = (Filter(name="billable", type=FilterType.BOOL),)

    assert parse(spec, ["billable=TRUE"], NOW).wire == (("billable", "true"),)
    with pytest.raises(InvalidInput, match="has no 'yes'"):
        parse(spec, ["billable=yes"], NOW)


@pytest.mark.parametrize("given", ["status=inactive", "filter_by=Status.Inactive"])
def test_a_status_that_the_provider_did_not_select_by_is_not_selected(given: str) -> None:
    filters = parse(FILTERS_V4, [given], NOW)
    project = Target(kind="project", external_id="1")

    admitted = [
        filters.client(Seen(target=project, status=status))
        for status in ("inactive", "Inactive", "", "active", "completed")
    ]

    assert admitted == [True, True, True, False, False]


def test_all_statuses_are_all_of_them() -> None:
    filters = parse(FILTERS_V4, ["filter_by=Status.All"], NOW)

    assert filters.client(Seen(target=Target(kind="project", external_id="1"), status="active"))
