"""The supervisor of `bulkdel up`: real children, real signals, nothing left behind."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from worker import supervisor
from worker.processes import CannotStart, Child, ChildSpec
from worker.supervisor import Patience, restart_after

SOON = 10.0
IMPATIENT = Patience(
    grace=timedelta(seconds=10),
    last_grace=timedelta(seconds=10),
    first=timedelta(milliseconds=10),
    longest=timedelta(milliseconds=20),
)

# What children do. Each says its name and pid, so that the test can look whether it is gone.
# One write each: lines of two processes must not mix.
HELLO = (
    "import os, signal, subprocess, sys, time;"
    "say = lambda text: os.write(1, f'{text}\\n'.encode()); say(f'{sys.argv[1]} {os.getpid()}');"
)
OBEDIENT = HELLO + "signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + HELLO + "time.sleep(60)"
)
SLOW_TO_STOP = (
    "import signal, sys;"
    "signal.signal(signal.SIGTERM, lambda *_: (say(f'{sys.argv[1]} stops'), exit()));"
) + OBEDIENT
WITH_A_CHILD = HELLO + "p = subprocess.Popen(['sleep', '60']); say(f'grandchild {p.pid}');"
CRASHING = HELLO + "sys.exit(7)"

SCRIPT = """
import os, sys
from datetime import timedelta
from worker import supervisor
from worker.processes import ChildSpec
def child(name, code, **more):
    return ChildSpec(name=name, argv=(sys.executable, "-c", code, name), **more)
def say(text):
    os.write(1, f"say: {{text}}\\n".encode())
patience = supervisor.Patience(first=timedelta(milliseconds=10), grace=timedelta(seconds={grace}))
code = supervisor.run([{children}], say=say, patience=patience)
print("returned", code, flush=True)
"""

UP = """
import os, sys
from pathlib import Path
from worker import embedded, supervisor
from worker.processes import ChildSpec
def say(text):
    os.write(1, f"say: {text}\\n".encode())
with embedded.start(Path(sys.argv[1])) as server:
    worker = ChildSpec(name="worker", argv=("sleep", "60"))
    code = supervisor.run([server.child(), worker], say=say)
print("returned", code, flush=True)
"""


class Running:
    """A supervisor in a process of its own, and what it and its children print."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.process = process
        self.printed = ""
        self._output = process.stdout.fileno()

    def until(self, pattern: str) -> re.Match[str]:
        """The first match in all that was printed; fails if it does not come soon."""
        while (found := re.search(pattern, self.printed)) is None:
            ready, _, _ = select.select([self._output], [], [], SOON)
            piece = os.read(self._output, 65536) if ready else b""
            assert piece, f"{pattern!r} did not come: {self.printed}"
            self.printed += piece.decode()
        return found

    def pid(self, name: str) -> int:
        return int(self.until(rf"(?m)^{name} (\d+)$")[1])

    def end(self) -> str:
        """All that was printed, once nobody is left who could print."""
        with contextlib.suppress(AssertionError):
            self.until("there is no such line, so this reads to the end")
        self.process.wait(SOON)
        return self.printed


def supervised(*children: str, grace: float = 10) -> contextlib.AbstractContextManager[Running]:
    return running_script(SCRIPT.format(children=", ".join(children), grace=grace))


@contextlib.contextmanager
def running_script(script: str, *arguments: str) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def a_child(name: str, code: str, more: str = "") -> str:
    return f"child({name!r}, {code!r}, {more})"


def is_gone_within(pid: int, seconds: float) -> bool:
    if not hasattr(os, "pidfd_open"):
        return any(
            is_unknown(pid) or not select.select([], [], [], seconds / 50) for _ in range(50)
        )
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)


