"""The published schemas: those of the code, and every command's output keeps to its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result

from tests import generate_schemas
from tests.schemas import validate
from tests.unit.cli.conftest import CONFIG, Played
from tests.unit.cli.test_policies import POLICY
from worker.domain.outcomes import Outcome

Bulkdel = Callable[..., Result]


@pytest.mark.parametrize("name", generate_schemas.SCHEMAS)
def test_a_schema_is_the_generated_one(name: str) -> None:
    path = generate_schemas.FOLDER / f"{name}.v{generate_schemas.VERSION}.json"

    assert path.read_text(encoding="utf-8") == generate_schemas.page(name), (
        "run: python -m tests.generate_schemas"
    )


def test_what_is_missing_or_wrong_is_not_taken() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate("error", {"error": {"code": "usage"}})
    with pytest.raises(jsonschema.ValidationError):
        validate("check", {"name": "x", "level": "fine", "text": "", "fix": ""})
    with pytest.raises(jsonschema.ValidationError):
        validate("upgrade", {"from": None, "to": "0001", "more": 1})


def test_every_schema_has_a_command_on_the_page() -> None:
    page = (generate_schemas.FOLDER.parent / "json.md").read_text(encoding="utf-8")

    for name in generate_schemas.SCHEMAS:
        assert f"[{name}](schemas/{name}.v{generate_schemas.VERSION}.json)" in page


def test_every_command_keeps_to_its_schema(
    bulkdel: Bulkdel,
    played: Played,
    submitted: Callable[..., str],
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    job = submitted("1", "2", "3")

    def told(*args: str) -> list[Any]:
        return [json.loads(line) for line in bulkdel(*args, "--json").stdout.splitlines()]

    validate("job", told("show", job)[0])
    word = played.plan(job).plan.word
    validate("job", told("plan", job)[0])
    validate("error", told("confirm", job, "--word", "no")[0])
    validate("job", told("confirm", job, "--word", word)[0])
    played.ends = {"1": Outcome.FAILED_REFUSED}
    played.finish(job)
    Path(environ["BULKDEL_CONFIG"]).write_text(CONFIG + POLICY)
    held = (
        "--account",
        "acme",
        "--ids",
        "9",
        "--owner",
        "legal",
        "--reason",
        "case",
        "--for",
        "9d",
    )
    by_command = {
        ("jobs",): "job",
        ("plan", job, "--items"): "item",
        ("explain", job): "explained-job",
        ("explain", str(next(played.desk.jobs.items(job)).id)): "explained-item",
        ("report", job): "report",
        ("report", job, "--to", str(tmp_path / "files")): "manifest",
        ("audit", "--job", job): "audit-entry",
        ("audit", "certificate", job): "certificate",
        ("audit", "verify"): "verification",
        ("hold", "add", *held): "hold",
        ("hold", "list"): "hold",
        ("policies",): "policy",
        ("accounts",): "account",
        ("doctor",): "check",
    }
    for command, name in by_command.items():
        lines = told(*command)
        assert lines, command
        for line in lines:
            validate(name, line)
