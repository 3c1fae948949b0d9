"""The log: every event is documented, one line a fact, JSON off a terminal, no secret in it."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_documents import table, word
from worker import telemetry
from worker.domain.audit import Entry, Event, account_chain
from worker.store.chain import append
from worker.store.engine import Database

WORKER = Path(__file__).parents[2] / "worker"
METHODS = {"exception": "error"}
WORDS = {"debug", "info", "warning", "error", "exception"}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers = handlers
    telemetry.configure("warning")


def logged() -> Iterator[tuple[str, str]]:
    """Event and level of every line that the code can write."""
    for path in WORKER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.func.attr in WORDS
            ):
                name = ast.literal_eval(node.args[0])
                yield name, METHODS.get(node.func.attr, node.func.attr)
    yield from ((event.value, telemetry.LEVELS.get(event, "info")) for event in Event)
    yield "library.said", "warning"


def test_every_event_is_documented_with_its_level() -> None:
    rows = table("docs/events.md", "log event")

    assert {word(row["log event"]): row["level"] for row in rows} == dict(logged())


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def an_entry(event: Event, **fields: object) -> Entry:
    chain = account_chain("acme")
    return Entry(chain=chain, event=event, account="acme", actor="ada", **fields)  # type: ignore[arg-type]  # whatever a test sets


def test_what_is_committed_is_told_once_with_its_ids(
    sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("debug")
    database = Database(sqlite_url, telemetry.tell)
    call = an_entry(Event.CALL, job_id="j-1", item_id=7, attempt=2, verdict="deleted")

    with database.write() as connection:
        append(connection, [call])
        assert lines(capsys) == []
    database.dispose()

    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "event": "call",
        "level": "debug",
        "source": "audit",
        "account": "acme",
        "job": "j-1",
        "item": 7,
        "attempt": 2,
        "verdict": "deleted",
    }


def write_and_fail(database: Database) -> None:
    with database.write() as connection:
        append(connection, [an_entry(Event.ACCOUNT_PARKED)])
        raise KeyError


def test_what_is_rolled_back_is_not_told(
    sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("debug")
    database = Database(sqlite_url, telemetry.tell)

    with pytest.raises(KeyError):
        write_and_fail(database)
    database.dispose()

    assert lines(capsys) == []


def test_calls_and_items_are_for_those_who_ask_and_a_parked_account_is_an_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.configure("info")

    each = (Event.CALL, Event.ITEM_SETTLED, Event.ACCOUNT_PARKED)
    telemetry.tell([an_entry(event) for event in each])

    assert [(line["event"], line["level"]) for line in lines(capsys)] == [
        ("account.parked", "error")
    ]


def test_lines_inside_carry_what_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("info")

    with telemetry.bound(account="acme"):
        telemetry.logger("worker").warning("slice.failed", token="canary")

    (line,) = lines(capsys)
    assert (line["account"], line["token"]) == ("acme", "[secret]")


def test_what_libraries_say_are_lines_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("info")
    telemetry.adopt_libraries()

    logging.getLogger("celery.worker.consumer").error("cannot connect to %s", "redis://x")

    (line,) = lines(capsys)
    assert line["event"] == "library.said"
    assert line["source"] == "celery.worker.consumer"
    assert (line["level"], line["message"]) == ("error", "cannot connect to redis://x")
