"""`doctor`: looks at everything this machine works with, and says what to mend."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.services.doctor import Check

STYLES: dict[str, dict[str, Any]] = {
    "ok": {"fg": "green"},
    "unsafe": {"fg": "red"},
    "missing": {"fg": "yellow"},
}


@click.command()
@talks
def doctor(out: Output) -> int:
    """Check that all is there, and safe: configuration, database, Redis, workers, secrets.

    It changes nothing and calls no provider. Exit code 0: all well, 5: something is unsafe,
    9: something is not there.

    \b
    Examples:
      bulkdel doctor
      bulkdel doctor --json
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.doctor_facts import gather
    from worker.config.settings import Settings
    from worker.services.doctor import examine, exit_code

    checks = examine(gather(Settings.load(os.environ)))
    for check in checks:
        if out.json:
            out.record(asdict(check))
        else:
            _print(out, check)
    return exit_code(checks)


def _print(out: Output, check: "Check") -> None:
    out.data(f"{check.level.value:<8} {check.name}: {check.text}", **STYLES[check.level.value])
    if check.fix:
        out.data(f"         fix: {check.fix}")
