"""Child processes that lead a group of their own, die with us, and leave nobody behind."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from worker import leash

EVERYTHING = ("*",)
"""Of our environment: for who makes calls, as the tokens may be anywhere in there."""
HARMLESS = ("PATH", "HOME", "TMPDIR", "LANG", "LC_*", "TZ", "LD_LIBRARY_PATH", "PYTHON*")
"""What a program may need, and what never is a secret."""
SERVERS = (*HARMLESS, "BULKDEL_*", "PG*", "SSL_CERT_*", "KRB5*", "NO_COLOR", "TERM")
"""What it takes to reach our own servers. BULKDEL_* are settings of ours, never an account's."""


class CannotStart(Exception):
    """A child could not be started; the message says why and what helps."""


class Child:
    """A process started by `spawn`: the leader of its own session, and of nobody else's."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def ended(self) -> int | None:
        """Its exit code (negative: the signal) once it is gone; its group is then gone too."""
        if self._process.returncode is not None:
            return self._process.returncode
        if not self._has_exited():
            return None
        self._kill_group()
        return self._process.wait()

    def wait(self, seconds: float) -> int | None:
        """Like `ended`, after waiting up to `seconds` for it."""
        if self.ended() is None:
            self._await_exit(seconds)
        return self.ended()

    def terminate(self) -> None:
        """Ask the leader alone to end: a Celery worker looks after its own pool processes."""
        if self.ended() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group, at once."""
        if self.ended() is None:
            self._kill_group()
            self._process.wait()

    def _kill_group(self) -> None:
        # Only while the leader is not reaped, so the number cannot belong to anybody else yet.
        # macOS answers EPERM where only a zombie is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _has_exited(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return seen is not None

    def _await_exit(self, seconds: float) -> None:
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, an old kernel, or a sandbox that forbids it
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return
        try:
            select.select([pidfd], [], [], seconds)
        finally:
            os.close(pidfd)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to run, and how it stands to the others."""

    name: str
    argv: tuple[str, ...] = ()
    extra_env: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None  # stdout and stderr are appended there; None: they are ours
    told: Sequence[str] = EVERYTHING  # of our environment
    outlives: bool = False  # asked to end only when the others are gone: they talk to it
    begin: Callable[[], Child] | None = None  # starts it instead of `argv`; raises CannotStart

    def start(self) -> Child:
        """The running process; raises `CannotStart`."""
        try:
            if self.begin is not None:
                return self.begin()
            return spawn(self.argv, extra_env=self.extra_env, told=self.told, log=self.log)
        except OSError as error:
            raise CannotStart(f"{self.name} cannot be started: {error}") from error


def spawn(
    argv: Sequence[str],
    *,
    extra_env: Mapping[str, str] | None = None,
    told: Sequence[str] = EVERYTHING,
    log: Path | None = None,
    keep_open: Sequence[int] = (),
) -> Child:
    """Start `argv` in a session of its own, so that Ctrl-C does not reach it, on our leash.

    Only from the main thread: the kernel takes the end of the starting thread for our end.
    Of our environment, which may hold secrets, it is told what `told` names.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("processes are started from the main thread only")
    leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *argv]
    with _opened(log) as output:
        process = subprocess.Popen(  # noqa: S603  # the command is ours, and no shell reads it
            leashed,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**environment_of(told), **(extra_env or {})},
            pass_fds=tuple(keep_open),
            start_new_session=True,
        )
    return Child(process)


def environment_of(told: Sequence[str]) -> dict[str, str]:
    """Our environment, as far as these patterns name it."""
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatchcase(name, pattern) for pattern in told)
    }


def _opened(log: Path | None) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    return contextlib.nullcontext() if log is None else log.open("ab")


def start_identity(pid: int) -> str:
    """When `pid` was started, as the system says it; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else _start_identity_by_ps(pid)
    except ProcessLookupError:
        return ""
    # The name in brackets may hold anything; the 22nd field is the start, the 3rd follows it.
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"


def _start_identity_by_ps(pid: int) -> str:
    asked = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603  # fixed program, a number
    return answer.stdout.strip()
