"""The bench runs from end to end, so that it is there when somebody wants to measure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bench.__main__ import ROWS
from bench.provider import BASE
from bench.servers import a_provider
from tests.acceptance.commands import REPOSITORY
from tests.services import need_postgres

pytestmark = [pytest.mark.acceptance, pytest.mark.enable_socket]

SHORT = "bulk"
OURS = {"organization-id": "1"}


LONGER = pytest.mark.number("pace-1", full=True)


@pytest.mark.parametrize(
    "name", [name if name == SHORT else pytest.param(name, marks=LONGER) for name in ROWS]
)
def test_a_bench_runs_from_end_to_end(name: str, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("peer", ["raw_loop", "httpx_loop", "wire_loop"])
def test_a_bare_loop_deletes_all_it_is_told_to(peer: str, tmp_path: Path) -> None:
    with a_provider(tmp_path) as provider:
        provider.organization("1", projects=30)
        numbers = [str(number) for number in (BASE + 1, 25, 5)]
        path = REPOSITORY / "bench" / "peers" / f"{peer}.py"

        subprocess.run(
            [sys.executable, str(path), provider.base_url, "1", *numbers],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=True,
            timeout=60,
        )

        assert provider.seen("1")["gone"] == 25


def test_the_lean_provider_lets_no_call_over_its_window(tmp_path: Path) -> None:
    with a_provider(tmp_path) as provider:
        provider.organization("1", projects=30, calls=10, per=60.0)

        codes = [
            httpx.delete(f"{provider.base_url}/projects/{BASE + n}", params=OURS).status_code
            for n in range(1, 13)
        ]

        seen = provider.seen("1")
        assert codes == [200] * 10 + [429] * 2
        assert (seen["calls"], seen["refused"], seen["worst"]) == (10, 2, 10)
