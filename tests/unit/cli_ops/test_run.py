"""`up`, `worker`, `beat`, `sandbox` and `demo` as processes."""

import json
import os
import signal
from itertools import islice
from pathlib import Path

import pytest

from tests.schemas import validate
from tests.unit.cli_ops.conftest import Bulkdel, Running
from worker import embedded
from worker.cli.play import beside, snippet
from worker.cli.run import environment
from worker.config.accounts import load
from worker.config.settings import Settings
from worker.providers.secrets import resolve
from worker.sandbox.client import Control


def test_the_snippet_of_the_sandbox_is_an_account(home: Path) -> None:
    config = home / "bulkdel.toml"
    config.write_text(snippet("http://127.0.0.1:1/books/v4", "10234695"), encoding="utf-8")

    account = load(config).account("sandbox")

    assert account.is_loopback
    assert account.limits.in_flight == 20


def test_a_sandbox_beside_up_has_an_account_where_there_was_no_file(home: Path) -> None:
    settings = Settings.load({})

    child = beside(settings)
    again = beside(settings)

    account = load(home / "bulkdel.toml").account("sandbox")
    assert child.argv == again.argv
    assert f"--port {account.base_url.partition('127.0.0.1:')[2].partition('/')[0]} " in (
        " ".join(child.argv)
    )
    assert resolve(account.token or "") == "sandbox-token"
    assert (home / ".bulkdel" / "sandbox-token").stat().st_mode & 0o077 == 0


def test_a_file_of_somebody_is_not_changed_for_a_sandbox(bulkdel: Bulkdel, acme: Path) -> None:
    before = acme.read_text(encoding="utf-8")

    result = bulkdel("up", "--sandbox")

    assert result.exit_code == 5
    assert "no account sandbox" in result.stderr
    assert acme.read_text(encoding="utf-8") == before


def test_children_use_what_we_use(home: Path) -> None:
    given = {"BULKDEL_REDIS_URL": "redis://127.0.0.1:1/0", "BULKDEL_DATA_DIR": "data"}

    told = environment(Settings.load(given))

    assert told["BULKDEL_BROKER_URL"] == "redis://127.0.0.1:1/0"
    assert told["BULKDEL_DATABASE_URL"] == f"sqlite:///{home}/data/bulkdel.db"
    assert told["BULKDEL_CONFIG"] == f"{home}/bulkdel.toml"


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_without_redis_nothing_is_started(bulkdel: Bulkdel, command: str) -> None:
    result = bulkdel(command)

    assert result.exit_code == 9
    assert "bulkdel up" in result.stderr


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("command", ["worker", "beat"])
@pytest.mark.parametrize("broker", ["", "amqp://guest:pw-canary@127.0.0.1:1//"])
def test_a_server_that_does_not_answer_is_said_at_the_start(
    bulkdel: Bulkdel, command: str, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKDEL_REDIS_URL", "redis://:pw-canary@127.0.0.1:1/0")
    monkeypatch.setenv("BULKDEL_BROKER_URL", broker)

    result = bulkdel(command)

    assert result.exit_code == 9
    assert "127.0.0.1:1 does not answer" in result.stderr
    assert "fix: start it, or correct BULKDEL_REDIS_URL" in result.stderr
    assert "pw-canary" not in result.output


def test_a_second_up_in_one_folder_is_refused_and_harms_nothing(
    home: Path, bulkdel: Bulkdel
) -> None:
    with embedded.start(home / ".bulkdel") as first:
        result = bulkdel("up")

        assert result.exit_code == 5
        assert "runs in" in result.stderr
        assert "Ctrl-C" in result.stderr
        still = embedded.find(home / ".bulkdel")
        assert still is not None
        assert still.pid == first.pid


@pytest.mark.enable_socket
def test_a_sandbox_says_where_it_is_and_ends_when_told(running: Running) -> None:
    process = running("sandbox", "--projects", "2", "--tasks", "1")
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]

    living = Control(url).state("10234695")
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=20)

    assert [len(children["tasks"]) for children in living.values()] == [1, 1]
    assert f'base_url = "{url}"' in told
    assert process.returncode == 0


