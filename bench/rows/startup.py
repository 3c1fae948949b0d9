"""How soon a command answers: its help, and the first byte of what it has to say."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic

from bench.scale import Scale
from bench.table import Line
from worker.cli import SECTIONS

NAME = "startup"
HELP_WITHIN = 0.3
OUTPUT_WITHIN = 0.5
LONGEST = 30.0
"""Seconds after which a command that says nothing is not waited for."""
CONFIG = """\
[accounts.acme]
provider = "zoho_books"
base_url = "http://127.0.0.1:9/books/v4"
organization_id = "1"
token = "env:ACME_TOKEN"
max_items = 10000

[policies.stale]
account = "acme"
schedule = "0 3 * * *"
timezone = "UTC"
select = { status = "inactive" }
cascade = ["none"]
guard = { max_items = 5 }
"""
SUBMIT = ("submit", "--account", "acme", "--ids", "1,2", "--cascade", "none", "--reason", "bench")
NEW = "new"
"""The folder of the command that wants an empty one."""
TALKS: Mapping[str, Sequence[str]] = {
    "submit": SUBMIT,
    "plan": ("plan", "{job}"),
    "confirm": ("confirm", "{job}", "--word", "no"),
    "approve": ("approve", "{job}"),
    "reject": ("reject", "{job}"),
    "retry": ("retry", "{job}"),
    "jobs": ("jobs",),
    "show": ("show", "{job}"),
    "watch": ("watch", "{job}"),
    "explain": ("explain", "{job}"),
    "report": ("report", "{job}"),
    "audit": ("audit",),
    "pause": ("pause", "{job}"),
    "resume": ("resume", "{job}"),
    "cancel": ("cancel", "{job}"),
    "set": ("set", "{job}", "--priority", "4"),
    "hold": ("hold", "list"),
    "policies": ("policies",),
    "policy": ("policy", "preview", "stale"),
    "init": ("init", "--organization-id", "1", "--yes", "--no-check"),
    "doctor": ("doctor",),
    "accounts": ("accounts",),
    "db": ("db", "upgrade"),
    "up": ("up",),
    "worker": ("worker",),
    "beat": ("beat",),
    "sandbox": ("sandbox",),
    "demo": ("demo", "--projects", "1"),
}


def run(scale: Scale, folder: Path) -> Iterator[Line]:
    """Every command on this machine's own database, with nothing running beside it."""
    home = folder / NAME
    home.mkdir()
    (home / "bulkdel.toml").write_text(CONFIG, encoding="utf-8")
    env = {name: text for name, text in os.environ.items() if not name.startswith("BULKDEL_")}
    env |= {"ACME_TOKEN": "bench", "BULKDEL_DATA_DIR": str(home / ".bulkdel")}
    _to_end(home, env, "db", "upgrade")
    job = _to_end(home, env, *SUBMIT, "--no-wait-plan").split()[1]
    for name in [entry.name for section in SECTIONS.values() for entry in section]:
        yield _line(home, env, (name, "--help"), rounds=scale.rounds, within=HELP_WITHIN)
    for words in TALKS.values():
        command = [word.format(job=job) for word in words]
        yield _line(home, env, command, rounds=scale.rounds, within=OUTPUT_WITHIN)


def _line(
    home: Path, env: Mapping[str, str], command: Sequence[str], *, rounds: int, within: float
) -> Line:
    _first_output(home, env, command)  # the files are in the cache from now on
    seen = [_first_output(home, env, command) for _ in range(rounds)]
    # The least: what else a machine does makes a start longer, and never shorter.
    seconds, cpu = min(wall for wall, _ in seen), min(cpu for _, cpu in seen)
    return Line(
        bench=NAME,
        what=" ".join(word for word in command if not word.startswith("j-")),
        value=f"{seconds:.2f} s, {cpu:.2f} s of CPU",
        target=f"<= {within:g} s",
        met=seconds <= within,
        facts={"seconds": sorted(wall for wall, _ in seen), "cpu": sorted(cpu for _, cpu in seen)},
    )


def _first_output(
    home: Path, env: Mapping[str, str], command: Sequence[str]
) -> tuple[float, float]:
    """Seconds until the first byte, and CPU seconds used by then or by the end."""
    where = home
    if command[0] == "init":
        where = home / f"{NEW}-{monotonic()}"
        where.mkdir()
    read, write = os.pipe()
    began, used = monotonic(), os.times()
    child = subprocess.Popen(
        [sys.executable, "-m", "worker", *command],
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=write,
        cwd=where,
        env={**env, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], LONGEST)
        seconds = monotonic() - began
        if not ready:
            raise TimeoutError(f"{command} said nothing in {LONGEST:g} s")
    finally:
        child.terminate()
        child.wait(LONGEST)
        os.close(read)
    after = os.times()
    cpu = after.children_user + after.children_system
    return seconds, round(cpu - used.children_user - used.children_system, 2)


def _to_end(home: Path, env: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "worker", *command],
        cwd=home,
        env={**env, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST,
    )
    return done.stdout
