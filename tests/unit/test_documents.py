"""README and docs say what the code does: states, settings, exit codes, commands, links."""

import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import click
import pytest

from tests import generate_configuration
from worker.cli import cli, errors, exits
from worker.cli.report_files import write_report
from worker.config.describe import describe
from worker.domain.audit import EXPORTED, Event
from worker.domain.calls import Seen, Target
from worker.domain.errors import BulkdelError
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import FINAL, ITEM_MOVES, JOB_MOVES, ItemState, JobState, Waiting
from worker.domain.steps import Progress, Step
from worker.ports import Counts, Item, Job, JobOptions, WaitingOn, Who
from worker.services.doctor import Check
from worker.services.report import report_of, report_view
from worker.services.views import (
    certificate_view,
    counts_view,
    item_view,
    job_view,
    plan_view,
    waiting_view,
)

ROOT = Path(__file__).parents[2]
README = "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md")))
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
NOW = datetime(2026, 11, 21, tzinfo=UTC)

Row = dict[str, str]


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose_of(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def cells_of(line: str) -> list[str]:
    parts = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [part.strip().replace("\\|", "|") for part in parts]


def tables_of(page: str) -> Iterator[list[Row]]:
    for block in re.findall(r"(?:^\|.*\n)+", prose_of(page), flags=re.MULTILINE):
        head, _, *lines = (cells_of(line) for line in block.splitlines())
        yield [dict(zip(head, line, strict=True)) for line in lines]


def table(page: str, first: str) -> list[Row]:
    """The one table of a page whose first column is called so."""
    found = [rows for rows in tables_of(page) if rows and next(iter(rows[0])) == first]
    assert len(found) == 1, f"{page} has {len(found)} tables that begin with {first!r}"
    return found[0]


def words(cell: str) -> set[str]:
    """What stands between backticks."""
    return set(re.findall(r"`([^`]+)`", cell))


def word(cell: str) -> str:
    (only,) = words(cell)
    return only


def first_words(page: str, first: str) -> list[str]:
    return [word(row[first]) for row in table(page, first)]


def section(page: str, title: str) -> str:
    return prose_of(page).partition(f"\n## {title}\n")[2].partition("\n## ")[0]


# --- states, outcomes, verdicts ---------------------------------------------------------------


def test_the_readme_has_every_job_state_and_its_moves() -> None:
    shown = {word(row["job state"]): words(row["where to"]) for row in table(README, "job state")}

    assert shown == {state.value: {to.value for to in JOB_MOVES[state]} for state in JobState}


def test_the_readme_says_of_every_final_state_that_nobody_moves_it() -> None:
    rows = table(README, "job state")

    unmoved = {word(row["job state"]) for row in rows if row["who moves it"].startswith("nobody")}
    assert unmoved == {state.value for state in FINAL}


def test_the_readme_has_every_item_state_and_its_moves() -> None:
    rows = table(README, "item state")
    shown = {word(row["item state"]): words(row["where to"]) for row in rows}

    assert shown == {state.value: {to.value for to in ITEM_MOVES[state]} for state in ItemState}


def test_the_readme_has_every_outcome_in_its_bucket() -> None:
    shown = {word(row["outcome"]): row["bucket"] for row in table(README, "outcome")}

    assert shown == {outcome.value: outcome.bucket.value for outcome in Outcome}


def test_the_readme_says_of_every_verdict_whether_it_is_an_attempt() -> None:
    rows = table(README, "verdict")
    shown = {word(row["verdict"]): row["counts as an attempt?"] for row in rows}

    assert shown == {verdict.value: "yes" if verdict.is_attempt else "no" for verdict in Verdict}


def test_every_table_row_of_a_page_says_something() -> None:
    for page in PAGES:
        for rows in tables_of(page):
            assert all(list(row.values())[-1] for row in rows), (page, rows[0])


# --- settings ---------------------------------------------------------------------------------


def test_the_readme_lists_every_variable_as_the_code_describes_it() -> None:
    shown = {word(row["setting"]): (row["default"], row["means"]) for row in settings_rows()}

    described = {row.name: (row.default, row.meaning) for row in describe()}
    variables = {name for name in described if name.startswith("BULKDEL_")}
    assert shown == {name: described[name] for name in variables}


def settings_rows() -> list[Row]:
    return table(README, "setting")


def test_the_configuration_page_is_the_generated_one() -> None:
    how = "python -m tests.generate_configuration > docs/configuration.md"

    assert text_of("docs/configuration.md") == generate_configuration.page(), f"run: {how}"
    assert how in text_of("docs/configuration.md")


def test_the_configuration_page_has_a_row_for_every_setting() -> None:
    shown = sum(len(rows) for rows in tables_of("docs/configuration.md"))

    assert shown == len(describe())


# --- exit codes -------------------------------------------------------------------------------

BY_CLI = {value for name, value in vars(exits).items() if name.isupper() and name.isascii()}
BY_ERRORS = {errors.BUG, errors.USAGE, errors.INTERRUPTED, errors.PIPE_CLOSED}


@pytest.mark.parametrize("page", [README, "docs/exit-codes.md"])
def test_every_exit_code_is_listed_once(page: str) -> None:
    shown = [int(row["exit code"]) for row in table(page, "exit code")]

    ours = {value for value in BY_CLI if isinstance(value, int)} | BY_ERRORS
    assert sorted(shown) == sorted(ours)


def errors_of(root: type[BulkdelError]) -> Iterator[type[BulkdelError]]:
    yield root
    for below in root.__subclasses__():
        if below.__module__ == root.__module__:
            yield from errors_of(below)


def test_every_error_is_listed_with_its_exit_code() -> None:
    rows = table("docs/exit-codes.md", "error")
    shown = {word(row["error"]): int(row["exit code"]) for row in rows}

    assert shown == {error.__name__: error.exit_code for error in errors_of(BulkdelError)}


def a_job(state: JobState, waits: Waiting | None = None) -> Job:
    return Job(
        id="j-1",
        key=None,
        account="acme",
        provider="zoho_books",
        action="delete_projects",
        options=JobOptions(),
        dry_run=False,
        state=state,
        waiting_on=WaitingOn(code=waits, sentence="waits") if waits else None,
        reason="a test",
        who=Who(name="tester"),
        priority=5,
        parent_job_id=None,
        created_at=NOW,
        started_at=None,
        finished_at=None,
        planned_at=None,
        start_at=None,
    )


def counts_of(*outcomes: Outcome) -> Counts:
    return Counts(total=len(outcomes), open=0, by_outcome=dict.fromkeys(outcomes, 1))


STATE_ROWS = table("docs/exit-codes.md", "job state")


@pytest.mark.parametrize("row", STATE_ROWS, ids=lambda row: " ".join(row.values()))
def test_a_job_exits_with_the_code_of_its_row(row: Row) -> None:
    waits = [code for code in Waiting if f"`{code}`" in row["and"]]
    ended = [outcome for outcome in Outcome if f"is `{outcome}`" in row["and"]]
    job = a_job(JobState(word(row["job state"])), waits[0] if waits else None)

    code = exits.exit_code_of(job, counts_of(Outcome.FAILED_REFUSED, *ended))

    assert code == int(row["exit code"])


def test_every_final_state_has_an_exit_code() -> None:
    shown = {word(row["job state"]) for row in STATE_ROWS}

    assert {state.value for state in FINAL} <= shown


# --- JSON -------------------------------------------------------------------------------------

JSON = "docs/json.md"


def test_the_fields_of_a_job_are_those_of_the_page() -> None:
    job = job_view(a_job(JobState.RUNNING), counts_of())

    assert first_words(JSON, "job field") == list(job)
    assert first_words(JSON, "plan field") == list(plan_view(a_job(JobState.RUNNING).plan))
    assert first_words(JSON, "counts field") == list(counts_view(counts_of()))
    waiting = waiting_view(WaitingOn(code=Waiting.GATE, sentence="waits"))
    assert waiting is not None
    assert first_words(JSON, "waiting_on field") == list(waiting)


def test_the_fields_of_an_item_are_those_of_the_page() -> None:
    target = Target(kind="project", external_id="1")
    item = Item(
        id=1,
        job_id="j-1",
        position=1,
        seen=Seen(target=target),
        progress=Progress(step=Step.DELETE),
        state="pending",
    )

    assert first_words(JSON, "item field") == list(item_view(item))


def test_the_fields_of_a_report_are_those_of_the_page() -> None:
    job, counts = a_job(JobState.FAILED), counts_of()
    view = report_view(report_of(job, counts, []))

    added = [name for name in view if name not in job_view(job, counts)]
    assert first_words(JSON, "report field") == added


def test_the_fields_and_events_of_an_audit_entry_are_those_of_the_page() -> None:
    assert first_words(JSON, "entry field") == list(EXPORTED)
    assert first_words(JSON, "event") == [event.value for event in Event]


def test_the_fields_of_a_certificate_are_those_of_the_page() -> None:
    (row,) = [row for row in table(JSON, "command") if row["command"] == "`audit certificate`"]

    paper = certificate_view(a_job(JobState.FAILED), counts_of(), seq=1, head="0", at=NOW, late=0)
    assert words(row["prints"]) == set(paper)


def test_the_fields_of_a_manifest_are_those_of_the_page(tmp_path: Path) -> None:
    manifest = write_report(a_job(JobState.FAILED), iter([]), tmp_path / "report")

    assert first_words(JSON, "manifest field") == list(manifest)


def test_the_fields_of_a_check_are_those_of_the_page() -> None:
    (row,) = [row for row in table(JSON, "command") if row["command"] == "`doctor`"]

    assert {field.name for field in fields(Check)} <= words(row["prints"])


def test_every_reason_to_wait_is_explained() -> None:
    assert first_words("docs/operations.md", "waits on") == [code.value for code in Waiting]


# --- commands ---------------------------------------------------------------------------------


def shell_lines(page: str) -> Iterator[str]:
    """The lines of shell blocks that call bulkdel; of those that show a screen, what is typed."""
    text, flags = text_of(page), re.MULTILINE | re.DOTALL
    typed = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    for block in [*re.findall(r"^```sh\n(.*?)^```$", text, flags=flags), "\n".join(typed)]:
        for line in block.replace("\\\n", " ").splitlines():
            yield from (part for part in re.split(r" && | \| ", line) if "bulkdel " in part)


def arguments(line: str) -> list[str]:
    """The words after `bulkdel`, without comment and redirection."""
    parts = shlex.split(line.partition("bulkdel ")[2], comments=True)
    return parts[: parts.index(">")] if ">" in parts else parts


def command_of(args: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """The command that the words name, and the words that are left for it."""
    command: click.Command = cli
    context = click.Context(cli, info_name="bulkdel")
    while isinstance(command, click.Group) and args and not args[0].startswith("-"):
        found = command.get_command(context, args[0])
        assert found is not None, f"there is no command {args[0]!r}"
        command, args = found, args[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    return command, context, args


CALLS = [(page, line) for page in PAGES for line in shell_lines(page)]
SPOKEN = sorted(
    {spoken for page in PAGES for spoken in re.findall(r"`bulkdel ([a-z][^`…]*)`", prose_of(page))}
)


def test_the_readme_shows_a_whole_job() -> None:
    shown = {args[0] for page, line in CALLS if page == README and (args := arguments(line))}

    assert {"init", "up", "submit", "plan", "confirm", "watch", "report", "audit"} <= shown


@pytest.mark.parametrize(
    "line", dict.fromkeys(line for page, line in CALLS if "/decisions/" not in page)
)
def test_a_call_in_a_code_block_is_taken_by_click(line: str) -> None:
    command, context, args = command_of(arguments(line))

    with command.make_context(command.name, args, parent=context.parent):
        pass


@pytest.mark.parametrize("spoken", SPOKEN)
def test_a_command_in_a_sentence_exists_with_its_options(spoken: str) -> None:
    command, context, args = command_of(shlex.split(spoken))

    command.make_parser(context).parse_args(args)


def test_what_is_said_to_be_missing_is_missing() -> None:
    said, _, options = section(README, "What is not there yet").partition("Missing options:")
    commands = said.partition("Missing commands:")[2]

    there = set(every_name())
    assert not words(commands) & there
    taken = {
        name for command in every_command() for option in command.params for name in option.opts
    }
    assert not words(options) & taken


def every_command(group: click.Group = cli) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from every_command(command)


def every_name() -> Iterator[str]:
    """The commands by all their words: `audit`, `audit verify`."""
    for command in every_command():
        yield command.name or ""
        if isinstance(command, click.Group):
            yield from (f"{command.name} {name}" for name in command.commands)


def test_every_make_word_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), flags=re.MULTILINE))

    for page in PAGES:
        used = re.findall(r"(?:^|`|&& )make ([a-z]+)", text_of(page), flags=re.MULTILINE)
        assert set(used) <= targets, page


