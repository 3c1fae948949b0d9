"""What a child process is told."""

import json
import sys
from pathlib import Path

import pytest

from worker.processes import spawn

TELL = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"


@pytest.mark.parametrize("needs_secrets", [True, False])
def test_only_a_program_that_needs_secrets_is_told_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs_secrets: bool
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "canary-token")
    told = tmp_path / "told.json"

    child = spawn([sys.executable, "-c", TELL, str(told)], needs_secrets=needs_secrets)

    assert child.wait(20) == 0
    environ = json.loads(told.read_text(encoding="utf-8"))
    assert environ["PATH"]
    assert ("ACME_TOKEN" in environ) is needs_secrets
