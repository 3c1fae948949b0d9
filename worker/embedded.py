"""The Redis-compatible server of `bulkdel up`: one per data directory, private, gone with us."""

import contextlib
import fcntl
import hashlib
import json
import os
import select
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from worker.processes import HARMLESS, Child, ChildSpec, spawn, start_identity
from worker.server_program import EmbeddedUnavailable, candidates, choose_program

__all__ = ["Embedded", "EmbeddedUnavailable", "find", "start"]

READY_WITHIN = timedelta(seconds=60)
STOP_WITHIN = timedelta(seconds=10)
PING_WITHIN = 2.0
LOOK_EVERY = 0.02
SOCKET_PATH_MAX = 100  # bytes; the system's own limit is 103 (macOS) or 107 (Linux)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What `embedded.json` tells other processes about the server of this data directory."""

    data_dir: str
    socket: str
    pid: int
    started: str


class Keeper:
    """Holds the server this process started, and starts it again after a crash."""

    def __init__(self, home: Path, program: Path) -> None:
        self.home = home
        self.program = program
        self.socket = _socket_path(home)
        self.child: Child | None = None

    def launch(self) -> Child | None:
        """A new server, perhaps not ready yet; None while another process serves this place."""
        with _locked(self.home) as lock:
            if lock is None:
                return None
            self.socket.unlink(missing_ok=True)
            # The server inherits the lock: it is held exactly as long as the server lives.
            self.child = spawn(
                self._command(), told=HARMLESS, log=_log(self.home), keep_open=[lock]
            )
            try:
                _write(self.home, self.socket, self.child.pid)
            except OSError:
                self.child.kill()
                raise
            return self.child

    def begin(self) -> Child:
        """The running server, or a new one: what the supervisor calls."""
        if self.child is not None and self.child.ended() is None:
            return self.child
        if (child := self.launch()) is None:
            raise EmbeddedUnavailable(f"another process serves {self.home}")
        return child

    def stop(self) -> None:
        """End the server, kindly at first, and take its traces away."""
        if self.child is None:
            return
        self.child.terminate()
        if self.child.wait(STOP_WITHIN.total_seconds()) is None:
            self.child.kill()
        with _locked(self.home) as lock:
            if lock is not None:  # else somebody's next server is there already
                self.socket.unlink(missing_ok=True)
                _record_file(self.home).unlink(missing_ok=True)

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "daemonize": "no",
            "dir": str(self.home / "valkey"),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [str(self.program), *flags]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A server that answers: ours to stop (`owned`), or another process's."""

    data_dir: Path
    socket: Path
    keeper: Keeper | None = None

    @property
    def owned(self) -> bool:
        return self.keeper is not None

    @property
    def pid(self) -> int | None:
        """The server's process now; it changes when a supervisor has started it again."""
        record = _read(self.data_dir)
        return None if record is None else record.pid

    @property
    def url(self) -> str:
        """The address as kombu and Celery read it."""
        return f"redis+socket://{quote(str(self.socket))}?virtual_host=0"

    @property
    def redis_url(self) -> str:
        """The address as redis-py reads it."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def child(self) -> ChildSpec | None:
        """For the supervisor, which then restarts it after a crash; None if it is not ours."""
        if self.keeper is None:
            return None
        return ChildSpec(name="valkey", begin=self.keeper.begin, outlives=True)

    def stop(self) -> None:
        """End the server if it is ours."""
        if self.keeper is not None:
            self.keeper.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(data_dir: Path, *, ready_within: timedelta = READY_WITHIN) -> Embedded:
    """The server of this data directory, ready: the one that runs, or a new one that is ours.

    Call it from the main thread. Raises `EmbeddedUnavailable`.
    """
    try:
        home = data_dir.resolve()
        (home / "valkey").mkdir(mode=0o700, parents=True, exist_ok=True)
        return _reuse_or_launch(home, time.monotonic() + ready_within.total_seconds())
    except OSError as error:
        raise EmbeddedUnavailable(f"the embedded server cannot use {data_dir}: {error}") from error


def find(data_dir: Path) -> Embedded | None:
    """The server that serves this data directory now, whoever started it."""
    home = data_dir.resolve()
    record = _read(home)
    if record is None or start_identity(record.pid) != record.started:
        return None
    if _ping(Path(record.socket)) != b"+PONG":
        return None
    return Embedded(data_dir=home, socket=Path(record.socket))


def _reuse_or_launch(home: Path, deadline: float) -> Embedded:
    keeper: Keeper | None = None
    while time.monotonic() < deadline:
        if (running := find(home)) is not None:
            return running
        keeper = keeper or Keeper(home, choose_program(candidates()))
        if (child := keeper.launch()) is not None:
            _await_ready(keeper, child, deadline)
            return Embedded(data_dir=home, socket=keeper.socket, keeper=keeper)
        # Another process holds the lock: its server comes up, or goes down.
        select.select([], [], [], LOOK_EVERY)
    record = _read(home)
    whose = "another process" if record is None else f"process {record.pid}"
    raise EmbeddedUnavailable(
        f"{whose} holds {home} but gives no answer as a server; end it and try again"
    )


def _await_ready(keeper: Keeper, child: Child, deadline: float) -> None:
    try:
        why = _why_never_ready(keeper.socket, child, deadline)
    except BaseException:
        keeper.stop()
        raise
    if why:
        keeper.stop()
        raise EmbeddedUnavailable(f"{keeper.program} {why}:\n{_last_words(keeper.home)}")


def _why_never_ready(path: Path, child: Child, deadline: float) -> str:
    while time.monotonic() < deadline:
        if _ping(path) == b"+PONG":
            return ""
        if (code := child.wait(LOOK_EVERY)) is not None:
            return f"ended with {code} at its start"
    return "was not ready in time"


def _ping(path: Path) -> bytes | None:
    """The first line of the answer to PING (`-LOADING …` while data is read), None without one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PING_WITHIN)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(256).partition(b"\r\n")[0]
        except OSError:
            return None


