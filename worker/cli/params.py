"""Options that several commands share, and the values they take."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")

FOR_EVER = timedelta.max
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:\d{1,6}[dhms])+", re.ASCII)


class Duration(click.ParamType[timedelta]):
    """A length of time such as 45s, 30m, 1h30m or 2d."""

    name = "duration"

    def convert(
        self,
        value: Any,  # noqa: ANN401  click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> timedelta:
        """The length of time; fails on anything else."""
        if isinstance(value, timedelta):
            return value
        text = str(value).strip().lower()
        if not text:
            return FOR_EVER
        if not _DURATION.fullmatch(text):
            self.fail(
                f"{value!r} is no length of time: write it like 45s, 30m or 1h30m", param, ctx
            )
        parts = re.findall(r"(\d+)([dhms])", text, re.ASCII)
        return sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in parts), timedelta())


class Instant(click.ParamType[datetime]):
    """A point in time in ISO 8601; without a zone it is UTC."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401  click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """The instant as aware UTC, or naive if no zone was given: the caller says so."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(str(value).strip())
            return at if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: write it like 2026-11-21T22:00:00Z", param, ctx)


class WaitCommand(click.Command):
    """A command whose `--wait` may stand alone: the JOB in `confirm --wait JOB` is no duration."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a lonely --wait an empty value before click takes the next word for it."""
        given = [*args, ""]
        for place, word in enumerate(args):
            if word == "--":
                break
            if word == "--wait" and not _DURATION.fullmatch(given[place + 1]):
                given[place] = "--wait="
        return super().parse_args(ctx, given[:-1])


def commas(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The words of a repeatable option that takes lists too; None if it was not given."""
    return tuple(word for value in values for word in value.split(",")) if values else None


wait_option = click.option(
    "--wait",
    type=Duration(),
    metavar="[=DURATION]",
    help="Stay until the job ends, at most that long (30m); its end is the exit code.",
)
yes_option = click.option(
    "--yes", is_flag=True, help="Confirm a small plan, up to the account's auto_confirm_max."
)


def plan_options(command: Callable[P, R]) -> Callable[P, R]:
    """What every command takes that makes a new job."""
    no_plan = click.option(
        "--no-wait-plan", is_flag=True, help="Print the job at once, without its plan."
    )
    return yes_option(no_plan(wait_option(command)))
