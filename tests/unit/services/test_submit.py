"""Taking a job in: what is refused, what makes two requests the same, and no list of ids."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.builders import CATALOGUE, CHILDLESS, EPOCH, ME, a_job, a_request
from worker.domain.errors import InvalidInput
from worker.domain.filters import Filter, FilterType, portable
from worker.domain.options import Option, OptionType
from worker.ports import JobOptions
from worker.services.choices import Choices
from worker.services.submit import check_ids, new_job, submit
from worker.testing.jobs import MemoryJobs

CHOICES = Choices(
    filters=(
        Filter(name="status", type=FilterType.CHOICE, choices=("active", "inactive")),
        *portable({"created_before": "created_lt"}),
    ),
    options=(Option(name="raw", type=OptionType.BOOL),),
    now=EPOCH,
)
BAD_IDS = ["", "42/../../users/7", "..", "%2e%2e", "42\r\nX: y", "9" * 10_240, "٤٢", "-42", "4 2"]


def submitted(*ids: str, store: MemoryJobs | None = None, **fields: Any) -> MemoryJobs:  # noqa: ANN401  any field of a request
    jobs = store or MemoryJobs(a_job(), at=EPOCH)
    given = (ids or ("42", "43")) if fields.get("filters") is None else ()
    rows = enumerate(given, start=1)
    submit(a_request(**fields), rows, catalogue=CATALOGUE, who=ME, store=jobs, choices=CHOICES)
    return jobs


def digest(*ids: str, **fields: Any) -> str:  # noqa: ANN401  any field of a request
    return submitted(*ids, **fields).digests[0]


def numbered(count: int) -> Iterator[tuple[int, str]]:
    return ((line, str(line)) for line in range(1, count + 1))


# --- ids ---------------------------------------------------------------------


@pytest.mark.parametrize("bad", BAD_IDS, ids=range(len(BAD_IDS)))
def test_one_bad_id_refuses_the_whole_request(bad: str) -> None:
    jobs = MemoryJobs(a_job(), at=EPOCH)

    with pytest.raises(InvalidInput) as refused:
        submitted("42", bad, "43", store=jobs)

    assert "1 of 3 ids" in refused.value.what
    assert "line 2: " in refused.value.what
    assert len(refused.value.what) < 200
    assert refused.value.what.isprintable()
    assert not jobs.submitted


@pytest.mark.parametrize("bad", [42, None, 4.2])
def test_an_id_that_is_no_text_refuses_the_whole_request(bad: Any) -> None:  # noqa: ANN401  what a program hands in
    with pytest.raises(InvalidInput, match="line 2: an id is a text"):
        list(check_ids([(1, "41"), (2, bad)], CATALOGUE))


def test_five_bad_ids_are_named_and_the_rest_counted() -> None:
    with pytest.raises(InvalidInput) as refused:
        list(check_ids(((line, "x") for line in range(10, 30)), CATALOGUE))

    assert refused.value.what.startswith("20 of 20 ids")
    assert refused.value.what.count("line ") == 5
    assert refused.value.what.endswith("(and 15 more)")


def test_nothing_never_means_all() -> None:
    with pytest.raises(InvalidInput, match="no id"):
        submit(a_request(), iter(()), catalogue=CATALOGUE, who=ME, store=MemoryJobs(at=EPOCH))


def test_a_hundred_thousand_ids_stream_by() -> None:
    jobs = MemoryJobs(a_job(), at=EPOCH)
    tracemalloc.start()

    submit(a_request(), numbered(100_000), catalogue=CATALOGUE, who=ME, store=jobs)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert jobs.ids_seen == 100_000
    assert peak < 200_000


def test_bad_ids_stream_by_too() -> None:
    tracemalloc.start()

    with pytest.raises(InvalidInput, match="20000 of 20000"):
        submit(
            a_request(),
            ((line, "x" * 50) for line in range(20_000)),
            catalogue=CATALOGUE,
            who=ME,
            store=MemoryJobs(a_job(), at=EPOCH),
        )

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


# --- the request -------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"reason": " \n"},
        {"reason": "x" * 501},
        {"key": ""},
        {"key": "  "},
        {"key": "k" * 201},
        {"priority": -1},
        {"priority": 10},
        {"max_items": 0},
        {"max_items": "5"},
        {"keep_projects": "no", "cascade": ("all",)},
        {"dry_run": "false"},
        {"yes": 0},
        {"reason": None},
        {"key": 5},
        {"priority": "5"},
        {"not_before": datetime(2030, 1, 1)},  # noqa: DTZ001  what is refused
        {"not_before": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))},
        {"cascade": None},
        {"cascade": ()},
        {"cascade": ("invoices",)},
        {"cascade_mode": "sideways"},
        {"on_child_refused": "shrug"},
    ],
    ids=str,
)
def test_a_request_that_cannot_be_a_job_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        submitted(**wrong)


def test_a_missing_cascade_names_the_choices() -> None:
    with pytest.raises(InvalidInput) as refused:
        new_job(a_request(cascade=None), catalogue=CATALOGUE, who=ME)

    assert (
        refused.value.fix == "--cascade all, --cascade none, or a list of: comments, tasks, users"
    )


def test_a_kind_the_provider_does_not_have_names_those_it_has() -> None:
    with pytest.raises(InvalidInput, match="zoho_books has no kind 'invoices'") as refused:
        new_job(a_request(cascade=("tasks", "invoices")), catalogue=CATALOGUE, who=ME)

    assert "comments, tasks, users" in refused.value.fix


def test_no_cascade_is_asked_for_where_there_are_no_children() -> None:
    new = new_job(a_request(cascade=None), catalogue=CHILDLESS, who=ME)

    assert (new.options.cascade, new.options.recheck) == ((), False)


@pytest.mark.parametrize(
    ("fields", "recheck"),
    [
        ({"cascade": ("all",)}, True),
        ({"cascade": ("none",)}, False),
        ({"cascade": ("all",), "recheck_children": False}, False),
        ({"cascade": ("all",), "cascade_mode": "background"}, False),
    ],
    ids=str,
)
def test_children_are_checked_again_in_the_foreground(
    fields: dict[str, Any], *, recheck: bool
) -> None:
    assert new_job(a_request(**fields), catalogue=CATALOGUE, who=ME).options.recheck is recheck


def test_a_request_becomes_a_job() -> None:
    asked = a_request(reason=" closed ", cascade=("users", "tasks"), yes=True, key="k", priority=9)

    new = new_job(asked, catalogue=CATALOGUE, who=ME)

    assert (new.provider, new.action, new.reason) == ("zoho_books", "delete_projects", "closed")
    assert (new.options.cascade, new.options.auto_confirm) == (("task", "user"), True)
    assert (new.key, new.priority, new.who) == ("k", 9, ME)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("clo\x00sed", "clo sed"), ("clo\ud800sed", "clo sed"), ("clo\r\nsed", "clo  sed")],
    ids=["nul", "surrogate", "line break"],
)
def test_a_reason_is_kept_without_what_no_database_keeps(reason: str, kept: str) -> None:
    (new,) = submitted(reason=reason).submitted

    assert new.reason == kept


# --- the same request --------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [{}, {"reason": "again"}, {"priority": 1}, {"key": "k"}, {"cascade": ("NONE",)}],
    ids=str,
)
def test_the_same_ids_and_options_are_the_same_request(same: dict[str, Any]) -> None:
    assert digest(**same) == digest()


@pytest.mark.parametrize(
    "other",
    [
        {"account": "crm"},
        {"cascade": ("all",)},
        {"cascade": ("all",), "cascade_mode": "background"},
        {"cascade": ("all",), "recheck_children": False},
        {"on_child_refused": "proceed"},
        {"dry_run": True},
        {"max_items": 5},
        {"yes": True},
        {"parent_job_id": "j-0"},
        {"filters": ("status=inactive",)},
        {"provider_options": ("raw=true",)},
        {"cascade": ("all",), "keep_projects": True},
        {"stop_timer": True},
    ],
    ids=str,
)
def test_other_options_are_another_request(other: dict[str, Any]) -> None:
    assert digest(**other) != digest()


@pytest.mark.parametrize("ids", [("42",), ("43", "42"), ("42", "43", "43"), ("4", "243")], ids=str)
def test_other_ids_are_another_request(ids: tuple[str, ...]) -> None:
    assert digest(*ids) != digest("42", "43")


def test_another_start_is_another_request() -> None:
    assert digest(not_before=EPOCH + timedelta(days=1)) != digest()


# --- filters, options, cleanup, the timer -------------------------------------------


def options_of(**fields: Any) -> JobOptions:  # noqa: ANN401  any field of a request
    return submitted(**fields).submitted[0].options


def test_filters_take_the_place_of_ids_and_are_kept_with_every_moment_an_instant() -> None:
    jobs = submitted(filters=("created_before=10d", "status=INACTIVE"))

    assert jobs.ids_seen == 0
    assert jobs.submitted[0].options.filters == {
        "created_before": "2026-11-11T10:00:00.000Z",
        "status": "inactive",
    }


def test_the_same_age_asked_for_later_is_the_same_request() -> None:
    later = replace(CHOICES, now=EPOCH + timedelta(hours=3))
    digests = []
    for choices in (CHOICES, later):
        jobs = MemoryJobs(a_job(), at=EPOCH)
        request = a_request(filters=("created_before=10d",))
        submit(request, (), catalogue=CATALOGUE, who=ME, store=jobs, choices=choices)
        digests += jobs.digests

    assert digests[0] == digests[1]
    assert digests[0] != digest(filters=("created_before=11d",))


@pytest.mark.parametrize(
    "given", [(), ("",), ("status=",), ("state=active",), ("created_before=soon",)], ids=str
)
def test_an_empty_unknown_or_wrong_filter_is_never_read_as_all(given: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        submitted(filters=given)

    assert refused.value.exit_code == 2
    assert refused.value.fix


def test_ids_and_filters_do_not_go_together() -> None:
    jobs = MemoryJobs(a_job(), at=EPOCH)
    request = a_request(filters=("status=active",))

    with pytest.raises(InvalidInput, match="there are filters too"):
        submit(request, [(1, "42")], catalogue=CATALOGUE, who=ME, store=jobs, choices=CHOICES)

    assert not jobs.submitted


def test_the_options_of_a_provider_are_checked_and_kept() -> None:
    assert options_of(provider_options=("raw=TRUE",)).provider_options == (("raw", "true"),)
    with pytest.raises(InvalidInput, match="rwa"):
        submitted(provider_options=("rwa=true",))
    with pytest.raises(InvalidInput, match="no options"):
        new_job(a_request(provider_options=("raw=true",)), catalogue=CATALOGUE, who=ME)


def test_a_cleanup_is_an_action_of_its_own_and_checks_no_project_again() -> None:
    jobs = submitted(cascade=("tasks",), keep_projects=True)

    assert jobs.submitted[0].action == "cleanup"
    assert jobs.submitted[0].options.keep_projects
    assert not jobs.submitted[0].options.recheck


@pytest.mark.parametrize(
    "fields",
    [{"cascade": ("none",)}, {"cascade": ("all",), "cascade_mode": "background"}],
    ids=str,
)
def test_a_cleanup_needs_children_that_go_by_themselves(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="--keep-projects"):
        submitted(keep_projects=True, **fields)


def test_a_timer_can_only_be_stopped_where_there_is_one() -> None:
    assert options_of(stop_timer=True).stop_timer
    request = a_request(stop_timer=True, cascade=None)
    with pytest.raises(InvalidInput, match="plain has no timer"):
        new_job(request, catalogue=CHILDLESS, who=ME)
