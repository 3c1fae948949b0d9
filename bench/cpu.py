"""What processes have used so far, read from /proc: CPU seconds, peak memory, bytes written."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds of the processes of one part of a run."""

    seconds: float = 0.0

    def __sub__(self, other: "Use") -> "Use":
        return Use(self.seconds - other.seconds)


def of_session(leader: int) -> Use:
    """A process we started with all it started; those that have ended are in their parents."""
    return Use(sum(_cpu(fields) for _, fields in _stats() if int(fields[3]) == leader))


def of_database(name: str) -> Use:
    """The backends of PostgreSQL that serve a database, where they run on this machine."""
    return Use(sum(_cpu(_stat(pid)) for pid in backends(name)))


def backends(name: str) -> list[int]:
    """The processes that serve a database; PostgreSQL writes it into their titles."""
    return [pid for pid in _pids() if f" {name} " in _title(pid)]


def bytes_written(pids: Iterable[int]) -> int | None:
    """What these processes have made the kernel write; None where it does not say."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        total += int(dict(line.split(": ") for line in lines)["write_bytes"])
    return total


def peak_memory(leader: int) -> int:
    """The largest peak among the processes of a session, in bytes."""
    pids = [pid for pid, fields in _stats() if int(fields[3]) == leader]
    return max((_peak(pid) for pid in pids), default=0)


def _peak(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def _stats() -> Iterator[tuple[int, list[str]]]:
    for pid in _pids():
        if fields := _stat(pid):
            yield pid, fields


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, parent, group, session, …"""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _cpu(fields: list[str]) -> float:
    return sum(int(field) for field in fields[11:15]) * TICK if fields else 0.0


def _title(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    title = raw.rstrip(b"\0 ").decode(errors="replace")
    return f"{title} " if title.startswith("postgres: ") else ""


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
