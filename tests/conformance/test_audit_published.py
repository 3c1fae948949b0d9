"""`from worker.audit import query`, as other programs use it."""

from datetime import datetime

import pytest

from tests.audits import JOB, with_settled_job
from worker.audit import cursor_of, filter_of, query
from worker.domain.errors import InvalidInput, Unreachable
from worker.store.engine import Database


@pytest.fixture(autouse=True)
def _settled_job(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with_settled_job(database)
    monkeypatch.setenv("BULKDEL_DATABASE_URL", database.url)


def test_what_happened_to_an_item_can_be_asked() -> None:
    [entry] = query(job=JOB, external_id="460003")

    assert (entry.outcome, entry.actor, entry.kind) == ("deleted", "w1", "project")


def test_filters_limit_and_cursor_go_together() -> None:
    [first] = query(outcome=["deleted"], limit=1)

    rest = list(query(outcome=["deleted"], after=cursor_of(first, filter_of(outcome="deleted"))))

    assert [entry.item_id for entry in [first, *rest]] == [1, 2, 3, 4, 5]


def test_a_reader_may_stop_early() -> None:
    entries = query()

    assert next(entries).seq == 1
    assert next(entries).seq == 2


def test_a_word_that_is_none_is_wrong_input() -> None:
    with pytest.raises(InvalidInput, match="there is no outcome 'gone'") as raised:
        query(outcome=["gone"])
    assert "already_absent" in raised.value.fix
    with pytest.raises(InvalidInput, match="there is no event 'party'"):
        query(event="party")


def test_a_filter_that_is_none_is_wrong_input() -> None:
    with pytest.raises(InvalidInput, match="there is no filter colour"):
        query(colour="red")  # type: ignore[call-arg]  # what is tested


def test_a_moment_without_a_zone_is_wrong_input() -> None:
    naive = datetime.fromisoformat("2026-11-21T10:00:00")

    with pytest.raises(InvalidInput, match="since has no time zone"):
        query(since=naive)


def test_without_tables_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty") / "bulkdel.db"
    monkeypatch.setenv("BULKDEL_DATABASE_URL", f"sqlite:///{empty}")

    with pytest.raises(Unreachable, match="has no tables"):
        next(query())
