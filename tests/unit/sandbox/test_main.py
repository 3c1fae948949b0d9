import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from worker.sandbox.client import Control
from worker.sandbox.main import run

pytestmark = pytest.mark.enable_socket
REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_where_it_is_and_stops_when_told(
    tmp_path: Path, number: signal.Signals
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-m", "worker.sandbox", "--projects", "2", "--tasks", "1"]
    command += ["--organization", "42", "--token", "t", "--ledger", str(ledger), "--seed", "7"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        where = json.loads(process.stdout.readline())
        control = Control(where["control"])
        healthy, state = control.health(), control.state("42")
        process.send_signal(number)
        exit_code = process.wait(timeout=20)
        said = process.stderr.read()

    assert healthy is True
    assert [len(children["tasks"]) for children in state.values()] == [1, 1]
    assert where["url"].endswith("/books/v4")
    assert where["url_v3"].endswith("/books/v3")
    assert where["token_url"].endswith("/oauth/v2/token")
    assert where["truto_url"] == where["url"].removesuffix("/books/v4")
    assert (exit_code, said) == (0, "")
    assert ledger.read_text(encoding="utf-8") == ""


def test_a_host_others_could_reach_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run(["--host", "192.0.2.1"])

    assert exit_code == 2
    assert "loopback" in capsys.readouterr().err


def test_an_amount_that_makes_no_sense_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run(["--projects", "-1"])

    assert exit_code == 2
    assert "projects" in capsys.readouterr().err
