"""Every command of README and docs is run as it stands, on jobs that suit it."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.cli.conftest import ONE, Played
from tests.unit.test_documents import CALLS, arguments
from worker.domain.outcomes import Outcome

RUN_ON = {"up", "worker", "beat", "sandbox", "demo"}
"""They do not end by themselves, or run a whole job: acceptance tests run them."""
NOT_HERE = {"accounts": 9, "doctor": 9, "init": 2, "hold": 2}
"""Without Redis and a provider, with a bulkdel.toml there already, and without holds."""
OTHERS = """
[accounts.crm]
provider = "truto"
base_url = "http://127.0.0.1:1"
integrated_account_id = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
token = "env:BULKDEL_TEST_TOKEN"

[accounts.sandbox]
provider = "zoho_books"
base_url = "http://127.0.0.1:1/books/v4"
organization_id = "10234695"
token = "env:BULKDEL_TEST_TOKEN"

[policies.stale-projects]
account = "acme"
schedule = "0 3 * * *"
timezone = "UTC"
select = { status = "inactive" }
cascade = ["none"]
guard = { max_items = 5 }
"""
LINES = sorted({shlex.join(arguments(line)) for page, line in CALLS if "/decisions/" not in page})
ENDED = {0, 3, 5, 6, 7}
"""Understood and done, or refused for what the job is; never a bug (1) or wrong usage (2)."""

Bulkdel = Callable[..., Result]


@pytest.fixture
def suited(
    bulkdel: Bulkdel, worker: Played, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What stands in the documents for ids, and a folder that has the files they name."""
    config = Path(environ["BULKDEL_CONFIG"])
    monkeypatch.chdir(config.parent)
    monkeypatch.setenv("BULKDEL_TEST_TOKEN", "t")
    config.write_text(config.read_text() + OTHERS)
    Path("ids.csv").write_text("project_id\n101\n102\n103\n104\n")
    worker.ends = {"460000000044019": Outcome.FAILED_REFUSED}
    done = bulkdel("submit", *ONE, "--ids", "460000000044019", "--yes", "--wait=30s", "--json")
    assert done.exit_code == 3, done.output
    job = json.loads(done.stdout)["id"]
    return {"JOB": job, "j-7f3k2m9a": job, "10342": str(next(worker.desk.jobs.items(job)).id)}


# Commands that run on are started by the acceptance tests.
@pytest.mark.parametrize("line", [one for one in LINES if shlex.split(one)[0] not in RUN_ON])
def test_a_documented_command_runs(line: str, bulkdel: Bulkdel, suited: dict[str, str]) -> None:
    args = shlex.split(line)

    told = bulkdel(*[suited.get(arg, arg) for arg in args], "--no-input")

    assert told.exit_code in ENDED | {NOT_HERE.get(args[0], 0)}, told.output


def test_the_documents_show_most_commands() -> None:
    shown = {shlex.split(line)[0] for line in LINES}

    assert {"submit", "plan", "confirm", "watch", "report", "audit", "explain", "retry"} <= shown
