"""A report groups what ended alike, whatever the ids, and keeps the most important reasons."""

from tests.builders import a_job, an_item, some_counts
from worker.domain.outcomes import Outcome
from worker.domain.states import JobState
from worker.ports import Item
from worker.services.report import report_of


def ended(number: int, outcome: Outcome, reason: str, code: str = "0") -> Item:
    return an_item(number, outcome=outcome, reason=reason, provider_code=code)


def test_items_that_ended_alike_are_one_group_whatever_ids_their_reasons_name() -> None:
    items = [
        ended(n, Outcome.DEPENDENCY_FAILED, f"task 46000104400{n:04} ended failed_refused")
        for n in range(1, 120)
    ]
    last = ended(120, Outcome.FAILED_REFUSED, "it has invoices", "9004")

    report = report_of(a_job(JobState.FAILED), some_counts(), [*items, last])

    told = [(group.count, group.provider_code, group.reason) for group in report.groups]
    assert told == [(119, "", "task … ended failed_refused"), (1, "9004", "it has invoices")]
    assert report.elsewhere == 0


def test_reasons_that_find_no_room_are_counted() -> None:
    items = [ended(n, Outcome.FAILED_REFUSED, f"reason {'x' * n}") for n in range(1, 61)]

    report = report_of(a_job(JobState.FAILED), some_counts(), items)

    assert (len(report.groups), report.elsewhere) == (50, 10)
