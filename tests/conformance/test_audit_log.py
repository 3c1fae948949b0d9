"""Reading the audit log, on both databases."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.audits import JOB, an_entry, entries_of, with_settled_job, write
from worker.domain.audit import EXPORTED, Event
from worker.domain.calls import Answer
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Outcome, Verdict
from worker.store import audit_log
from worker.store.audit_log import AuditEntry, Filter, cursor_of, query, stored
from worker.store.audit_ranges import LEADS, index_of, selected
from worker.store.engine import Database
from worker.store.entries import told_to_wait
from worker.store.models import AUDIT

pytestmark = pytest.mark.number("operate-6")


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


def test_an_export_has_the_rows_of_the_query(settled_job: Database) -> None:
    entries = entries_of(settled_job, job=JOB)

    (batch,) = stored(settled_job, Filter(job=JOB))

    assert [(row.id, row.at, row.hash) for row in batch] == [(e.id, e.at, e.hash) for e in entries]
    assert all(isinstance(row.detail, str) for row in batch)
    assert cursor_of(batch[2], Filter(job=JOB)) == cursor_of(entries[2], Filter(job=JOB))


def test_a_typed_row_has_the_fields_as_they_are_exported(settled_job: Database) -> None:
    assert AuditEntry._fields == ("id", *EXPORTED)
    assert tuple(entries_of(settled_job)[0].exported()) == EXPORTED


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


def test_an_age_that_moves_on_between_pages_keeps_the_cursor(settled_job: Database) -> None:
    entries = entries_of(settled_job)
    wanted = Filter(since=entries[0].at)
    cursor = cursor_of(entries[2], wanted)

    for since, left in (
        (entries[0].at + timedelta(microseconds=1), entries[3:]),
        (entries[-1].at + timedelta(hours=1), []),
    ):
        page = query(settled_job, Filter(since=since), limit=1000, after=cursor)
        assert [entry.id for entry in page] == [entry.id for entry in left if entry.at >= since]


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


def test_refusals_are_told_with_the_time_they_named(database: Database) -> None:
    at = datetime(2026, 11, 21, 10, tzinfo=UTC)
    wait = timedelta(seconds=90)
    named = Answer(verdict=Verdict.THROTTLED, retry_after=wait, is_own_limit=True)
    throttled = an_entry(1, verdict="throttled", message="slow", detail=told_to_wait(named))
    quota = an_entry(1, verdict="quota_exhausted", message="", detail={})
    write(database, [throttled, an_entry(1), quota, an_entry(1, account="crm")], at=at)
    write(database, [throttled], at=at - timedelta(seconds=1))

    assert sorted(audit_log.refusals_since(database, "acme", at), key=str) == [
        (at, Answer(verdict=Verdict.QUOTA_EXHAUSTED)),
        (at, replace(named, message="slow")),
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(account="acme"),
        Filter(outcome=(Outcome.DELETED, Outcome.UNKNOWN)),
        Filter(kind="task", outcome=(Outcome.DELETED,)),
        Filter(actor="w1", since=datetime(2026, 11, 21, 10, 0, 3, tzinfo=UTC)),
        Filter(account="acme", outcome=(Outcome.DELETED, Outcome.UNKNOWN)),
        Filter(job=JOB, outcome=(Outcome.DELETED,), kind="project"),
        Filter(event=Event.ITEM_SETTLED),
        Filter(event=Event.CALL, account="acme"),
        Filter(event=Event.ATTEMPT_LOST, until=datetime(2026, 11, 21, 10, 0, 7, tzinfo=UTC)),
        Filter(external_id="460000", account="acme"),
        Filter(item_id=0),
    ],
    ids=str,
)
def test_the_pages_of_any_filter_are_the_export_cut_in_pieces(
    database: Database, wanted: Filter
) -> None:
    start = datetime(2026, 11, 21, 10, tzinfo=UTC)
    ends = ("deleted", "unknown", None, "failed_refused")
    events = (Event.CALL, Event.ATTEMPT_LOST, Event.ITEM_SETTLED)
    for turn in range(8):  # four entries of one transaction are of one instant
        entries = [
            an_entry(
                n,
                outcome=ends[(turn + n) % 4],
                kind=("project", "task")[n % 2],
                chain=f"job:{n % 2}",
                event=events[(turn + n) % 3],
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
    assert whole == [entry.id for entry in query(database, Filter()) if fits(entry, wanted)]
    assert pages == whole == sorted(whole)


def fits(entry: AuditEntry, wanted: Filter) -> bool:
    """Whether an entry is wanted, told without any index."""
    pairs = {
        "job_id": wanted.job,
        "account": wanted.account,
        "kind": wanted.kind,
        "external_id": wanted.external_id,
        "actor": wanted.actor,
        "event": wanted.event,
        "item_id": wanted.item_id,
    }
    return (
        all(value is None or getattr(entry, name) == value for name, value in pairs.items())
        and (not wanted.outcome or entry.outcome in wanted.outcome)
        and (wanted.since is None or entry.at >= wanted.since)
        and (wanted.until is None or entry.at < wanted.until)
    )


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_each_way_to_lead_a_query_has_its_index(lead: tuple[str, ...]) -> None:
    (index,) = [index for index in AUDIT.indexes if index.name == index_of(lead)]

    assert [column.name for column in index.columns] == [*lead, "at", "id"]


@pytest.mark.parametrize(
    ("wanted", "lead"),
    [
        (Filter(), ()),
        (Filter(since=datetime(2026, 11, 21, tzinfo=UTC)), ()),
        (Filter(job=JOB, kind="task"), ("job_id",)),
        (Filter(job=JOB, outcome=(Outcome.DELETED,)), ("job_id", "outcome")),
        (Filter(account="acme", outcome=(Outcome.DELETED,)), ("account", "outcome")),
        (Filter(account="acme", actor="ada"), ("actor",)),
        (Filter(account="acme", kind="task"), ("account",)),
        (Filter(account="acme", kind="task", external_id="7"), ("external_id",)),
        (Filter(job=JOB, event=Event.JOB_MOVED), ("event",)),
        (Filter(job=JOB, event=Event.CALL), ("job_id",)),
        (Filter(event=Event.CALL), ()),
        (Filter(kind="task", item_id=7), ("item_id",)),
    ],
    ids=str,
)
def test_a_page_is_a_range_of_the_index_that_leads_it(
    database: Database, wanted: Filter, lead: tuple[str, ...]
) -> None:
    statement = selected(wanted, 100, goes_on=False, dialect=database.dialect)
    plain = "enable_seqscan", "enable_sort", "enable_bitmapscan", "enable_incremental_sort"

    with database.read() as connection:
        words = "EXPLAIN QUERY PLAN"
        if database.dialect == "postgresql":
            words = "EXPLAIN"
            for setting in plain:
                connection.exec_driver_sql(f"SET LOCAL {setting} = off")
        bound = statement.compile(connection, compile_kwargs={"literal_binds": True})
        plan = str(connection.exec_driver_sql(f"{words} {bound}").all())

    (found,) = re.findall(r"ix_\w+", plan)
    (index,) = [index for index in AUDIT.indexes if index.name == found]
    assert [column.name for column in index.columns][:1] == [*lead, "at"][:1]
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_pages_asked_for_one_after_another_are_soon_planned_no_more(database: Database) -> None:
    write(database, [an_entry(number) for number in range(500)])
    after = cursor_of(entries_of(database)[0], Filter())
    for _ in range(12):
        list(query(database, Filter(), limit=1, after=after))

    asked = "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
    with database.read() as connection:
        pages = f"{asked} WHERE statement LIKE '%%(%%.at, %%.id) >%%'"
        ((kept, anew),) = connection.exec_driver_sql(pages).all()

    assert anew == 5  # as many as PostgreSQL compares with
    assert kept > 0
