from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.cli.test_exits import a_job, counts
from worker.cli.pace import Pace, Teller, progress_line, waiting_line
from worker.cli.screens import item_line, job_cells, plan_lines, show_lines
from worker.domain.calls import Seen, Target
from worker.domain.outcomes import Outcome
from worker.domain.plan import Finding, FindingLevel
from worker.domain.states import JobState, Waiting
from worker.domain.steps import Progress, Step
from worker.ports import Alternative, Item, Job, JobOptions, PlanFacts, WaitingOn
from worker.services.report import duration, report_lines, report_of, wrapped

EPOCH = datetime(2026, 11, 21, 18, tzinfo=UTC)

PLAN = """\
Plan of job j-1: zoho_books, account acme (organisation 10234695)
  why        the projects of 2016 to 2019, closed and archived long since, as
             agreed
  deletes    1,284 items: 40 documents, 244 tasks, 1,000 projects
  cascade    documents, tasks: one call each, then their project, read again
             before its end
  left out   11 already_absent, 2 skipped_protected, 3 given twice
  calls      2,284 to make: document.delete 40, project.read 1,000,
             project.delete 1,000, task.delete 244 (7 made for the plan)
  instead    --cascade-mode background: 1,000 calls, about 10 min
  quota      228% of one day's calls
  time       about 2 d, done 2026-11-23 18:00:00 UTC if it starts at once
  warning    4 projects were changed today
Nothing has been deleted. The plan expires 2026-11-22 18:00:00 UTC.

  bulkdel plan j-1 --items
  bulkdel confirm j-1 --word "delete 1284 acme 9f3a"
"""

REPORT = """\
Job j-1 partially_succeeded after 13 min.
  succeeded 1,268 + skipped 2 + failed 12 + unknown 1 + open 1 = 1,284
  of these: deleted 1,268, skipped_protected 2, failed_refused 12, unknown 1

Left over, by reason:
  1 unknown
      5 looks could not tell
      project 4410377
  12 failed_refused (code 9020)
      locked by an open invoice
      project 1, project 2, project 3, project 4, project 5, project 6, project
      7, project 8, project 9, project 10 and 2 more

Next:
  settle what the provider refuses at the provider
  look at the unknown ones at the provider: a retry looks again
  bulkdel retry j-1 --outcome failed,unknown
"""


def planned() -> Job:
    plan = PlanFacts(
        hash="0" * 60 + "9f3a",
        word="delete 1284 acme 9f3a",
        items=1284,
        by_kind={"document": 40, "task": 244, "project": 1000},
        calls=2284,
        calls_by_endpoint={
            "document.delete": 40,
            "project.read": 1000,
            "project.delete": 1000,
            "task.delete": 244,
        },
        calls_spent=7,
        alternatives=(
            Alternative(way="--cascade-mode background", calls=1000, estimated_seconds=600),
        ),
        quota_share=2.284,
        estimated_seconds=172_800.0,
        finish_at=EPOCH + timedelta(days=2),
        findings=(
            Finding(level=FindingLevel.WARNING, code="used", text="4 projects were changed today"),
        ),
        duplicates=3,
        complete=True,
    )
    return replace(
        a_job(JobState.AWAITING_CONFIRMATION),
        options=JobOptions(cascade=("document", "task")),
        reason="the projects of 2016 to 2019, closed and archived long since, as agreed",
        planned_at=EPOCH,
        plan=plan,
    )


LEFT_OUT = counts({Outcome.ALREADY_ABSENT: 11, Outcome.SKIPPED_PROTECTED: 2}, 1284)


def an_item(number: int, outcome: Outcome, *, code: str = "", reason: str = "") -> Item:
    return Item(
        id=number,
        job_id="j-1",
        position=number,
        seen=Seen(target=Target(kind="project", external_id=str(number))),
        progress=Progress(step=Step.DELETE),
        state="settled",
        outcome=outcome,
        reason=reason,
        provider_code=code,
    )


def page(lines: list[str]) -> str:
    assert max(map(len, lines)) <= 80
    return "\n".join(lines) + "\n"


def test_the_plan_is_a_page_of_80_columns_that_ends_with_the_word() -> None:
    lines = plan_lines(planned(), LEFT_OUT, organization="10234695", small=10)

    assert page(lines) == PLAN


def test_a_small_plan_needs_a_yes() -> None:
    lines = plan_lines(planned(), LEFT_OUT, small=1284)

    assert lines[-1] == "  bulkdel confirm j-1 --yes"


def test_a_plan_that_a_guard_refuses_names_no_way_to_confirm_it() -> None:
    job = planned()
    finding = Finding(level=FindingLevel.REFUSAL, code="max_items", text="1,284 is above 1,000")
    job = replace(job, plan=replace(job.plan, findings=(finding,), complete=False))

    lines = plan_lines(job, LEFT_OUT)

    assert "It cannot be confirmed as it is: see the refusals above." in lines
    assert any(line.startswith("  incomplete ") for line in lines)
    assert not any("bulkdel confirm" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (JobOptions(), "unseen"),
        (JobOptions(cascade=("task",), background=True), "in one call"),
        (JobOptions(cascade=("task",), recheck=False), "not read again"),
    ],
)
def test_a_plan_says_what_becomes_of_the_children(options: JobOptions, said: str) -> None:
    lines = plan_lines(replace(planned(), options=options), LEFT_OUT)

    assert said in "\n".join(lines)


