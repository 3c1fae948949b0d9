import asyncio
import json
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from worker.sandbox.faults import FaultKind, Rule
from worker.sandbox.seeding import Seed
from worker.sandbox.server import Options, Sandbox

pytestmark = pytest.mark.enable_socket
REPOSITORY = Path(__file__).parents[3]


async def test_a_call_outside_every_api_is_written_down_too(
    sandbox: Sandbox, wire: aiohttp.ClientSession
) -> None:
    async with wire.delete(f"{sandbox.origin}/users/7?a=b") as answer:
        body = await answer.json()

    [entry] = sandbox.ledger.since(0, 10)
    assert (answer.status, body["code"]) == (404, 5)
    assert (entry.path, entry.query, entry.organization_id) == ("/users/7", "a=b", None)


async def test_stopping_hangs_up_on_calls_in_flight_and_writes_them_down(
    tmp_path: Path, wire: aiohttp.ClientSession
) -> None:
    path = tmp_path / "ledger.jsonl"
    sandbox = Sandbox(Options(ledger_path=path))
    sandbox.seed(Seed(organization_id="1", projects=1, first_id=100))
    sandbox.provider.faults.set([Rule(kind=FaultKind.SLOW, seconds=60)])
    await sandbox.start()

    url = f"{sandbox.url}/projects/100?organization-id=1"
    calling = asyncio.ensure_future(wire.delete(url))
    await asyncio.sleep(0.1)  # until the call is in flight: its answer is a minute away
    await sandbox.stop()

    with pytest.raises(aiohttp.ClientConnectionError):
        await calling
    [row] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert (row["effect"], row["answered"], row["fault"]) == ("deleted", False, "slow")
    assert sandbox.world.organization("1").meter.flying == 0


async def test_the_file_follows_while_the_sandbox_runs(
    tmp_path: Path, wire: aiohttp.ClientSession
) -> None:
    path = tmp_path / "ledger.jsonl"
    async with Sandbox(Options(ledger_path=path)) as sandbox:
        async with wire.get(f"{sandbox.url}/projects?organization-id=1") as answer:
            assert answer.status == 400
        await asyncio.sleep(0.5)  # longer than the ledger waits for a batch
        lines = path.read_text(encoding="utf-8").splitlines()

    assert len(lines) == 1


def test_a_sandbox_that_was_not_started_has_no_address() -> None:
    with pytest.raises(RuntimeError):
        _ = Sandbox().url


def test_the_judge_knows_nothing_of_the_judged() -> None:
    program = (
        "import sys, worker.sandbox.main, worker.sandbox.client\n"
        "print([m for m in sys.modules if m.startswith('worker.')"
        " and not m.startswith('worker.sandbox')])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )

    assert done.stdout.strip() == "[]"
