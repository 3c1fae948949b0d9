"""The ten screens of docs/screens: what the commands print, byte for byte, in 80 columns.

BULKDEL_TEST_SCREENS=write pytest tests/unit/cli/test_golden.py    writes them anew
"""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.cli.conftest import Played
from tests.unit.cli.test_exits import a_job, counts
from tests.unit.cli_ops.test_doctor_rules import ACCOUNT, DATABASE, REDIS, WELL
from worker.cli.doctor import print_checks
from worker.cli.output import Output
from worker.cli.pace import Pace, told_lines
from worker.domain.outcomes import Outcome
from worker.domain.plan import Finding, FindingLevel
from worker.domain.states import JobState, Waiting
from worker.ports import WaitingOn
from worker.services.doctor import examine
from worker.services.doctor_facts import Fault, SecretFacts

SCREENS = Path(__file__).parents[3] / "docs" / "screens"
WIDTH = 80
WRITES = os.environ.get("BULKDEL_TEST_SCREENS") == "write"
IDS = tuple(str(460000000044019 + n) for n in range(12))

Bulkdel = Callable[..., Result]
Submitted = Callable[..., str]


def steady(text: str) -> str:
    """The text without what differs from run to run, in the same width."""
    for pattern, always in (
        (r"\bj-[0-9a-z]{8}\b", "j-7f3k2m9a"),
        (r"\b20\d\d-\d\d-\d\d([ \n])\d\d:\d\d:\d\d\b", r"2026-11-21\g<1>18:00:00"),
        (r"\b20\d\d-\d\d-\d\d \d\d:\d\d\b", "2026-11-21 18:00"),
        (r"(?<=acme )[0-9a-f]{4}\b", "9f3a"),
        (r"\(user \S+ on \S+\)", "(user ada on desk)"),
        (r"\bafter \d+ s\.", "after under 1 s."),  # on a machine that is busy
    ):
        text = re.sub(pattern, always, text)
    return text


def screen(name: str, command: str, result: Result) -> None:
    """Compare what a command printed with the screen of that name."""
    compare(name, command, f"{result.stdout}{result.stderr}", result.exit_code)


def compare(name: str, command: str, printed: str, code: int) -> None:
    shown = f"$ {command}\n{printed.rstrip()}\n"
    if code:
        shown += f"$ echo $?\n{code}\n"
    shown = steady(shown)
    path = SCREENS / f"{name}.txt"
    if WRITES:
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
    assert max(len(line) for line in shown.splitlines()) <= WIDTH
    assert "\x1b" not in shown


def test_plan(bulkdel: Bulkdel, played: Played, submitted: Submitted) -> None:
    played.findings = (
        Finding(
            level=FindingLevel.WARNING,
            code="used",
            text="4 of these projects were changed in the last 24 hours",
        ),
    )
    job = submitted(*IDS, IDS[0])
    played.plan(job)

    screen("plan", f"bulkdel plan {job}", bulkdel("plan", job))


def test_refused_plan(bulkdel: Bulkdel, played: Played, submitted: Submitted) -> None:
    played.findings = (
        Finding(
            level=FindingLevel.REFUSAL,
            code="max_items",
            text="12 items are more than the 10 that max_items of account acme allows; "
            "--max-items 12 raises it for one job",
        ),
    )
    job = submitted(*IDS)
    played.plan(job)

    screen("refused-plan", f"bulkdel plan {job}", bulkdel("plan", job))


def test_progress() -> None:
    pace, job = Pace(), replace(a_job(JobState.RUNNING), id="j-7f3k2m9a")
    said = WaitingOn(code=Waiting.RATE_LIMIT, sentence="90 of our 90 calls in 1m are used")
    lines = []
    for second, settled, refused in ((0.0, 0, 0), (30.0, 49, 0), (60.0, 97, 2), (90.0, 97, 2)):
        pace.note(second, settled + refused)
        ended = {Outcome.DELETED: settled, Outcome.UNKNOWN: refused}
        done = {outcome: number for outcome, number in ended.items() if number}
        job = replace(job, waiting_on=said if second > 60 else None)
        left = counts(done, 1_284 - settled - refused)
        lines += told_lines(job, left, pace, workers=1)
    lines += told_lines(job, counts({}, 1_284), pace, workers=0)

    compare("progress", "bulkdel watch j-7f3k2m9a 2>&1 | cat", "\n".join(lines), 0)


def test_report(bulkdel: Bulkdel, played: Played, submitted: Submitted) -> None:
    job = submitted(*IDS)
    word = played.plan(job).plan.word
    assert bulkdel("confirm", job, "--word", word).exit_code == 0
    played.ends = dict.fromkeys(IDS[:3], Outcome.FAILED_REFUSED)
    played.finish(job)

    screen("report", f"bulkdel report {job}", bulkdel("report", job))


def test_explain(bulkdel: Bulkdel, played: Played, submitted: Submitted) -> None:
    played.is_alive()
    job = submitted(*IDS)
    word = played.plan(job).plan.word
    assert bulkdel("confirm", job, "--word", word).exit_code == 0
    played.wait_on(job, Waiting.QUOTA_RESET, "the day's 800 calls of acme are used")

    screen("explain", f"bulkdel explain {job}", bulkdel("explain", job))


def test_audit(bulkdel: Bulkdel, played: Played, submitted: Submitted) -> None:
    job = submitted(*IDS[:3])
    played.plan(job)
    assert bulkdel("confirm", job, "--yes").exit_code == 0
    played.finish(job)

    screen("audit", f"bulkdel audit --job {job}", bulkdel("audit", "--job", job))


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    loose = SecretFacts(reference="file:/etc/bulkdel/acme_token", readable_by_all=True)
    facts = replace(
        WELL,
        accounts=(replace(ACCOUNT, secrets=(loose,), unset=("per_day", "windows")),),
        database=replace(DATABASE, dialect="postgresql", skew=timedelta(seconds=9)),
        redis=replace(REDIS, where="redis.internal:6379", policy="allkeys-lru", private=False),
        broker_fault=Fault(
            what="the broker does not answer: Connection refused",
            fix="start it, or correct BULKDEL_BROKER_URL",
        ),
        seen=(),
    )
    print_checks(Output(), examine(facts))

    compare("doctor", "bulkdel doctor", capsys.readouterr().out, 5)


def test_wrong_word(bulkdel: Bulkdel, played: Played, submitted: Submitted) -> None:
    job = submitted(*IDS)
    played.plan(job)
    given = ("confirm", job, "--word", "delete 11 acme 9f3a")

    command = f'bulkdel confirm {job} --word "delete 11 acme 9f3a"'
    screen("wrong-word", command, bulkdel(*given))


def test_empty_list(bulkdel: Bulkdel) -> None:
    screen("empty-list", "bulkdel jobs", bulkdel("jobs"))


def test_no_worker(bulkdel: Bulkdel) -> None:
    given = ("--account", "acme", "--ids", "101,102", "--cascade", "none", "--reason", "closed")

    command = 'bulkdel submit --account acme --ids 101,102 --cascade none --reason "closed"'
    screen("no-worker", command, bulkdel("submit", *given))


def test_there_are_ten_screens_and_a_test_for_each() -> None:
    tests = {name.removeprefix("test_").replace("_", "-") for name in globals() if "test_" in name}

    found = {path.stem for path in SCREENS.glob("*.txt")}
    assert len(found) == 10
    assert found <= tests
