"""What an answer means for its items: decisions, what was read, and protections."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import (
    CATALOGUE,
    a_child,
    a_job,
    a_progress,
    a_seen,
    a_target,
    an_answer,
    an_item,
    shows,
)
from worker.domain.bulk import Bulk
from worker.domain.calls import Action, Answer, Call, Reading
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.plan import Protection
from worker.domain.repeats import Page, Trail, after
from worker.domain.retry import RetryPolicy
from worker.domain.states import JobState
from worker.domain.steps import GoOn, Settle, Step
from worker.ports import Done, Item, Job, JobOptions, ListingProgress
from worker.providers.zoho_filters import FILTERS_V3, FILTERS_V4
from worker.services.choose import Work
from worker.services.results import (
    REFUSED_LISTING,
    Rules,
    ids_shown,
    is_listing,
    page_of,
    result_of,
)

POLICY = RetryPolicy()
CASCADE = JobOptions(cascade=("comment", "task"))
PLANNING = a_job(JobState.PLANNING, options=CASCADE)
KEEP = Protection(ids=frozenset({"99"}), names=("*KEEP*",))
READ = Call(action=Action.READ, targets=(a_target(),))
UNREAD = an_item(seen=a_seen(name="", created=""), progress=a_progress(Step.READ))


def rules(protection: Protection = KEEP) -> Rules:
    return Rules(catalogue=CATALOGUE, protection=protection, policy=POLICY)


def result(
    answer: Answer,
    *items: Item,
    job: Job = PLANNING,
    known: frozenset[tuple[str, str]] | None = None,
) -> Done:
    work = Work(job_id=job.id, call=READ, items=items or (UNREAD,))
    planned = {} if known is None else {items[0].id: known}
    return result_of(work, answer, job=job, rules=rules(), known=planned, jitter=0.5)


def page(answer: Answer, job: Job = PLANNING, **matched: Item) -> Done:
    work = Work(job_id=job.id, call=Call(action=Action.LIST, cursor=job.list_cursor))
    found = {item.seen.target.external_id: item for item in matched.values()}
    reads = replace(rules(), filters=FILTERS_V4)
    return page_of(work, answer, job=job, matched=found, rules=reads, jitter=0.5)


def after_pages(*pages: Page) -> Bulk:
    """Where a job stands that was shown these pages."""
    trail = Trail()
    for one in pages:
        trail = after(trail, one)
    return Bulk(trail=trail)


def ends(done: Done) -> list[Outcome | None]:
    return [
        change.decision.outcome if isinstance(change.decision, Settle) else None
        for change in done.changes
    ]


# --- one call ----------------------------------------------------------------


def test_every_item_of_a_call_gets_its_own_decision() -> None:
    look = a_progress(Step.LOOK, attempts=1, lost=1)
    there = an_item(1, seen=a_child("7"), progress=look)
    gone = an_item(2, seen=a_child("8"), progress=look)

    done = result(shows(a_seen(), children=(a_child("7"),)), there, gone)

    assert ends(done) == [None, Outcome.DELETED]
    assert [change.item.id for change in done.changes] == [1, 2]
    assert done.children == ()


def test_what_was_read_of_a_project_is_kept_with_its_own_id() -> None:
    read = shows(a_seen("42", status="active", goes_with_parent=True))

    done = result(read)

    assert done.changes[0].seen == a_seen("42", status="active", goes_with_parent=True)
    assert done.changes[0].decision == GoOn(progress=a_progress(Step.READ, source=1))


def test_only_children_of_the_wanted_kinds_become_items() -> None:
    done = result(shows(a_seen(), children=(a_child("7"), a_child("8", "user"))))

    assert [child.target.external_id for child in done.children] == ["7"]
    assert not done.children[0].goes_with_parent


def test_in_the_background_children_go_with_their_project() -> None:
    options = JobOptions(cascade=("task",), background=True)

    done = result(shows(a_seen(), children=(a_child("7"),)), UNREAD, job=a_job(options=options))

    assert done.children[0].goes_with_parent


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (shows(a_seen(name="KEEP me")), "protected name pattern *KEEP*"),
        (
            shows(a_seen(), children=(a_child("7"), a_child("8", name="KEEP"))),
            "its task 8: protected name pattern *KEEP*",
        ),
        (
            shows(a_seen(), children=(a_child("8", name="KEEP"), a_child("7"))),
            "its task 8: protected name pattern *KEEP*",
        ),
        (
            shows(a_seen(name="KEEP me"), children=(a_child("7"),)),
            "protected name pattern *KEEP*",
        ),
        (
            shows(a_seen(), children=(a_child("99", "user"),)),
            "its user 99: protected id 99",
        ),
    ],
    ids=["itself", "last child", "first child", "childs project", "unwanted child"],
)
def test_a_protection_spares_the_project_and_all_its_children(answer: Answer, why: str) -> None:
    done = result(answer)

    assert done.changes[0].decision == Settle(outcome=Outcome.SKIPPED_PROTECTED, reason=why)
    assert done.children == ()


def test_a_read_that_failed_shows_nothing() -> None:
    done = result(an_answer(Verdict.UNAVAILABLE))

    assert (done.changes[0].seen, done.children, ends(done)) == (None, (), [None])


def test_a_recheck_knows_the_planned_children() -> None:
    recheck = an_item(progress=a_progress(Step.RECHECK))
    answer = shows(a_seen(), children=(a_child("7"),))

    known = result(answer, recheck, known=frozenset({("task", "7")}))
    unknown = result(answer, recheck)

    assert (ends(known), ends(unknown)) == ([None], [Outcome.SKIPPED_CHANGED])


def test_a_job_that_is_stopped_tries_nothing_again() -> None:
    look = an_item(progress=a_progress(Step.LOOK, attempts=1, lost=1))

    done = result(shows(a_seen()), look, job=a_job(stopping="cancelled"))

    assert ends(done) == [Outcome.UNPROCESSED]


@pytest.mark.parametrize(
    ("item", "recheck", "step"),
    [
        (an_item(), True, Step.RECHECK),
        (an_item(), False, Step.DELETE),
        (an_item(seen=a_child("7")), True, Step.DELETE),
    ],
    ids=["project", "not asked for", "child"],
)
def test_only_a_project_is_checked_again_before_another_attempt(
    item: Item, step: Step, *, recheck: bool
) -> None:
    job = a_job(options=JobOptions(cascade=("task",), recheck=recheck))

    done = result(an_answer(Verdict.UNAVAILABLE), item, job=job)

    decision = done.changes[0].decision
    assert isinstance(decision, GoOn)
    assert decision.progress == a_progress(step, attempts=1)


# --- one page of the listing -------------------------------------------------


def test_a_page_shows_the_jobs_own_projects_and_goes_on() -> None:
    answer = shows(a_seen("42", name="Tunnel"), a_seen("50"), next_cursor="3")
    first = Page(ids=["41"], following="2")
    job = a_job(
        JobState.PLANNING, list_cursor="2", list_pages=1, list_tries=4, bulk=after_pages(first)
    )
    unread = an_item(progress=a_progress(Step.READY))

    done = page(answer, job, own=unread)

    assert [change.seen for change in done.changes] == [a_seen("42", name="Tunnel")]
    assert done.changes[0].decision == GoOn(progress=unread.progress)
    there = after_pages(first, Page(ids=["42", "50"], following="3"))
    assert done.listing == ListingProgress(cursor="3", pages=2, bulk=there)


def test_the_first_page_begins_a_new_trail() -> None:
    """As when all projects are counted after a listing that was read for their ids."""
    before = after_pages(Page(ids=["42"], following="2"), Page(ids=["42"], following="2"))

    done = page(shows(a_seen("42"), next_cursor="2"), replace(PLANNING, bulk=before))

    assert before.trail.repeats
    assert done.listing is not None
    assert done.listing.bulk == after_pages(Page(ids=["42"], following="2"))


def test_a_page_spares_what_is_protected_by_its_name() -> None:
    done = page(shows(a_seen("42", name="KEEP")), own=an_item())

    assert ends(done) == [Outcome.SKIPPED_PROTECTED]


def test_a_page_counts_what_the_filters_leave_out_and_what_it_does_not_show() -> None:
    asked = JobOptions(filters={"customer_id": "46", "created_before": "2030-01-01T00:00:00Z"})
    job = a_job(JobState.PLANNING, options=asked)
    ours = a_seen("1", beside=(("customer_id", "46"),))
    theirs = a_seen("2", beside=(("customer_id", "47"),))

    done = page(shows(ours, theirs, a_seen("3")), job)

    assert [found.seen.target.external_id for found in done.found] == ["1", "3"]
    there = after_pages(Page(ids=["1", "2", "3"]))
    assert done.listing == ListingProgress(cursor="", pages=1, strays=1, believed=1, bulk=there)


def test_what_the_provider_was_never_asked_to_leave_out_is_no_stray() -> None:
    job = a_job(JobState.PLANNING, options=JobOptions(filters={"created_before": "2020-01-01"}))
    only_here = replace(rules(), filters=FILTERS_V3)
    work = Work(job_id=job.id, call=Call(action=Action.LIST))
    answer = shows(a_seen("1", created="2024-01-01T00:00:00Z"))

    done = page_of(work, answer, job=job, matched={}, rules=only_here, jitter=0.5)

    there = after_pages(Page(ids=["1"]))
    assert (done.found, done.listing) == ((), ListingProgress(cursor="", pages=1, bulk=there))


@pytest.mark.parametrize(
    ("verdict", "after"),
    [
        (Verdict.UNAVAILABLE, timedelta(milliseconds=250)),
        (Verdict.AMBIGUOUS, timedelta(milliseconds=250)),
        (Verdict.ABSENT, timedelta(milliseconds=250)),
        (Verdict.DELETED, timedelta(milliseconds=250)),
        (Verdict.REFUSED, REFUSED_LISTING),
        (Verdict.INVALID, REFUSED_LISTING),
    ],
)
def test_a_page_that_could_not_be_read_is_read_again_later(
    verdict: Verdict, after: timedelta
) -> None:
    job = a_job(JobState.PLANNING, list_cursor="2", list_pages=1, list_tries=1)

    done = page(an_answer(verdict, reading=Reading(projects=(a_seen(),))), job, own=an_item())

    assert done.changes == ()
    assert done.listing == ListingProgress(cursor="2", pages=1, tries=2, after=after)


@pytest.mark.parametrize("verdict", [v for v in Verdict if not v.is_attempt])
def test_a_page_that_was_not_an_attempt_leaves_the_listing_as_it_was(verdict: Verdict) -> None:
    job = a_job(JobState.PLANNING, list_cursor="2", list_pages=1)

    assert page(an_answer(verdict), job).listing == ListingProgress(cursor="2", pages=1)


def test_a_listing_is_known_by_its_call() -> None:
    listing = Work(job_id="j-1", call=Call(action=Action.LIST))

    assert is_listing(listing)
    assert not is_listing(Work(job_id="j-1", call=READ))


def test_the_projects_of_a_page_are_named() -> None:
    assert ids_shown(shows(a_seen("42"), a_seen("43"))) == ["42", "43"]
