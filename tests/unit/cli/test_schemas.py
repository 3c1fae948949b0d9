"""The published schemas: those of the code, and every command's output keeps to its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result

from tests import generate_schemas
from tests.unit.cli.conftest import Played
from worker.domain.outcomes import Outcome

Bulkdel = Callable[..., Result]


def validate(name: str, value: Any) -> None:  # noqa: ANN401  any JSON
    path = generate_schemas.FOLDER / f"{name}.v{generate_schemas.VERSION}.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)


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


def test_every_command_keeps_to_its_schema(
    bulkdel: Bulkdel, played: Played, submitted: Callable[..., str], tmp_path: Path
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
    by_command = {
        ("jobs",): "job",
        ("plan", job, "--items"): "item",
        ("report", job): "report",
        ("report", job, "--to", str(tmp_path / "files")): "manifest",
        ("audit", "--job", job): "audit-entry",
        ("audit", "certificate", job): "certificate",
        ("doctor",): "check",
    }
    for command, name in by_command.items():
        lines = told(*command)
        assert lines, command
        for line in lines:
            validate(name, line)
