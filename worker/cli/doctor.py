"""`doctor`: looks at everything this machine works with, and says what to mend."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.services.doctor import Check

ROLES = ("worker", "beat")
INDENT = 9
STYLES: dict[str, dict[str, Any]] = {
    "ok": {"fg": "green"},
    "note": {"fg": "blue"},
    "unsafe": {"fg": "red"},
    "missing": {"fg": "yellow"},
}


@click.command()
@click.option(
    "--alive",
    metavar="ROLE",
    type=click.Choice(ROLES),
    help="Only whether a worker (or beat) of this machine was seen lately: for health checks.",
)
@talks
def doctor(out: Output, alive: str | None) -> int:
    """Check that all is there, and safe: configuration, database, Redis, workers, secrets.

    It changes nothing and calls no provider. Exit code 0: all well, 5: something is unsafe,
    9: something is not there.

    \b
    Examples:
      bulkdel doctor
      bulkdel doctor --json
      bulkdel doctor --alive worker
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.doctor_facts import alive_here, gather
    from worker.config.settings import Settings, address_files
    from worker.services.doctor import examine, exit_code

    settings = Settings.load(os.environ)
    if alive is None:
        checks = examine(gather(settings, address_files(os.environ)))
    else:
        checks = [alive_here(settings, alive)]
    print_checks(out, checks)
    return exit_code(checks)


def print_checks(out: Output, checks: "Sequence[Check]") -> None:
    """Each check, and how many want something done."""
    for check in checks:
        if out.json:
            out.record(asdict(check))
        else:
            _print(out, check)
    if not out.json and len(checks) > 1:
        out.data()
        out.data(_summary(checks))


def _print(out: Output, check: "Check") -> None:
    from worker.services.report import wrapped

    first, *rest = wrapped(f"{check.name}: {check.text}", indent=INDENT)
    out.data(f"{check.level.value:<{INDENT}}{first.strip()}", **STYLES[check.level.value])
    for line in rest:
        out.data(line)
    if check.fix:
        for line in wrapped(f"fix: {check.fix}", indent=INDENT):
            out.data(line)


def _summary(checks: "Sequence[Check]") -> str:
    levels = Counter(check.level.value for check in checks)
    found = [f"{levels[name]} {name}" for name in ("unsafe", "missing") if levels[name]]
    if not found:
        return f"All well: {len(checks)} checks."
    return f"{' and '.join(found)}: mend from the top."
