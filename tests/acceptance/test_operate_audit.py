"""OPERATE, point 6: a page of a large audit log is quick wherever it is, and exports are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.scale import FULL
from tests.acceptance.commands import REPOSITORY
from tests.services import need_postgres

pytestmark = [pytest.mark.number("operate-6", full=True), pytest.mark.enable_socket]

LONGEST = 3_000


@pytest.mark.timeout(LONGEST + 100)
def test_pages_and_exports_of_ten_million_entries_keep_their_targets(tmp_path: Path) -> None:
    server = need_postgres().replace("postgresql://", "postgresql+psycopg://")
    ours = {"BENCH": "audit", "BENCH_RESULTS": str(tmp_path), "BENCH_POSTGRES": server}

    ran = subprocess.run(
        [sys.executable, "-m", "bench"],
        cwd=REPOSITORY,
        env={**os.environ, **ours},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )

    assert ran.returncode == 0, ran.stderr
    lines = json.loads((tmp_path / "full-audit.json").read_text(encoding="utf-8"))["lines"]
    missed = [f"{line['what']}: {line['value']}" for line in lines if line["met"] is False]
    assert FULL.audit_entries == 10_000_000
    assert len([line for line in lines if line["met"]]) > 50
    assert missed == [], ran.stdout
