"""How a command talks: data on stdout, talk on stderr, one JSON object a line when asked.

    @click.command("show")
    @click.argument("job")
    @talks
    def show(out: Output, job: str) -> int | None:  # the exit code; None is 0

`--json` and `--no-input` come with `talks`. All text is made safe for a terminal on its way out.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import IO, Any, Concatenate, ParamSpec

import click

P = ParamSpec("P")

WIDTH = 80
_JSON = "worker.cli.json"
_NO_INPUT = "worker.cli.no_input"
_STRANGE = "\ufffd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where a command's words go. `json`: stdout is for JSON alone."""

    json: bool = False
    no_input: bool = False

    @property
    def can_ask(self) -> bool:
        """Whether there is a person to ask: a terminal, and nobody said not to."""
        return not (self.json or self.no_input) and is_terminal(sys.stdin) and self.on_terminal

    @property
    def on_terminal(self) -> bool:
        """Whether the talk is read by a person: bars may move."""
        return is_terminal(sys.stderr)

    def data(self, text: str = "", **style: Any) -> None:  # noqa: ANN401  click.style's options
        """Lines for people on stdout; `style` is click's, and used on a terminal alone."""
        _echo(text, sys.stdout, style)

    def record(self, value: Mapping[str, Any]) -> None:
        """One JSON object on one line of stdout, in ASCII: safe for every terminal and pipe."""
        click.echo(json.dumps(value), color=False)

    def records(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Many at once, each on a line of its own."""
        click.echo("".join(f"{json.dumps(value)}\n" for value in values), color=False, nl=False)

    def say(self, text: str, **style: Any) -> None:  # noqa: ANN401  click.style's options
        """Talk and progress, on stderr."""
        _echo(text, sys.stderr, style)

    def ask(self, question: str) -> str:
        """A line typed by a person (click.Abort on Ctrl-C); only if `can_ask`."""
        answer: str = click.prompt(
            question, err=True, default="", show_default=False, prompt_suffix=" "
        )
        return answer.strip()


def talks(
    command: Callable[Concatenate[Output, P], int | None],
) -> Callable[P, int | None]:
    """Give a command `--json`, `--no-input`, and an Output as its first argument."""

    def run(*args: P.args, **kwargs: P.kwargs) -> int | None:
        meta = click.get_current_context().meta
        out = Output(json=meta.get(_JSON, False), no_input=meta.get(_NO_INPUT, False))
        return command(out, *args, **kwargs)

    return everywhere(update_wrapper(run, command))


def everywhere(command: Callable[P, int | None]) -> Callable[P, int | None]:
    """The options that every command and the program itself take."""
    for flag, key, text in (
        ("--no-input", _NO_INPUT, "Never ask; what needs an answer is refused."),
        ("--json", _JSON, "JSON on stdout: one object on one line, lists as JSON Lines."),
    ):
        option = click.option(
            flag, is_flag=True, expose_value=False, callback=_remember(key), help=text
        )
        command = option(command)
    return command


def _remember(key: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            context.meta[key] = True

    return callback


def is_terminal(stream: IO[str]) -> bool:
    """Whether a stream is a terminal; a closed one is none."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def has_colour(stream: IO[str]) -> bool:
    """Whether colours may be used on a stream."""
    return is_terminal(stream) and not (os.environ.get("NO_COLOR") or is_dumb())


def is_dumb() -> bool:
    """Whether a terminal can do nothing but print one line after the other."""
    return os.environ.get("TERM") == "dumb"


def printable(text: str) -> str:
    """Text of somebody else, safe for a terminal: what is not printable is replaced."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _blank_or_strange(c) for c in text)


def _blank_or_strange(character: str) -> str:
    return " " if character.isspace() else _STRANGE


def table(rows: Sequence[Sequence[str]], *, head: Sequence[str] = ()) -> list[str]:
    """Lines of aligned columns, two blanks apart; cells are made safe first."""
    every = [[printable(cell) for cell in row] for row in ([head, *rows] if head else rows)]
    if not every:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*every, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]


def _echo(text: str, stream: IO[str], style: Mapping[str, Any]) -> None:
    colour = has_colour(stream)
    for line in text.split("\n"):
        safe = printable(line)
        shown = click.style(safe, **style) if style and colour else safe
        click.echo(shown, file=stream, color=colour)