# --- layers, links, decisions -----------------------------------------------------------------


def layers() -> list[set[str]]:
    """The layers of `worker/`, from the top, as lint-imports checks them."""
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (lines,) = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    return [{part.strip() for part in line.split("|")} for line in lines]


def test_the_readme_has_the_layers_in_six_lines_and_in_their_order() -> None:
    rows = [words(row["layers, from the top"]) for row in table(README, "layers, from the top")]

    assert len(rows) == 6
    place = {name: number for number, row in enumerate(rows) for name in row}
    order = [{place[name] for name in layer} for layer in layers()]
    assert all(len(layer) == 1 for layer in order), "one layer stands in one line"
    assert [max(layer) for layer in order] == sorted(max(layer) for layer in order)
    assert set(place) == set().union(*layers())


def test_the_architecture_has_a_line_for_every_part_of_the_package() -> None:
    assert set(first_words("docs/architecture.md", "part")) == set().union(*layers())


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path
        assert there.exists(), target
        if anchor:
            assert anchor in {anchor_of(title) for title in titles_of(there)}, target


def titles_of(page: Path) -> Iterable[str]:
    return re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def anchor_of(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_readme_leads_to_every_page() -> None:
    pages = [page for page in PAGES if page != README and "/decisions/" not in page]

    assert [page for page in pages if f"({page})" not in text_of(README)] == []


def test_the_glossary_is_one_table_in_order() -> None:
    _, _, *rows = [line for line in text_of("docs/glossary.md").splitlines() if "|" in line]
    shown = [row["word"].lower() for row in table("docs/glossary.md", "word")]

    assert len(shown) == len(rows)
    assert shown == sorted(shown)


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(text_of(README).splitlines()) <= 250


@pytest.mark.number("pace-6")
def test_every_number_of_how_fast_it_is_names_its_bench() -> None:
    named = [words(row["`BENCH=`"]) for row in table(README, "`BENCH=`")]
    there = {path.stem for path in (ROOT / "bench" / "rows").glob("*.py")} - {"__init__"}

    assert all(named)
    assert set().union(*named) <= there


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_why_what_and_instead_of_what(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith(f"# {path.name[:4]}. ")
    titles = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    wanted = [title for title in titles if title in {"Context", "Decision", "Consequences"}]
    assert wanted == ["Context", "Decision", "Consequences"]
    decision = text.partition("## Decision\n")[2].partition("\n## ")[0]
    assert re.search(r"^\*\*.+\*\*", decision.strip()), "the decision in one line to quote"
