"""What the demo plays on: a folder, a sandbox, a Valkey and a worker, all ended with it."""

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import NoReturn

from worker.bootstrap import Desk
from worker.cli.follow import workers_alive
from worker.cli.output import Output
from worker.cli.polling import poll
from worker.cli.run import environment
from worker.config.settings import Settings
from worker.config.values import OUR_PREFIX
from worker.domain.calls import Target
from worker.domain.errors import InvalidInput, Unreachable
from worker.domain.outcomes import Outcome
from worker.embedded import start as start_valkey
from worker.processes import HARMLESS, CannotStart, Child, spawn
from worker.sandbox.client import Control
from worker.services.demo import Deletion, Ending
from worker.store.audit_log import Filter, query
from worker.store.migrate import upgrade

ACCOUNT = "demo"
ORGANIZATION = "10234695"
TOKEN = "demo-token"  # noqa: S105  the made-up token of a made-up provider
TOKEN_NAME = "DEMO_TOKEN"  # noqa: S105  the name of a variable
CHILDREN = {"tasks": 3, "users": 2, "documents": 2, "comments": 3}
CONCURRENCY = 4
READY_WITHIN = timedelta(seconds=30)
STOP_WITHIN = 15.0
TERMINATED = 128 + signal.SIGTERM

CONFIG = """\
# The account of `bulkdel demo`: a sandbox on this machine, with limits that do not slow it down.
[accounts.{account}]
provider = "zoho_books"
base_url = "{url}"
organization_id = "{organization}"
token = "env:{token_name}"
limits = {{ windows = [[100000, "60s"]], per_day = 1000000, in_flight = 20 }}
max_items = 100000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What was started, and where."""

    ids: Path
    control: Control
    worker: Child
    worker_log: Path

    def worker_is_there(self, desk: Desk) -> Callable[[], bool]:
        """Whether the worker has shown itself; Unreachable if it ended instead."""

        def look() -> bool:
            if self.worker.ended() is not None:
                said = _last_line(self.worker_log)
                raise Unreachable(f"the worker ended at its start: {said}", fix="bulkdel doctor")
            return workers_alive(desk) > 0

        return look

    def last_words(self) -> str:
        """The last line of the worker's log."""
        return _last_line(self.worker_log)

    def left(self) -> list[str]:
        """Ids of the projects that still live in the sandbox."""
        return list(self.control.state(ORGANIZATION))


@contextlib.contextmanager
def on_stage(out: Output, *, projects: int, folder: Path | None) -> Iterator[Stage]:
    """Start everything, and end it, whatever happens. Sets the environment of this process."""
    with contextlib.ExitStack() as ending:
        ending.enter_context(_ended_by_sigterm())
        home = _home(ending, folder)
        url = _sandbox(ending, home, projects)
        control = Control(url)
        ids = home / "ids.csv"
        rows = sorted(control.state(ORGANIZATION))
        ids.write_text("\n".join(["project_id", *rows, ""]), encoding="utf-8")
        settings = _settings(home, url)
        upgrade(settings.database_url)
        try:
            ending.enter_context(start_valkey(settings.data_dir))
        except CannotStart as error:
            raise Unreachable(str(error)) from None
        os.environ.update(environment(settings))
        worker = _worker(ending, home)
        out.say(f"2. Valkey, SQLite and a worker on this machine, in {home}")
        yield Stage(ids=ids, control=control, worker=worker, worker_log=home / "worker.log")
        out.say("6. Everything that was started is being ended")
        if folder is not None:
            out.say(f"   The rest is kept:  cd {folder} && bulkdel audit --limit 5")
        else:
            out.say("   Nothing of it is kept; to play with one:  bulkdel up --sandbox")


def deletions(control: Control) -> list[Deletion]:
    """Every deletion the sandbox was asked for."""
    return [
        Deletion(
            seq=line["seq"],
            target=Target(
                kind=line["kind"] or "",
                external_id=line["id"] or "",
                parent_external_id=line["parent_id"] or "",
            ),
            took_effect=line["effect"] == "deleted",
        )
        for line in control.ledger()
        if line["method"] == "DELETE"
    ]


def endings(desk: Desk, job_id: str) -> Sequence[Ending]:
    """How each item of a job ended, by the audit log."""
    return [
        Ending(
            target=Target(
                kind=entry.kind,
                external_id=entry.external_id,
                parent_external_id=entry.parent_external_id,
            ),
            outcome=Outcome(entry.outcome),
        )
        for entry in query(desk.db, Filter(job=job_id))
        if entry.outcome is not None
    ]


def _home(ending: contextlib.ExitStack, folder: Path | None) -> Path:
    if folder is None:
        made = tempfile.TemporaryDirectory(prefix="bulkdel-demo-", ignore_cleanup_errors=True)
        return Path(ending.enter_context(made))
    fix = "name a new folder with --dir"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be used: {error.strerror}", fix=fix) from None
    if not is_empty:
        raise InvalidInput(f"{folder} is not empty", fix=fix)
    return folder.absolute()


def _settings(home: Path, url: str) -> Settings:
    """Settings of the demo alone: what the caller has set is not touched, and not used."""
    config = home / "bulkdel.toml"
    text = CONFIG.format(
        account=ACCOUNT, url=url, organization=ORGANIZATION, token_name=TOKEN_NAME
    )
    config.write_text(text, encoding="utf-8")
    for name in [name for name in os.environ if name.startswith(OUR_PREFIX)]:
        del os.environ[name]
    os.environ[TOKEN_NAME] = TOKEN
    ours = {"BULKDEL_DATA_DIR": str(home / ".bulkdel"), "BULKDEL_CONFIG": str(config)}
    return Settings.load(ours)


def _sandbox(ending: contextlib.ExitStack, home: Path, projects: int) -> str:
    """Start a sandbox; what is returned is its base URL."""
    log = home / "sandbox.log"
    amounts = {"projects": projects, **CHILDREN}
    options = [part for name, count in amounts.items() for part in (f"--{name}", str(count))]
    ours = ["--organization", ORGANIZATION, "--token", TOKEN]
    ours += ["--ledger", str(home / "ledger.jsonl")]
    command = [sys.executable, "-m", "worker.sandbox", *ours, *options]
    sandbox = spawn(command, told=HARMLESS, log=log)
    ending.callback(_end, sandbox)

    def said() -> str:
        if sandbox.ended() is not None:
            raise Unreachable(f"the sandbox ended at its start: {_last_line(log)}")
        return _last_line(log)

    line, is_there = poll(said, lambda line: line.startswith("{"), READY_WITHIN)
    if not is_there:
        raise Unreachable("the sandbox did not start in time")
    url: str = json.loads(line)["url"]
    return url


def _worker(ending: contextlib.ExitStack, home: Path) -> Child:
    # It reads the environment when it is imported, and that has just been set.
    from worker.programs import worker_argv

    worker = spawn(worker_argv(CONCURRENCY), log=home / "worker.log")
    ending.callback(_end, worker)
    return worker


def _end(child: Child) -> None:
    child.terminate()
    if child.wait(STOP_WITHIN) is None:
        child.kill()


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does: with everything that was started."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else ""
