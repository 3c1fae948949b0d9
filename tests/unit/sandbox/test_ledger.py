import json
from pathlib import Path

from worker.sandbox.dialect import Effect, Route
from worker.sandbox.ledger import Entry, Ledger
from worker.sandbox.state import Kind


def an_entry(ledger: Ledger) -> Entry:
    entry = Entry(
        seq=ledger.next_seq,
        at=2.0,
        organization_id="1",
        method="DELETE",
        path="/books/v4/projects/7",
        query="organization-id=1",
        route=Route(kind=Kind.PROJECT, id="7"),
        deleted_ids=("7",),
        effect=Effect.DELETED,
        fault=None,
        started=1.0,
        status=200,
        code=0,
    )
    ledger.open(entry)
    return entry


def test_the_file_gets_an_entry_once_it_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    first, second = an_entry(ledger), an_entry(ledger)

    ledger.end(second, 3.0, answered=True)
    ledger.flush()
    early = path.read_text(encoding="utf-8").splitlines()
    ledger.close(9.0)

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(early) == 1
    assert [row["seq"] for row in rows] == [second.seq, first.seq]
    assert [row["answered"] for row in rows] == [True, False]


def test_a_line_says_all_there_is_to_say() -> None:
    ledger = Ledger()
    entry = an_entry(ledger)
    ledger.end(entry, 3.0, answered=True)

    assert json.loads(entry.line()) == {
        "seq": 1,
        "at": 2.0,
        "organization_id": "1",
        "method": "DELETE",
        "path": "/books/v4/projects/7",
        "query": "organization-id=1",
        "kind": "project",
        "id": "7",
        "parent_id": None,
        "ids": None,
        "deleted_ids": ["7"],
        "effect": "deleted",
        "status": 200,
        "code": 0,
        "fault": None,
        "answered": True,
        "started": 1.0,
        "ended": 3.0,
    }


def test_only_the_first_word_on_an_end_counts() -> None:
    ledger = Ledger()
    entry = an_entry(ledger)

    ledger.end(entry, 3.0, answered=False)
    ledger.end(entry, 4.0, answered=True)

    assert (entry.ended, entry.answered) == (3.0, False)
    assert ledger.stats()["unanswered"] == 1


def test_memory_is_bounded_and_the_counts_are_not() -> None:
    ledger = Ledger(keep=10)

    entries = [an_entry(ledger) for _ in range(100)]

    kept = ledger.since(0, 1000)
    assert 10 <= len(kept) <= 13
    assert kept[-1] is entries[-1]
    assert [entry.seq for entry in ledger.since(98, 10)] == [99, 100]
    assert ledger.stats()["deleted"] == {"project": 100}
    assert ledger.stats()["calls"] == 100
