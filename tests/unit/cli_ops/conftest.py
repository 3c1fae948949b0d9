"""The command line in a folder of its own, with no settings but those of the test."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from worker.cli import cli
from worker.processes import Child, spawn
from worker.store.engine import Database
from worker.store.migrate import upgrade

REPOSITORY = Path(__file__).resolve().parents[3]
Bulkdel = Callable[..., Result]
Running = Callable[..., "subprocess.Popen[str]"]

CONFIG = """\
[accounts.acme]
provider = "zoho_books"
base_url = "{url}"
organization_id = "10234695"
token = "env:ACME_TOKEN"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("BULKDEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("ACME_TOKEN", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bulkdel(home: Path) -> Bulkdel:
    assert home.is_dir()
    runner = CliRunner()
    return lambda *args: runner.invoke(cli, args)


@pytest.fixture
def acme(home: Path) -> Path:
    """A configuration with one account, of a provider that is not there."""
    config = home / "bulkdel.toml"
    config.write_text(CONFIG.format(url="http://127.0.0.1:1/books/v4"), encoding="utf-8")
    return config


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    url = f"sqlite:///{home}/.bulkdel/bulkdel.db"
    upgrade(url)
    opened = Database(url)
    yield opened
    opened.dispose()


@pytest.fixture
def running(home: Path) -> Iterator[Running]:
    """Start the command line as a process of its own; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", *args],
            cwd=home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def sandbox(home: Path) -> Iterator[str]:
    """The base URL of a sandbox with three projects, whose token is `sandbox-token`."""
    log = home / "sandbox.log"
    child = spawn([sys.executable, "-m", "worker.sandbox", "--projects", "3"], log=log)
    yield _url(child, log)
    child.kill()


def _url(child: Child, log: Path) -> str:
    for _ in range(200):
        if log.read_text().endswith("\n"):
            return str(json.loads(log.read_text())["url"])
        assert child.wait(0.05) is None, log.read_text()
    pytest.fail("the sandbox did not start")


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]
