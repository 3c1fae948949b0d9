"""A provider to play with: `sandbox` as a command, and the one beside `bulkdel up --sandbox`."""

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.config.settings import Settings
    from worker.processes import ChildSpec
    from worker.sandbox.server import Sandbox

ACCOUNT = "sandbox"
ORGANIZATION = "10234695"
SANDBOX_TOKEN = "sandbox-token"  # noqa: S105  the made-up token of a made-up provider
BESIDE = {"projects": 50, "tasks": 3, "users": 2, "documents": 2, "comments": 3}
"""What the sandbox beside `up` holds: a plan of all of it is below the default of `max_items`."""
FIRST_PLAN = (
    f"bulkdel submit --account {ACCOUNT} --filter status=active --cascade all "
    '--reason "a first look"'
)
OWN_FILE = "# An account of the sandbox of `bulkdel up --sandbox`: all of it is made up.\n\n"


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="0: a free one.")
@click.option("--organization", default=ORGANIZATION, show_default=True, help="Its id.")
@click.option("--projects", type=click.IntRange(0), default=200, show_default=True)
@click.option("--tasks", type=click.IntRange(0, 999), default=3, show_default=True, help="Each.")
@click.option("--users", type=click.IntRange(0, 999), default=2, show_default=True, help="Each.")
@click.option("--documents", type=click.IntRange(0, 999), default=2, show_default=True)
@click.option("--comments", type=click.IntRange(0, 999), default=3, show_default=True)
@click.option("--token", default=SANDBOX_TOKEN, show_default=True, help="That it accepts.")
@click.option("--ledger", type=click.Path(dir_okay=False, path_type=Path), help="JSON Lines.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@talks
def sandbox(
    out: Output,
    port: int,
    organization: str,
    token: str,
    ledger: Path | None,
    seed: int,
    projects: int,
    tasks: int,
    users: int,
    documents: int,
    comments: int,
) -> None:
    """Run a provider to play with on this machine, until Ctrl-C.

    It speaks as Zoho Books v4 does and keeps nothing. What to put into bulkdel.toml is printed;
    `bulkdel up --sandbox` does that by itself.

    \b
    Examples:
      bulkdel sandbox
      bulkdel sandbox --projects 1000 --ledger ledger.jsonl
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.domain.errors import Unreachable
    from worker.sandbox.main import announce, serve
    from worker.sandbox.seeding import Seed

    def ready(running: "Sandbox") -> None:
        announce(running)
        out.say("an account that uses it, for bulkdel.toml:\n")
        out.say(snippet(running.url, organization))
        out.say(f"and its token:  export SANDBOX_TOKEN={token}")

    sown = Seed(
        organization_id=organization,
        token=token,
        projects=projects,
        tasks=tasks,
        users=users,
        documents=documents,
        comments=comments,
    )
    try:
        serve(
            "127.0.0.1",
            port,
            seeds=[sown],
            ledger_path=ledger,
            random_seed=seed,
            ready=ready,
        )
    except OSError as error:
        where = "--port" if error.filename is None else "--ledger"
        raise Unreachable(
            f"the sandbox cannot run: {error.strerror or error}", fix=f"choose another {where}"
        ) from None


def snippet(url: str, organization: str, token: str = "env:SANDBOX_TOKEN") -> str:  # noqa: S107  where it is
    """An account of bulkdel.toml that uses a sandbox, with limits that do not slow it down."""
    return "\n".join(
        (
            f"[accounts.{ACCOUNT}]",
            'provider = "zoho_books"',
            f'base_url = "{url}"',
            f'organization_id = "{organization}"',
            f'token = "{token}"',
            'limits = { windows = [[100000, "60s"]], per_day = 1000000, in_flight = 20 }',
            "",
        )
    )


def beside(settings: "Settings") -> "ChildSpec":
    """The sandbox that runs beside `up`, where its account in bulkdel.toml looks for it.

    Without a bulkdel.toml one with this account is written; Refused if there is a file without
    it: that is a person's, and is not changed.
    """
    from worker.processes import HARMLESS, ChildSpec

    token = _token_in(settings.data_dir)
    amounts = [part for name, n in BESIDE.items() for part in (f"--{name}", str(n))]
    place = ["--port", str(_port(settings, token)), "--organization", ORGANIZATION]
    return ChildSpec(
        name="sandbox",
        argv=(sys.executable, "-m", "worker.sandbox", *place, *amounts, "--token", SANDBOX_TOKEN),
        log=settings.data_dir / "sandbox.log",
        told=HARMLESS,
        outlives=True,
    )


def _token_in(folder: Path) -> Path:
    """The file that holds the sandbox's token; Unreachable if it cannot be written."""
    from worker.domain.errors import Unreachable

    token = folder / "sandbox-token"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(SANDBOX_TOKEN + "\n")
    except OSError as error:
        raise Unreachable(
            f"{folder} cannot be written: {error.strerror}",
            fix="go to a folder of your own, or name one with BULKDEL_DATA_DIR",
        ) from None
    return token


def _port(settings: "Settings", token: Path) -> int:
    """The port that the account names; a free one, written down, if there is no file yet."""
    from urllib.parse import urlsplit

    from worker.cli.setup import write_config
    from worker.config.accounts import load
    from worker.domain.errors import Refused

    if not settings.config.exists():
        with socket.socket() as knocking:
            knocking.bind(("127.0.0.1", 0))
            port: int = knocking.getsockname()[1]
        url = f"http://127.0.0.1:{port}/books/v4"
        write_config(settings.config, OWN_FILE + snippet(url, ORGANIZATION, f"file:{token}"))
        return port
    account = load(settings.config).accounts.get(ACCOUNT)
    named = urlsplit(account.base_url).port if account and account.is_loopback else None
    if named is None:
        raise Refused(
            f"{settings.config} is there, and has no account {ACCOUNT} on this machine",
            fix="bulkdel up --sandbox in an empty folder, or bulkdel sandbox, which prints one",
        )
    return named