def is_unknown(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wanted_stop_ends_all_children_and_returns_0(wish: signal.Signals) -> None:
    with supervised(a_child("worker", OBEDIENT), a_child("beat", OBEDIENT)) as running:
        pids = [running.pid("worker"), running.pid("beat")]

        running.process.send_signal(wish)

        assert "returned 0" in running.end()
        assert all(is_gone_within(pid, 0) for pid in pids)


def test_ctrl_c_of_the_terminal_reaches_only_the_supervisor() -> None:
    with supervised(a_child("worker", OBEDIENT)) as running:
        groups = {os.getpgid(running.pid("worker")), os.getpgid(running.process.pid)}

    assert len(groups) == 2


def test_what_others_talk_to_is_asked_to_end_after_them() -> None:
    with supervised(
        a_child("valkey", SLOW_TO_STOP, "outlives=True"), a_child("worker", SLOW_TO_STOP)
    ) as running:
        running.pid("valkey")
        running.pid("worker")

        running.process.send_signal(signal.SIGINT)

        assert re.findall(r"(\w+) stops", running.end()) == ["worker", "valkey"]


def test_a_child_that_does_not_stop_in_time_is_killed() -> None:
    with supervised(a_child("worker", STUBBORN), grace=0.2) as running:
        pid = running.pid("worker")

        running.process.send_signal(signal.SIGTERM)

        assert "worker did not stop in time: killed" in running.end()
        assert "returned 0" in running.printed
        assert is_gone_within(pid, 0)


def test_a_second_ctrl_c_kills_at_once() -> None:
    with supervised(a_child("worker", STUBBORN), grace=60) as running:
        pid = running.pid("worker")
        running.process.send_signal(signal.SIGINT)
        running.until("stopping")

        running.process.send_signal(signal.SIGINT)

        assert "returned 0" in running.end()
        assert is_gone_within(pid, 0)


def test_processes_a_child_left_behind_are_ended_with_it() -> None:
    with supervised(a_child("worker", WITH_A_CHILD + "signal.pause()")) as running:
        pid = running.pid("grandchild")

        running.process.send_signal(signal.SIGINT)
        running.until("returned 0")

        assert is_gone_within(pid, 1)


def test_a_crashed_child_is_started_again_and_its_processes_are_ended() -> None:
    with supervised(a_child("worker", WITH_A_CHILD + "signal.pause()")) as running:
        first, grandchild = running.pid("worker"), running.pid("grandchild")

        os.kill(first, signal.SIGKILL)

        running.until(r"worker ended by itself \(SIGKILL\); it is started again in 0.01 s")
        assert int(running.until(r"(?s)started again.*\nworker (\d+)\n")[1]) != first
        assert is_gone_within(grandchild, 1)
        running.process.send_signal(signal.SIGINT)
        running.until("returned 0")


def test_killing_the_supervisor_ends_the_children() -> None:
    with supervised(a_child("worker", STUBBORN), a_child("beat", OBEDIENT)) as running:
        pids = [running.pid("worker"), running.pid("beat")]

        running.process.kill()

        assert all(is_gone_within(pid, 3) for pid in pids)


def test_a_child_that_keeps_crashing_ends_the_whole_with_9() -> None:
    with supervised(a_child("worker", CRASHING), a_child("beat", OBEDIENT)) as running:
        beat = running.pid("beat")

        assert "returned 9" in running.end()
        assert "worker ended by itself (exit code 7), 5 times: giving up" in running.printed
        assert len(re.findall(r"(?m)^worker \d+$", running.printed)) == 5
        assert is_gone_within(beat, 0)


def test_a_killed_embedded_server_comes_back_and_goes_with_the_rest(tmp_path: Path) -> None:
    with running_script(UP, str(tmp_path)) as running:
        first = int(running.until(r"valkey runs \(process (\d+)\)")[1])
        os.kill(first, signal.SIGKILL)
        second = int(running.until(r"(?s)again in 1 s.*valkey runs \(process (\d+)\)")[1])

        running.process.send_signal(signal.SIGINT)

        assert "returned 0" in running.end()
        assert second != first
        assert is_gone_within(second, 0)
        assert not (tmp_path / "embedded.json").exists()


def test_a_child_with_a_log_writes_there(tmp_path: Path) -> None:
    said: list[str] = []
    log = tmp_path / "worker.log"
    argv = (sys.executable, "-c", "import os; print(os.environ['TOLD'])")
    spec = ChildSpec(name="worker", argv=argv, log=log, extra_env={"TOLD": "by the log"})

    code = supervisor.run([spec], say=said.append, patience=IMPATIENT)

    assert code == 9
    assert log.read_text(encoding="utf-8").splitlines() == ["by the log"] * 5
    assert said[-2].endswith(f"giving up; see {log}")


@pytest.mark.parametrize("error", [CannotStart("no room"), OSError("no room")])
def test_a_child_that_cannot_be_started_counts_as_crashed(error: Exception) -> None:
    said: list[str] = []

    def begin() -> Child:
        raise error

    code = supervisor.run(
        [ChildSpec(name="valkey", begin=begin)], say=said.append, patience=IMPATIENT
    )

    assert code == 9
    assert re.fullmatch(r"valkey did not start: .*no room, 5 times: giving up", said[-2])


def test_the_handlers_of_before_are_back_afterwards() -> None:
    def look() -> list[object]:
        return [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]

    before = look()

    supervisor.run(
        [ChildSpec(name="worker", argv=("false",))], say=lambda _: None, patience=IMPATIENT
    )

    assert look() == before


def test_an_error_of_ours_leaves_nothing_running() -> None:
    started: list[int] = []

    def say(text: str) -> None:
        started.extend(int(pid) for pid in re.findall(r"process (\d+)", text))
        raise RuntimeError(text)

    with pytest.raises(RuntimeError):
        supervisor.run([ChildSpec(name="worker", argv=("sleep", "60"))], say=say)

    assert len(started) == 1
    assert is_gone_within(started[0], 0)


@pytest.mark.parametrize(
    ("crashes", "delay"),
    [
        ([0], 1),
        ([0, 1], 2),
        ([0, 1, 3], 4),
        ([0, 1, 3, 7], 8),
        ([0, 1, 3, 7, 15], None),
        ([0, 30, 60, 90, 120], 16),
        ([30.0 * n for n in range(6)], 30),
        ([30.0 * n for n in range(5000)], 30),
    ],
)
def test_restarts_come_later_and_later_until_we_give_up(
    crashes: list[float], delay: float | None
) -> None:
    assert restart_after(crashes, Patience()) == delay
