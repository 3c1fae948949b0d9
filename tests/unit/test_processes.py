"""What a child process is told."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from worker.processes import EVERYTHING, HARMLESS, SERVERS, spawn

TELL = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (EVERYTHING, {"PATH", "PGPASSWORD", "BULKDEL_LOG_LEVEL", "ACME_TOKEN"}),
        (SERVERS, {"PATH", "PGPASSWORD", "BULKDEL_LOG_LEVEL"}),
        (HARMLESS, {"PATH"}),
    ],
    ids=["makes calls", "uses our servers", "uses nothing"],
)
def test_a_program_is_told_of_our_environment_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Sequence[str], names: set[str]
) -> None:
    for name in ("ACME_TOKEN", "PGPASSWORD", "BULKDEL_LOG_LEVEL"):
        monkeypatch.setenv(name, "canary")
    seen = tmp_path / "seen.json"

    child = spawn([sys.executable, "-c", TELL, str(seen)], told=told)

    assert child.wait(20) == 0
    environ = json.loads(seen.read_text(encoding="utf-8"))
    asked = {"PATH", "PGPASSWORD", "BULKDEL_LOG_LEVEL", "ACME_TOKEN"}
    assert environ.keys() & asked == names
