import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import worker.cli
from worker.cli import SECTIONS, cli

HEAVY = ("sqlalchemy", "celery", "rich", "pydantic", "httpx", "aiohttp", "redis")
ENTRIES = {entry.name: entry for section in SECTIONS.values() for entry in section}


def imported_by(*args: str) -> list[str]:
    script = (
        "import sys\n"
        "from worker.cli import main\n"
        f"sys.argv = ['bulkdel', *{list(args)!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    code = end.code\n"
        "print('MODULES', code, *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(worker.cli.__file__).parents[2],
        env={"PATH": os.environ["PATH"]},
    )
    marked = [line for line in ran.stdout.splitlines() if line.startswith("MODULES 0 ")]
    assert marked, ran.stdout + ran.stderr
    return marked[0].split()


@pytest.mark.parametrize(
    "args", [("--help",), ("--version",), *((name, "--help") for name in ENTRIES)]
)
def test_help_imports_nothing_heavy(args: tuple[str, ...]) -> None:
    loaded = imported_by(*args)

    assert not set(HEAVY) & set(loaded)


def below(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
    """A command and those below it, each by the words that call it."""
    yield words
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from below((*words, name), one)


def command_of(name: str) -> click.Command:
    module, _, attribute = ENTRIES[name].where.partition(":")
    command = getattr(import_module(f"worker.cli.{module}"), attribute)
    assert isinstance(command, click.Command)
    return command


EVERY = [words for name in ENTRIES for words in below((name,), command_of(name))]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_a_command_has_examples_json_and_no_input(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*words, "--help"])

    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert "--json" in result.output
    assert "--no-input" in result.output


@pytest.mark.parametrize("words", [(), *EVERY], ids=" ".join)
def test_help_fits_a_terminal(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*words, "--help"])

    assert [line for line in result.output.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", ENTRIES)
def test_the_overview_says_of_a_command_what_its_own_help_says(name: str) -> None:
    command = command_of(name)

    assert command.name == name
    assert ENTRIES[name].line.startswith((command.short_help or "").rstrip("."))


def test_every_module_of_the_package_can_be_run() -> None:
    result = CliRunner().invoke(cli, ["--help"])

    assert result.exit_code == 0
    for name in ENTRIES:
        assert f"  {name} " in result.output


def test_an_unknown_command_is_wrong_usage_and_names_the_nearest() -> None:
    result = CliRunner().invoke(cli, ["submti"])

    assert result.exit_code == 2
    assert "did you mean submit?" in result.stderr


@pytest.mark.parametrize("args", [(), ("hold",), ("policy",), ("db",)])
def test_without_a_command_the_help_is_shown_and_it_is_wrong_usage(args: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, args)

    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert len(result.stderr.splitlines()) > 10


def test_without_a_command_json_is_an_error_like_others() -> None:
    result = CliRunner().invoke(cli, ["hold", "--json"])

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["what"] == "Missing command."


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("worker.bootstrap", {"aiohttp", "celery", "httpx", "kombu", "redis", "rich", "alembic"}),
        ("worker.programs", {"aiohttp", "celery", "httpx", "kombu", "redis", "sqlalchemy"}),
    ],
)
def test_what_commands_begin_with_imports_no_client(module: str, heavy: set[str]) -> None:
    script = f"import sys, {module}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"

    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(worker.cli.__file__).parents[2],
    )

    assert not heavy & set(told.stdout.split())