@pytest.mark.enable_socket
def test_a_taken_port_is_exit_9(bulkdel: Bulkdel, sandbox: str) -> None:
    port = sandbox.partition("127.0.0.1:")[2].partition("/")[0]

    result = bulkdel("sandbox", "--port", port)

    assert result.exit_code == 9
    assert "--port" in result.stderr


def test_a_ledger_that_cannot_be_written_is_not_blamed_on_the_port(
    bulkdel: Bulkdel, home: Path
) -> None:
    result = bulkdel("sandbox", "--ledger", str(home / "not-there" / "ledger.jsonl"))

    assert result.exit_code == 9
    assert "fix: choose another --ledger" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "fix"),
    [(("up", "--sandbox"), 9, "BULKDEL_DATA_DIR"), (("demo", "--dir", "taken/home"), 2, "--dir")],
)
def test_a_folder_that_cannot_be_written_is_no_bug(
    bulkdel: Bulkdel,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    code: int,
    fix: str,
) -> None:
    (home / "taken").write_text("no folder")
    monkeypatch.setenv("BULKDEL_DATA_DIR", str(home / "taken" / "data"))

    result = bulkdel(*args)

    assert result.exit_code == code, result.output
    assert fix in result.stderr


@pytest.mark.acceptance
@pytest.mark.usefixtures("acme")
def test_up_runs_all_and_leaves_nothing_behind(running: Running, home: Path) -> None:
    process = running("up")
    assert process.stderr is not None
    starts = (line for line in iter(process.stderr.readline, "") if " runs (process " in line)
    numbers = [line.rpartition("process ")[2].rstrip(")\n") for line in islice(starts, 3)]

    living = embedded.find(home / ".bulkdel")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert living is not None
    assert process.returncode == 0
    assert embedded.find(home / ".bulkdel") is None
    assert len(numbers) == 3
    assert [number for number in numbers if Path(f"/proc/{number}").exists()] == []


@pytest.mark.acceptance
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
def test_of_all_that_runs_the_workers_alone_are_told_a_token(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "canary-token")
    process = running("up", "--sandbox")
    assert process.stderr is not None
    lines = (line for line in iter(process.stderr.readline, "") if " runs (process " in line)
    started = dict(line.strip(" )\n").split(" runs (process ") for line in islice(lines, 4))
    beat = running("beat")
    assert beat.stderr is not None
    assert next(line for line in iter(beat.stderr.readline, "") if "beat.started" in line)

    told = {name: _is_told(pid) for name, pid in {**started, "beat alone": beat.pid}.items()}

    alone = dict.fromkeys(("valkey", "sandbox", "beat", "beat alone"), False)
    assert told == {"worker": True, **alone}


def _is_told(pid: object) -> bool:
    return b"canary-token" in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.acceptance
def test_the_demo_proves_what_it_did(running: Running, home: Path) -> None:
    process = running("demo", "--projects", "5", "--json", "--dir", str(home / "kept"))

    stdout, stderr = process.communicate(timeout=120)
    told = json.loads(stdout)

    assert process.returncode == 0, stderr
    validate("demo", told)
    assert (told["ok"], told["why"]) == (True, [])
    assert told["counts"]["by_outcome"] == {"deleted": 55}
    assert told["calls_that_delete"] == 55
    assert embedded.find(home / "kept" / ".bulkdel") is None


@pytest.mark.acceptance
def test_a_demo_that_is_stopped_ends_what_it_started(running: Running, home: Path) -> None:
    process = running("demo", "--projects", "200", "--dir", str(home / "kept"))
    assert process.stderr is not None
    next(line for line in iter(process.stderr.readline, "") if "running:" in line)

    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert embedded.find(home / "kept" / ".bulkdel") is None


def test_a_demo_does_not_work_in_a_folder_that_is_in_use(bulkdel: Bulkdel, acme: Path) -> None:
    result = bulkdel("demo", "--dir", str(acme.parent))

    assert result.exit_code == 2
    assert "is not empty" in result.stderr
