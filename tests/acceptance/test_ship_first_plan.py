"""SHIP 2: from nothing to a first plan, by the commands of the README alone."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from tests.acceptance.commands import REPOSITORY
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.number("ship-2")

MOST_COMMANDS = 5
MOST_SECONDS = 600
SECTION = re.compile(r"^## A first plan$.*?^```sh\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The lines of the README's first block, without what they say of themselves."""
    found = SECTION.search((REPOSITORY / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    return [line.partition("  #")[0].strip() for line in found["block"].splitlines()]


def test_a_first_plan_takes_few_commands() -> None:
    setup, path, up, submit = commands()

    assert setup == "make setup"
    assert path.startswith("export PATH=")
    assert up == "bulkdel up --sandbox"
    assert submit.startswith("bulkdel submit --account sandbox ")
    assert len([setup, path, up, path, submit]) <= MOST_COMMANDS  # there are two terminals


def test_they_lead_to_a_plan_that_can_be_confirmed(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    env = _plain() | {"PYTHONPATH": str(REPOSITORY)}

    _first_plan(tmp_path, commands()[1:], env)


@pytest.mark.timeout(1200)
@pytest.mark.number("ship-2", full=True)  # it fetches every package anew
def test_a_clean_clone_leads_to_a_plan_in_ten_minutes(tmp_path: Path) -> None:
    subprocess.run(
        ["git", "clone", "--quiet", str(REPOSITORY), str(tmp_path / "clone")], check=True
    )
    began = monotonic()
    setup, *others = commands()

    done = _shell([setup], tmp_path / "clone", _plain())
    assert done.returncode == 0, done.stderr
    _first_plan(tmp_path / "clone", others, _plain())

    assert monotonic() - began < MOST_SECONDS


def _first_plan(folder: Path, lines: Sequence[str], env: dict[str, str]) -> None:
    path, up, submit = lines
    with _running([path, up], folder, env) as said:
        eventually(lambda: "worker.started" in said(), within=60, what="up")
        done = _shell([path, submit], folder, env)

        assert done.returncode == 0, done.stderr
        assert "deletes    550 items" in done.stdout
        assert "Nothing has been deleted" in done.stdout
        assert "bulkdel confirm j-" in done.stdout


def _shell(
    lines: Sequence[str], folder: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-ec", "\n".join(lines)],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )


@contextmanager
def _running(
    lines: Sequence[str], folder: Path, env: dict[str, str]
) -> Iterator[Callable[[], str]]:
    """The second terminal, ended by Ctrl-C as a person would."""
    log = folder / "up.log"
    *before, last = lines
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-ec", "\n".join([*before, f"exec {last}"])],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield lambda: log.read_text(encoding="utf-8", errors="replace")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def _plain() -> dict[str, str]:
    kept = {"HOME", "LANG", "PATH", "USER"}
    return {
        name: text for name, text in os.environ.items() if name in kept or name.startswith("PIP_")
    }
