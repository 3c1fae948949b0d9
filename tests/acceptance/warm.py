"""`bulkdel` without the second its imports take: a process that has them, and forks per command.

What is forked is a process like any other: its own environment, folder, streams and exit code,
and it ends as a program ends. Only tests at short length run commands like this.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from select import select
from signal import SIGKILL
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NamedTuple

STREAMS = ("stdin", "stdout", "stderr")
# Nothing of ours that looks at the environment when it is imported (`worker.app`), nor at a
# command's code before the command runs.
IMPORTED = (
    "celery.app.base",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "psycopg",
    "rich.progress",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "worker.bootstrap",
    "worker.cli",
    "worker.services.report",
    "worker.store.verify",
)


class Done(NamedTuple):
    """What became of a command."""

    code: int
    stdout: str
    stderr: str


class Warm:
    """The process that forks; one command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._one_at_a_time = Lock()

    def run(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: str,
        timeout: float,
    ) -> Done:
        """Run `bulkdel ARGS` to its end; raises TimeoutExpired once it was killed for it."""
        with self._one_at_a_time, TemporaryDirectory() as folder:
            files = [Path(folder, name) for name in STREAMS]
            files[0].write_text(stdin, encoding="utf-8")
            self._tell({"args": args, "env": env, "cwd": str(cwd), "files": list(map(str, files))})
            pid = self._hear()
            if not select([self._replies], [], [], timeout)[0]:
                os.kill(pid, SIGKILL)
                self._hear()
                raise subprocess.TimeoutExpired(["bulkdel", *args], timeout)
            code = self._hear()
            return Done(code, *(file.read_text(encoding="utf-8") for file in files[1:]))

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _tell(self, request: Mapping[str, Any]) -> None:
        self._requests.write(json.dumps(request).encode() + b"\n")
        self._requests.flush()

    def _hear(self) -> int:
        return int(self._replies.readline())


def _serve() -> None:
    """Fork for each request; comes back in the forked process alone, which is then `bulkdel`."""
    for name in IMPORTED:
        import_module(name)
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb", 0) as replies:
        for line in requests:
            pid = os.fork()
            if not pid:
                return _become(json.loads(line))
            replies.write(b"%d\n" % pid)
            replies.write(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    sys.exit()


def _become(request: Mapping[str, Any]) -> None:
    for number, (path, flags) in enumerate(
        zip(request["files"], (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)
    ):
        os.dup2(os.open(path, flags, 0o600), number)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["bulkdel", *request["args"]]


if __name__ == "__main__":
    _serve()
    import_module("worker.cli").main()
