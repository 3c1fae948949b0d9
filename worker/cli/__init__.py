"""The command line: `bulkdel`. A command's module is imported when it runs, and not before.

Modules in here import click and the standard library alone at their top; what a command works
with is imported inside of it, so that `--help` answers at once.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, NoReturn

import click

from worker.cli.errors import PipeClosed, guarded
from worker.cli.output import everywhere


@dataclass(frozen=True, slots=True)
class Entry:
    """A command as the overview lists it, and where it is: `module:attribute` in `worker.cli`."""

    name: str
    where: str
    line: str


SECTIONS: dict[str, tuple[Entry, ...]] = {
    "Delete": (
        Entry("submit", "submit:submit", "Hand in a job: its plan is made, nothing is deleted."),
        Entry("plan", "plan:plan", "Show what a job would delete, and what it costs."),
        Entry("confirm", "plan:confirm", "Let a plan run."),
        Entry("approve", "second:approve", "Agree to a large plan, as the second person."),
        Entry("reject", "second:reject", "Say no to a large plan, as the second person."),
        Entry("retry", "control:retry", "A new job from what an old one left behind."),
    ),
    "Look": (
        Entry("jobs", "jobs:jobs", "List jobs, the newest first."),
        Entry("show", "jobs:show", "Show one job."),
        Entry("watch", "watch:watch", "Follow a job to its end."),
        Entry("explain", "tell:explain", "Say why a job or an item stands where it stands."),
        Entry("report", "tell:report", "Sum a job up: what ended how, and what to do."),
        Entry("audit", "audit:audit", "Ask the audit log, verify it, certify a job."),
    ),
    "Steer": (
        Entry("pause", "control:pause", "Stop a job between calls."),
        Entry("resume", "control:resume", "Let a paused job go on."),
        Entry("cancel", "control:cancel", "Stop a job for good."),
        Entry("set", "control:set_", "Set a job's priority, hours or shares anew."),
        Entry("hold", "hold:hold", "Keep objects from being deleted."),
    ),
    "Schedule": (
        Entry("policies", "policies:policies", "List the policies: next runs, last run, misses."),
        Entry("policy", "policies:policy", "Preview a policy, or have it run now."),
    ),
    "Set up and run": (
        Entry("init", "setup:init", "Write a first bulkdel.toml and make the database."),
        Entry("doctor", "doctor:doctor", "Check that all is there, and safe."),
        Entry("accounts", "accounts:accounts", "List the accounts, or check one."),
        Entry("db", "setup:db", "Bring the database up to date."),
        Entry("up", "run:up", "Run all that is needed on this machine."),
        Entry("worker", "run:worker", "Run a worker."),
        Entry("beat", "run:beat", "Run the clock that fires policies."),
        Entry("sandbox", "play:sandbox", "Run a provider to play with."),
        Entry("demo", "demo:demo", "See a whole job on this machine, start to end."),
    ),
}


class LazyGroup(click.Group):
    """The overview of all commands; a command is imported when it is asked for by name."""

    entries: ClassVar[dict[str, Entry]] = {
        entry.name: entry for section in SECTIONS.values() for entry in section
    }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Every name, in the order of the overview."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """The command, its module imported now; None if there is none of that name."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.where.partition(":")
        command: click.Command = getattr(import_module(f"worker.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """The overview, without importing anything."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(entry.name, entry.line) for entry in entries])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown name is answered with the nearest."""
        from difflib import get_close_matches

        if args and args[0] not in self.entries and not args[0].startswith("-"):
            near = get_close_matches(args[0], self.entries, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            ctx.fail(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  click's signature
        """Run the command; a reader that went away is told apart from a bug."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise PipeClosed from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002  click's signature
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401  click's signature
    ) -> NoReturn:
        """Run what the arguments say and exit with its code."""
        argv = list(sys.argv[1:] if args is None else args)
        before = argv[: argv.index("--")] if "--" in argv else argv

        def run() -> object:
            return click.Group.main(
                self,
                args=argv,
                prog_name=prog_name or "bulkdel",
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )

        sys.exit(guarded(run, as_json="--json" in before))


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"bulkdel {version('bulkdel')}")
    except PackageNotFoundError:
        click.echo("bulkdel, run from its source")
    context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
@everywhere
def cli() -> None:
    """Delete many projects at a provider: planned, rate limited, crash-safe, audited.

    Nothing is deleted that was not in a plan somebody could read.

    \b
    Examples:
      bulkdel demo
      bulkdel submit --account acme --ids-file ids.csv --cascade all \\
                     --reason "closed in 2024"
      bulkdel plan JOB
      bulkdel confirm JOB --word "delete 1284 acme 9f3a"
      bulkdel watch JOB

    \b
    Exit codes: 0 as wanted, 1 a bug of ours, 2 wrong input, 3 some items failed,
    4 credentials, 5 refused by a guard, 6 some items unknown, 7 stopped early,
    8 --wait ran out, 9 not reachable, 130 detached.
    """  # noqa: D301  \b is click's mark for "keep these lines"


def main() -> NoReturn:
    """Entry point of `bulkdel`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    cli.main()
