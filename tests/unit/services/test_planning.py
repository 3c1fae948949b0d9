"""The frozen plan in figures and findings."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    CHILDLESS,
    EPOCH,
    a_job,
    a_lease,
    a_plan,
    a_purse,
    planned,
    some_facts,
)
from worker.domain.calls import Action, Call
from worker.domain.filters import Filter, portable
from worker.domain.outcomes import Outcome
from worker.domain.plan import Finding, FindingLevel
from worker.domain.states import JobState
from worker.ports import JobOptions, PlanFacts, PlannedItems
from worker.services.choose import Work
from worker.services.planning import (
    count_again_at,
    enough,
    make_plan,
    may_confirm,
    next_page,
)
from worker.services.tools import AccountFacts

ALL = JobOptions(cascade=("comment", "task", "user"))
NOTHING = a_plan(duplicates=0)


def plan(
    items: PlannedItems | None = None,
    options: JobOptions = ALL,
    facts: AccountFacts | None = None,
    duplicates: int = 0,
) -> PlanFacts:
    job = a_job(JobState.PLANNING, options=options, plan=PlanFacts(duplicates=duplicates))
    return make_plan(job, items or planned(), facts or some_facts(), a_lease().now)


def codes(made: PlanFacts) -> list[tuple[str, str]]:
    return [(finding.level.value, finding.code) for finding in made.findings]


def test_a_plan_says_what_it_deletes_and_by_which_word() -> None:
    made = plan(planned(by_kind={"project": 3, "task": 4}, digest="0" * 60 + "abcd", spent=5))

    assert (made.items, made.by_kind) == (7, {"project": 3, "task": 4})
    assert (made.hash, made.word) == ("0" * 60 + "abcd", "delete 7 acme abcd")
    assert (made.calls_spent, made.complete) == (5, True)


@given(one=st.integers(1, 10**6), other=st.integers(1, 10**6))
def test_the_count_is_in_the_word(one: int, other: int) -> None:
    words = {plan(planned(by_kind={"project": count})).word for count in (one, other)}

    assert len(words) == len({one, other})


# --- price -------------------------------------------------------------------


def test_a_plan_prices_deletes_and_the_checks_before_them() -> None:
    made = plan(planned(own={"project": 3, "task": 4}))

    assert made.calls_by_endpoint == {
        "DELETE project": 3,
        "DELETE task": 4,
        "GET project": 3,
        "GET comment": 3,
    }
    assert made.calls == 13


def test_without_a_recheck_only_deletes_are_priced() -> None:
    options = JobOptions(cascade=("task",), recheck=False)

    assert plan(options=options).calls_by_endpoint == {"DELETE project": 3}


def test_what_goes_with_its_project_costs_nothing() -> None:
    items = planned(by_kind={"project": 1, "task": 90}, own={"project": 1})
    options = JobOptions(cascade=("task",), background=True, recheck=False)

    assert (plan(items, options).items, plan(items, options).calls) == (91, 1)


def test_beside_the_foreground_stands_what_the_background_would_cost() -> None:
    items = planned(by_kind={"project": 3, "task": 40}, own={"project": 3, "task": 40})

    made = plan(items)

    assert made.calls == 49
    assert [(other.way, other.calls) for other in made.alternatives] == [
        ("--cascade-mode background", 3)
    ]


def test_beside_the_background_stands_what_the_foreground_would_cost() -> None:
    items = planned(by_kind={"project": 3, "task": 40}, own={"project": 3})
    options = JobOptions(cascade=("task",), background=True, recheck=False)

    (other,) = plan(items, options).alternatives

    assert other.way == "--cascade-mode foreground"
    assert other.calls_by_endpoint == {"DELETE project": 3, "DELETE task": 40, "GET project": 3}


def test_beside_chunks_stands_what_single_calls_would_cost() -> None:
    items = planned(by_kind={"project": 300}, own={"project": 300})

    made = plan(items, JobOptions(recheck=False), some_facts(bulk_size=25))

    assert made.calls < 60
    assert [(other.way, other.calls) for other in made.alternatives] == [
        ("without bulk_delete", 300)
    ]


@pytest.mark.parametrize(
    ("by_kind", "options"),
    [
        ({"project": 3}, ALL),
        ({"task": 9}, JobOptions(cascade=("task",), keep_projects=True)),
        ({"project": 3}, JobOptions(recheck=False)),
    ],
)
def test_where_there_is_no_other_way_none_is_told(
    by_kind: dict[str, int], options: JobOptions
) -> None:
    assert plan(planned(by_kind=by_kind, own=by_kind), options).alternatives == ()


def test_a_plan_says_its_share_of_the_day_and_when_it_is_done() -> None:
    facts = some_facts(purses=(a_purse(per_day=1_000, in_flight=1),), latency=timedelta(seconds=2))

    made = plan(planned(own={"project": 25}), JobOptions(recheck=False), facts)

    assert made.quota_share == 0.025
    assert made.estimated_seconds == 50
    assert made.finish_at == EPOCH + timedelta(seconds=50)


# --- findings ----------------------------------------------------------------


def test_a_plan_with_nothing_to_say_says_nothing() -> None:
    assert plan().findings == ()


def test_what_is_left_out_is_said_with_its_number() -> None:
    made = plan(planned(skipped={Outcome.SKIPPED_PROTECTED: 2, Outcome.ALREADY_ABSENT: 1}))

    assert codes(made) == [("info", "already_absent"), ("info", "skipped_protected")]
    assert made.findings[1].text == "2 items end skipped_protected, left out of the plan"


def test_duplicates_of_the_input_are_counted() -> None:
    made = plan(duplicates=4)

    assert (codes(made), made.duplicates) == ([("info", "duplicates")], 4)


def test_what_no_list_shows_is_warned_of() -> None:
    assert codes(plan(planned(unlisted=2, given=100))) == [("warning", "not_listed")]


@pytest.mark.parametrize(("absent", "unlisted"), [(2, 0), (0, 2), (1, 1)])
def test_a_list_that_is_mostly_not_there_is_asked_about(absent: int, unlisted: int) -> None:
    made = plan(planned(given=9, absent=absent, unlisted=unlisted))

    (said,) = [finding for finding in made.findings if finding.code == "absent"]
    assert said.level is FindingLevel.WARNING
    assert said.text.startswith("2 of the 9 projects of the list are not there: wrong list or")


@pytest.mark.parametrize(
    "made",
    [
        plan(planned(given=10, absent=2)),
        plan(planned(given=3, unlisted=1)),
        plan(planned(given=2, absent=2), JobOptions(cascade=ALL.cascade, filters={"a": "b"})),
        make_plan(
            a_job(JobState.PLANNING, options=ALL, parent_job_id="j-0"),
            planned(given=2, absent=2),
            some_facts(),
            EPOCH,
        ),
    ],
    ids=["a fifth", "one alone", "a selection", "a retry"],
)
def test_a_few_absent_and_what_nobody_wrote_down_are_not_asked_about(made: PlanFacts) -> None:
    assert "absent" not in {finding.code for finding in made.findings}


def test_cascade_none_is_said_in_words() -> None:
    assert codes(plan(options=JobOptions())) == [("warning", "cascade_none")]
    assert codes(plan(options=JobOptions(), facts=some_facts(catalogue=CHILDLESS))) == []


@pytest.mark.parametrize(
    ("limit", "raised", "refused"),
    [(3, None, False), (2, None, True), (2, 3, False), (1000, 2, True)],
)
def test_a_plan_above_max_items_cannot_be_confirmed(
    limit: int, raised: int | None, *, refused: bool
) -> None:
    options = JobOptions(cascade=ALL.cascade, max_items=raised)

    made = plan(options=options, facts=some_facts(max_items=limit))

    refusals = [f for f in made.findings if f.level is FindingLevel.REFUSAL]
    assert [f.code for f in refusals] == ["max_items"] * refused
    assert all("--max-items 3" in f.text for f in refusals)


# --- the listing -------------------------------------------------------------


@given(unseen=st.integers(0, 10**4), length=st.integers(1, 10**4))
def test_listing_never_costs_twice_the_better_way(unseen: int, length: int) -> None:
    """In the worst case no page shows any of what is missing."""
    pages = next((n for n in (min(unseen, length),) if n), 0)

    cost = pages + (unseen if enough(pages=pages, unseen=unseen) and pages < length else 0)

    assert cost <= 2 * max(min(unseen, length), 1)


@pytest.mark.parametrize(("pages", "unseen", "stop"), [(1, 0, True), (2, 2, True), (1, 2, False)])
def test_listing_stops_when_reading_is_as_cheap(pages: int, unseen: int, *, stop: bool) -> None:
    assert enough(pages=pages, unseen=unseen) is stop


@given(
    pages=st.integers(1, 10**4),
    unseen=st.integers(0, 10**6),
    page_size=st.integers(1, 500),
    shown=st.lists(st.integers(0, 500), max_size=50),
)
def test_no_page_that_would_have_been_enough_goes_uncounted(
    pages: int, unseen: int, page_size: int, shown: list[int]
) -> None:
    again = count_again_at(pages=pages, unseen=unseen, page_size=page_size)

    for number, more in enumerate(shown, start=pages + 1):
        unseen = max(unseen - min(more, page_size), 0)
        assert number >= again or not enough(pages=number, unseen=unseen)


def test_the_next_page_is_the_one_the_job_stands_at() -> None:
    work = next_page(a_job(JobState.PLANNING, list_cursor="7"))

    assert work == Work(job_id="j-1", call=Call(action=Action.LIST, cursor="7"))


# --- filters, cleanup, what is not seen ------------------------------------------

FILTERS = (Filter(name="status"), *portable({"created_before": "created_lt"}))
CHOSEN = JobOptions(
    cascade=("task",),
    filters={"created_before": "2025-01-31T00:00:00.000Z", "status": "inactive"},
)


def test_a_page_is_asked_for_by_the_filters_of_its_job() -> None:
    job = a_job(JobState.PLANNING, options=CHOSEN, list_cursor="3")

    call = next_page(job, FILTERS).call

    assert call.cursor == "3"
    assert call.filters == (("created_lt", "2025-01-31T00:00:00.000Z"), ("status", "inactive"))


def test_filters_that_select_nothing_are_said() -> None:
    nothing = planned(by_kind={}, own={})

    assert ("warning", "nothing_selected") in codes(plan(nothing, CHOSEN))
    assert ("warning", "nothing_selected") not in codes(plan(nothing))
    assert ("warning", "nothing_selected") not in codes(plan(planned(), CHOSEN))


def test_how_far_the_provider_kept_to_the_filters_is_said() -> None:
    job = a_job(JobState.PLANNING, options=ALL, plan=PlanFacts(strays=7, believed=2))

    made = make_plan(job, planned(), some_facts(), a_lease().now)

    texts = {finding.code: finding.text for finding in made.findings}
    assert "the list shows 7 projects that the filters do not select" in texts["strays"]
    assert "2 projects are selected on the provider's word alone" in texts["believed"]
    assert (made.strays, made.believed) == (7, 2)


def test_a_timer_alone_is_no_selection() -> None:
    assert ("warning", "nothing_selected") in codes(plan(planned(by_kind={"timer": 1}), CHOSEN))


def test_what_filters_found_was_listed() -> None:
    assert ("warning", "not_listed") in codes(plan(planned(unlisted=2)))
    assert ("warning", "not_listed") not in codes(plan(planned(unlisted=2), CHOSEN))


def test_a_cleanup_says_what_it_keeps() -> None:
    job = a_job(JobState.PLANNING, options=ALL, plan=PlanFacts(kept={"project": 3, "user": 2}))

    made = make_plan(job, planned(by_kind={"task": 4}), some_facts(), EPOCH)

    text = next(finding.text for finding in made.findings if finding.code == "kept")
    assert made.kept == {"project": 3, "user": 2}
    assert text.startswith("3 projects are kept")
    assert "2 users" in text


def test_a_plan_says_what_the_provider_never_shows() -> None:
    blind = replace(CHILDLESS, blind="its tasks are not counted here")

    made = plan(facts=some_facts(catalogue=blind), options=JobOptions())

    assert [f.text for f in made.findings if f.code == "blind"] == [blind.blind]


# --- who confirms --------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "items", "refused", "may"),
    [
        (JobOptions(auto_confirm=True), 10, False, True),
        (JobOptions(auto_confirm=True), 11, False, False),
        (JobOptions(confirms_itself=True), 11, False, True),
        (JobOptions(confirms_itself=True), 11, True, False),
        (JobOptions(), 1, False, False),
    ],
)
def test_a_policy_confirms_itself_above_what_a_yes_is_enough_for_and_never_a_refusal(
    options: JobOptions, items: int, refused: bool, may: bool
) -> None:
    refusal = Finding(level=FindingLevel.REFUSAL, code="max_items", text="too many")
    found = a_plan(items=items, findings=(refusal,) if refused else ())
    job = a_job(JobState.AWAITING_CONFIRMATION, options=options, plan=found)
    facts = some_facts()
    assert facts.confirm.auto_confirm_max == 10

    assert may_confirm(job, facts) is may
