"""Reading the audit log, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.audits import JOB, an_entry, entries_of, with_settled_job, write
from worker.domain.audit import Event
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Outcome
from worker.store import audit_log
from worker.store.audit_log import Filter, cursor_of, query
from worker.store.engine import Database


@pytest.fixture
def settled_job(database: Database) -> Database:
    return with_settled_job(database)


def test_a_query_gives_what_is_asked_for(settled_job: Database) -> None:
    write(settled_job, [an_entry(9, kind="task", actor="w2", outcome="unknown", job_id=None)])

    assert len(entries_of(settled_job)) == 7
    assert len(entries_of(settled_job, job=JOB)) == 6
    assert len(entries_of(settled_job, account="other")) == 0
    assert [e.item_id for e in entries_of(settled_job, kind="task")] == [9]
    assert [e.item_id for e in entries_of(settled_job, external_id="460003")] == [3]
    assert [e.item_id for e in entries_of(settled_job, actor="w2")] == [9]
    assert [e.item_id for e in entries_of(settled_job, item_id=4)] == [4]
    assert len(entries_of(settled_job, event=Event.JOB_SUBMITTED)) == 1
    both = (Outcome.DELETED, Outcome.UNKNOWN)
    assert [e.item_id for e in entries_of(settled_job, outcome=both)] == [1, 2, 3, 4, 5, 9]


def test_since_is_inclusive_and_until_is_not(database: Database) -> None:
    start = datetime(2026, 11, 21, 10, tzinfo=UTC)
    for number in range(3):
        write(database, [an_entry(number)], at=start + timedelta(seconds=number))

    found = entries_of(
        database, since=start + timedelta(seconds=1), until=start + timedelta(seconds=2)
    )

    assert [entry.item_id for entry in found] == [1]


def test_pages_hang_together_by_their_cursor(settled_job: Database) -> None:
    wanted = Filter(job=JOB)
    first = list(query(settled_job, wanted, limit=4))

    rest = list(query(settled_job, wanted, limit=4, after=cursor_of(first[-1], wanted)))

    assert [entry.seq for entry in [*first, *rest]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("cursor", ["", "x", "MQ", "MS5hYmNk", "ü", "LTEuYWFhYWFhYWE"])
def test_a_cursor_of_nobodys_is_wrong_input(database: Database, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        query(database, Filter(), after=cursor)


def test_a_cursor_of_another_filter_is_wrong_input(settled_job: Database) -> None:
    cursor = cursor_of(entries_of(settled_job)[0], Filter())

    with pytest.raises(InvalidInput, match="cursor"):
        query(settled_job, Filter(kind="task"), after=cursor)


def test_calls_that_left_are_counted_for_the_limits(database: Database) -> None:
    start = datetime(2026, 11, 21, 10, tzinfo=UTC)
    call, late = an_entry(1), an_entry(1, event=Event.CALL_LATE)
    lost = an_entry(1, event=Event.ATTEMPT_LOST, verdict="")
    for number, entry in enumerate([call, late, lost, call]):
        write(database, [entry], at=start + timedelta(seconds=number))
    not_sent = an_entry(1, verdict="not_sent")
    refused_here = an_entry(1, verdict="unauthorised", error_class="credentials")
    settled = an_entry(1, event=Event.ITEM_SETTLED)
    write(database, [not_sent, refused_here, settled, an_entry(1, account="crm")], at=start)

    since = start + timedelta(seconds=1)

    assert audit_log.calls_since(database, "acme", since) == [
        start + timedelta(seconds=number) for number in (1, 2, 3)
    ]
    assert audit_log.count_calls_since(database, "acme", start) == 4


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(account="acme"),
        Filter(outcome=(Outcome.DELETED, Outcome.UNKNOWN)),
        Filter(kind="task", outcome=(Outcome.DELETED,)),
        Filter(actor="w1", since=datetime(2026, 11, 21, 10, 0, 3, tzinfo=UTC)),
    ],
    ids=str,
)
def test_the_pages_of_any_filter_are_the_export_cut_in_pieces(
    database: Database, wanted: Filter
) -> None:
    start = datetime(2026, 11, 21, 10, tzinfo=UTC)
    ends = ("deleted", "unknown", None, "failed_refused")
    for turn in range(8):  # four entries of one transaction are of one instant
        entries = [
            an_entry(
                turn * 4 + n,
                outcome=ends[(turn + n) % 4],
                kind=("project", "task")[n % 2],
                chain=f"job:{n % 2}",
            )
            for n in range(4)
        ]
        write(database, entries, at=start + timedelta(seconds=turn))
    whole = [entry.id for entry in query(database, wanted)]
    pages: list[int] = []
    after = None
    while page := list(query(database, wanted, limit=3, after=after)):
        pages += [entry.id for entry in page]
        after = cursor_of(page[-1], wanted)

    assert len(whole) > 3
    assert pages == whole == sorted(whole)
