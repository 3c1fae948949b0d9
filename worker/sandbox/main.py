"""Running the sandbox as a process of its own: until SIGTERM or SIGINT, then a clean end."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from worker.sandbox.seeding import Seed
from worker.sandbox.server import NotLoopback, Options, Sandbox
from worker.sandbox.state import DEFAULT_TOKEN

DEFAULT_ORGANIZATION = "10234695"
WRONG_USAGE = 2


def serve(
    host: str,
    port: int,
    *,
    seeds: Sequence[Seed] = (),
    ledger_path: Path | None = None,
    random_seed: int = 0,
    ready: Callable[[Sandbox], None],
) -> None:
    """Serve until the process is told to stop; `ready` is called once calls are answered.

    Raises NotLoopback for a host other machines could reach, OSError if the port is taken.
    """
    options = Options(host=host, port=port, ledger_path=ledger_path, random_seed=random_seed)
    asyncio.run(_serve(options, seeds, ready))


def announce(sandbox: Sandbox) -> None:
    """Say on stdout, as one line of JSON, where the sandbox is."""
    line = json.dumps(
        {
            "url": sandbox.url,
            "control": sandbox.control_url,
            "url_v3": sandbox.url_v3,
            "token_url": sandbox.token_url,
            "truto_url": sandbox.truto_url,
        }
    )
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(arguments: Sequence[str] | None = None) -> int:
    """The command line of `python -m worker.sandbox`; what is returned is its exit code."""
    given = _parser().parse_args(arguments)
    try:
        serve(
            given.host,
            given.port,
            seeds=[_seed(given)],
            ledger_path=given.ledger,
            random_seed=given.seed,
            ready=announce,
        )
    except (NotLoopback, ValidationError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_USAGE
    return 0


async def _serve(
    options: Options, seeds: Sequence[Seed], ready: Callable[[Sandbox], None]
) -> None:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    sandbox = Sandbox(options)
    for seed in seeds:
        sandbox.seed(seed)
    async with sandbox:
        ready(sandbox)
        await told_to_stop.wait()


def _seed(given: argparse.Namespace) -> Seed:
    return Seed(
        organization_id=given.organization,
        projects=given.projects,
        tasks=given.tasks,
        users=given.users,
        documents=given.documents,
        comments=given.comments,
        token=given.token,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m worker.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--organization", default=DEFAULT_ORGANIZATION)
    parser.add_argument("--token", default=DEFAULT_TOKEN)
    for name in ("projects", "tasks", "users", "documents", "comments"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--ledger", type=Path, help="a JSON Lines file to append to")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    return parser
