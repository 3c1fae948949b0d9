"""The real program: on a terminal, in a pipe that closes, and interrupted."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from time import monotonic

import pytest

from tests.unit.cli.conftest import ONE, Played

PROGRAM = [sys.executable, "-m", "worker"]
HERE = os.getcwd()  # noqa: PTH109  the repository, before anything changes it


def started(
    environ: dict[str, str], *args: str, terminal: int | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *args],
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "100", **environ},
        cwd=HERE,
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.PIPE if terminal is None else terminal,
        close_fds=True,
    )


def read_until(descriptor: int, wanted: bytes, within: float = 20) -> bytes:
    said = b""
    end = monotonic() + within
    while wanted not in said and monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            said += os.read(descriptor, 65_536)
    assert wanted in said, said
    return said


def test_an_interrupt_leaves_the_job_and_says_how_to_come_back(
    environ: dict[str, str], played: Played, submitted: Callable[..., str]
) -> None:
    played.is_alive()
    job_id = submitted()
    program = started(environ, "watch", job_id)
    assert program.stderr is not None
    read_until(program.stderr.fileno(), b"planning")

    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=20)

    assert program.returncode == 130
    assert f"bulkdel watch {job_id}".encode() in said
    assert played.desk.jobs.get(job_id).state == "planning"


def test_a_pipe_that_closes_is_no_bug(
    environ: dict[str, str], submitted: Callable[..., str]
) -> None:
    job_id = submitted(*(str(n) for n in range(1, 3000)))
    program = started(environ, "plan", job_id, "--items", "--json")
    assert program.stdout is not None
    assert program.stdout.readline()
    program.stdout.close()

    assert program.stderr is not None
    said = program.stderr.read()
    program.stderr.close()

    assert program.wait(20) == 141
    assert said == b""


@pytest.mark.usefixtures("worker")
def test_a_person_on_a_terminal_is_asked(environ: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    program = started(environ, "submit", *ONE, "--ids", "1,2", "--wait", terminal=theirs)
    os.close(theirs)
    said = read_until(ours, b"[y/N]")
    os.write(ours, b"y\n")
    said += read_until(ours, b"bulkdel audit certificate")
    assert program.wait(20) == 0
    os.close(ours)

    assert b"Delete 2 items of acme?" in said
    assert b"succeeded 2 = 2" in said


@pytest.mark.usefixtures("worker")
def test_on_a_terminal_the_word_of_a_large_plan_is_asked_for(environ: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    program = started(environ, "submit", *ONE, "--ids", "1,2,3,4", terminal=theirs)
    os.close(theirs)
    said = read_until(ours, b"to go on (Enter leaves it):")
    os.write(ours, b"\n")
    said += read_until(ours, b"left as it is")
    assert program.wait(20) == 0
    os.close(ours)

    assert b"Type  delete 4 acme " in said