def test_a_plan_that_is_being_made_says_what_it_waits_for() -> None:
    job = a_job(JobState.PLANNING, waits=Waiting.WORKER)

    assert "planning: …" in "\n".join(plan_lines(job, counts({}, 5)))


def test_the_report_adds_up_groups_and_ends_with_what_to_do() -> None:
    ended = {
        Outcome.DELETED: 1268,
        Outcome.SKIPPED_PROTECTED: 2,
        Outcome.FAILED_REFUSED: 12,
        Outcome.UNKNOWN: 1,
    }
    job = replace(
        planned(),
        state=JobState.PARTIALLY_SUCCEEDED,
        started_at=EPOCH,
        finished_at=EPOCH + timedelta(minutes=13, seconds=41),
    )
    refused = (
        an_item(n, Outcome.FAILED_REFUSED, code="9020", reason="locked by an open invoice")
        for n in range(1, 13)
    )
    lost = an_item(4410377, Outcome.UNKNOWN, reason="5 looks could not tell")

    report = report_of(job, counts(ended, 1), [*refused, lost])

    assert page(report_lines(report)) == REPORT


def test_a_report_keeps_a_bounded_number_of_reasons() -> None:
    job = replace(planned(), state=JobState.FAILED)
    items = (an_item(n, Outcome.FAILED_REFUSED, reason=f"reason {n}") for n in range(60))

    report = report_of(job, counts({Outcome.FAILED_REFUSED: 60}), items)

    assert (len(report.groups), report.elsewhere) == (50, 10)
    assert "  10 more, for other reasons" in report_lines(report)


def test_a_report_of_a_clean_end_points_to_the_certificate() -> None:
    job = replace(planned(), state=JobState.SUCCEEDED)

    lines = report_lines(report_of(job, counts({Outcome.DELETED: 3}), []))

    assert lines[-1] == "  bulkdel audit certificate j-1"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "under 1 s"),
        (59.9, "59 s"),
        (821, "13 min"),
        (7200, "2 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (86_400 * 3 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(timedelta(seconds=seconds)) == said


def test_a_word_longer_than_the_page_is_not_broken() -> None:
    assert wrapped("a " + "x" * 90, indent=2) == ["  a", "  " + "x" * 90]
    assert wrapped("", indent=2) == []


def test_a_job_is_shown_with_who_why_and_what_it_waits_for() -> None:
    waits = WaitingOn(
        code=Waiting.QUOTA_RESET, sentence="the day's calls are used up", next_wake=EPOCH
    )
    job = replace(a_job(JobState.RUNNING), waiting_on=waits, started_at=EPOCH)

    text = page(show_lines(job, counts({Outcome.DELETED: 2}, 3)))

    assert "Job j-1 is running." in text
    assert "succeeded 2 + open 3 = 5" in text
    assert "waits on   quota_reset: the day's calls are used up" in text
    assert "next look  2026-11-21 18:00:00 UTC" in text
    assert job_cells(job, counts({Outcome.DELETED: 2}, 3))[3] == "2/5"


def test_the_pace_is_that_of_the_last_minute() -> None:
    pace = Pace()
    for second in range(0, 200, 10):
        pace.note(float(second), settled=0 if second < 120 else (second - 120) * 2)

    assert pace.per_second == pytest.approx(2)
    assert pace.left(120) == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=1))
    assert Pace().left(5) is None


def test_a_line_is_due_on_news_every_tenth_and_every_half_minute() -> None:
    teller = Teller()
    job = a_job(JobState.RUNNING)

    def due(now: float, settled: int, workers: int = 1) -> bool:
        return teller.is_due(now, job, counts({Outcome.DELETED: settled}, 100 - settled), workers)

    assert due(0, 1)
    assert not due(1, 2)
    assert due(2, 11)
    assert not due(31, 12)
    assert due(32, 12)
    assert due(33, 12, workers=0)


@pytest.mark.parametrize(("number", "said"), [(1, "planning: 1 item"), (2, "planning: 2 items")])
def test_one_item_is_not_many(number: int, said: str) -> None:
    assert progress_line(a_job(JobState.PLANNING), counts({}, number), Pace()) == said


def test_progress_says_share_pace_and_rest() -> None:
    pace = Pace()
    pace.note(0.0, 0)
    pace.note(30.0, 50)

    line = progress_line(a_job(JobState.RUNNING), counts({Outcome.DELETED: 50}, 50), pace)

    assert line == "running: 50/100  50%  100/min  30 s left  deleted 50"


def test_waiting_says_first_that_nobody_works() -> None:
    job = a_job(JobState.RUNNING, waits=Waiting.RATE_LIMIT)

    assert waiting_line(job, 0).startswith("no worker is alive")
    assert waiting_line(job, 1) == "waits on rate_limit: …"
    assert waiting_line(a_job(JobState.SUCCEEDED, waits=Waiting.WORKER), 0) == ""
    assert waiting_line(a_job(JobState.RUNNING, waits=Waiting.WORKER), 2) == ""


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Outcome.SKIPPED_HELD, "[skipped_held: held by legal: case 4711]"),
        (Outcome.DELETED, "[deleted]"),
    ],
)
def test_an_item_that_was_spared_says_by_which_rule(outcome: Outcome, end: str) -> None:
    item = an_item(1, outcome, reason="held by legal: case 4711")

    assert item_line(item).endswith(end)
