"""Running `bulkdel` as a person or a script does: a process, its exit code, what it printed."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from tests.acceptance.warm import Warm

REPOSITORY = Path(__file__).resolve().parents[2]
BULKDEL = (sys.executable, "-m", "worker")
LONGEST = 120.0
"""Seconds after which a command counts as stuck, unless a test says otherwise."""

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of one command."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def json(self) -> Reply:
        """The one object it printed."""
        (line,) = self.lines
        return line

    @property
    def lines(self) -> list[Reply]:
        """The objects it printed, one a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def ended(self, *codes: int) -> "Ran":
        """The same, if it ended with one of these exit codes."""
        assert self.code in codes, self.told()
        return self

    def told(self) -> str:
        """All of it, for the message of a test that failed."""
        words = " ".join(self.argv)
        return f"{words}\nexit {self.code}\n{self.stdout[-3000:]}\n{self.stderr[-3000:]}"


def run(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    timeout: float = LONGEST,
    warm: Warm | None = None,
) -> Ran:
    """Run `bulkdel ARGS` to its end: as a program, or forked from one that is `warm`."""
    began = monotonic()
    if warm is not None:
        code, stdout, stderr = warm.run(args, env=env, cwd=cwd, stdin=stdin, timeout=timeout)
    else:
        done = subprocess.run(
            [*BULKDEL, *args],
            input=stdin,
            capture_output=True,
            text=True,
            env=dict(env),
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
        code, stdout, stderr = done.returncode, done.stdout, done.stderr
    return Ran(
        argv=("bulkdel", *args),
        code=code,
        stdout=stdout,
        stderr=stderr,
        seconds=monotonic() - began,
    )


def begin(args: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> subprocess.Popen[str]:
    """Start `bulkdel ARGS` and leave it running."""
    return subprocess.Popen(
        [*BULKDEL, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(env),
        cwd=cwd,
    )
