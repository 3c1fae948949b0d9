"""The bench runs from end to end, so that it is there when somebody wants to measure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import ROWS
from tests.acceptance.commands import REPOSITORY
from tests.services import need_postgres

pytestmark = [pytest.mark.acceptance, pytest.mark.enable_socket]

LONGER = frozenset({"throughput", "growth", "fairness", "accounts", "cost"})


@pytest.mark.parametrize("name", ROWS)
def test_a_bench_runs_from_end_to_end(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name in LONGER and not request.config.getoption("--full"):
        pytest.skip("longer than a few seconds: make accept runs it")
    server = need_postgres().replace("postgresql://", "postgresql+psycopg://")
    env = {**os.environ, "BENCH": name, "QUICK": "1", "BENCH_RESULTS": str(tmp_path)}

    ran = subprocess.run(
        [sys.executable, "-m", "bench"],
        cwd=REPOSITORY,
        env={**env, "BENCH_POSTGRES": server},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert ran.returncode == 0, ran.stderr
    (written,) = tmp_path.glob("*.json")
    found = json.loads(written.read_text(encoding="utf-8"))
    assert found["quick"]
    assert {line["bench"] for line in found["lines"]} == {name}
