"""SHIP 5: whatever reads it, output is readable: no escape codes where none belong, JSON whole."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import REPOSITORY
from tests.acceptance.servers import own_redis
from tests.acceptance.waiting import eventually
from worker.store import migrate

pytestmark = pytest.mark.number("ship-5")

ESCAPE = b"\x1b"
COMMANDS = (("doctor",), ("jobs",), ("--help",), ("submit", "--account", "none"))


def environment(home: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "BULKDEL_DATA_DIR": str(home / "data"),
        **more,
    }


def on_terminal(args: tuple[str, ...], env: dict[str, str], home: Path) -> bytes:
    """What a person at a terminal sees of a command."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "worker", *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        cwd=home,
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 65_536):
                seen += part
        except OSError:  # the other end is closed
            pass
        process.wait(60)
    os.close(ours)
    return seen


def test_a_terminal_with_colours_is_given_some(tmp_path: Path) -> None:
    assert ESCAPE in on_terminal(("doctor",), environment(tmp_path), tmp_path)


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_plain_terminal_gets_no_escape_codes(
    args: tuple[str, ...], plain: dict[str, str], tmp_path: Path
) -> None:
    seen = on_terminal(args, environment(tmp_path, COLUMNS="40", **plain), tmp_path)

    assert seen.strip()
    assert ESCAPE not in seen
    assert b"Traceback" not in seen


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_a_pipe_gets_no_escape_codes_and_json_line_by_line(
    args: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", *args, *(() if "--help" in args else ("--json",))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(tmp_path),
        cwd=tmp_path,
        check=False,
    )

    assert ESCAPE not in done.stdout + done.stderr
    if "--help" not in args:
        assert [json.loads(line) for line in done.stdout.splitlines()]


def test_the_level_of_a_check_is_a_word_and_not_a_colour_alone(tmp_path: Path) -> None:
    seen = on_terminal(("doctor",), environment(tmp_path, NO_COLOR="1"), tmp_path).decode()

    assert seen.startswith("missing  config:")


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_off_a_terminal_every_line_of_a_log_is_an_event(role: str, tmp_path: Path) -> None:
    migrate.upgrade(f"sqlite:///{tmp_path}/data/bulkdel.db")
    log = tmp_path / "log"
    with own_redis() as redis, log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", role],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment(tmp_path, BULKDEL_REDIS_URL=redis),
            cwd=tmp_path,
        )
        eventually(lambda: f"{role}.started" in log.read_text(), within=60, what=role)
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    told = [json.loads(line) for line in log.read_text().splitlines()]
    events = [line["event"] for line in told if line["source"] != "py.warnings"]
    assert events[0] == f"{role}.started"