def _socket_path(home: Path) -> Path:
    """Where the server of `home` listens: short, ours alone, and the same every time."""
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16] + ".sock"
    run = os.environ.get("XDG_RUNTIME_DIR", "")
    folders = [Path(run, "bulkdel")] if run.startswith("/") and Path(run).is_dir() else []
    folders += [Path(top, f"bulkdel-{os.getuid()}") for top in (tempfile.gettempdir(), "/tmp")]  # noqa: S108  # made 0700, and its owner is checked
    for folder in folders:
        path = folder / name
        if len(os.fsencode(path)) < SOCKET_PATH_MAX and _is_private(folder):
            return path
    raise EmbeddedUnavailable(
        f"no private folder for the socket: none of {', '.join(map(str, folders))} is ours and "
        "short enough; set XDG_RUNTIME_DIR to a folder of yours"
    )


def _is_private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[int | None]:
    """The lock of this data directory, None if another process, or a server, holds it."""
    lock = os.open(home / "embedded.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        os.close(lock)


def _write(home: Path, path: Path, pid: int) -> None:
    record = Record(data_dir=str(home), socket=str(path), pid=pid, started=start_identity(pid))
    fresh = home / "embedded.json.new"
    fresh.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
    fresh.replace(_record_file(home))


def _read(home: Path) -> Record | None:
    """What the record says, None if there is none, or only one copied here from elsewhere."""
    try:
        record = Record(**json.loads(_record_file(home).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return record if record.data_dir == str(home) else None


def _record_file(home: Path) -> Path:
    return home / "embedded.json"


def _log(home: Path) -> Path:
    return home / "valkey" / "valkey.log"


def _last_words(home: Path) -> str:
    return "\n".join(_log(home).read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
