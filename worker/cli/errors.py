"""From what went wrong to an exit code and two lines: what it is, and what to do about it."""

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from worker.cli.output import printable
from worker.domain.errors import BulkdelError, Unreachable

BUG = 1
USAGE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141
"""The reader of a pipe went away; 128 + SIGPIPE, as shells say it."""


class Detached(BulkdelError):
    """A person left a job that goes on."""

    exit_code = INTERRUPTED


class PipeClosed(Exception):
    """Whoever read our stdout does not want more."""


@contextmanager
def detachable(job_id: str, *, asks: bool = False) -> Iterator[None]:
    """Ctrl-C in here leaves the job alone and says how to come back to it.

    One that is being asked about does not go on by itself.
    """
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        if asks:
            what = f"left as it is: {job_id} waits for its word"
            raise Detached(what, fix=f"bulkdel plan {job_id}") from None
        raise Detached("detached; the job goes on", fix=f"bulkdel watch {job_id}") from None


def guarded(run: Callable[[], object], *, as_json: bool) -> int:
    """Run a command and return its exit code; nothing it raises comes out of here."""
    try:
        code = run()
        sys.stdout.flush()
    except (PipeClosed, BrokenPipeError):
        _close_pipe()
        return PIPE_CLOSED
    except click.UsageError as error:
        return _usage(error, as_json=as_json)
    except click.ClickException as error:
        return _tell("usage", error.format_message(), code=USAGE, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return _tell("interrupted", "stopped", code=INTERRUPTED, as_json=as_json)
    except BulkdelError as error:
        if error.exit_code == BUG:
            return _bug(error, as_json=as_json)
        name = _snake(type(error).__name__)
        return _tell(name, error.what, fix=error.fix, code=error.exit_code, as_json=as_json)
    except Exception as error:  # noqa: BLE001  the last line of defence: a person sees no traceback
        return _no_room(error) if _is_full(error) else _bug(error, as_json=as_json)
    return code if isinstance(code, int) else 0


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _no_room(error: Exception) -> int:
    """Where stdout cannot be written, JSON cannot go there either."""
    _close_pipe()
    what = f"the output cannot be written: {getattr(error, 'strerror', error)}"
    fix = "make room, or write it elsewhere"
    return _tell("no_room", what, fix=fix, code=Unreachable.exit_code, as_json=False)


def _usage(error: click.UsageError, *, as_json: bool) -> int:
    path = error.ctx.command_path if error.ctx else "bulkdel"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return USAGE
    return _tell(
        "usage", error.format_message(), fix=f"{path} --help", code=USAGE, as_json=as_json
    )


def _bug(error: BaseException, *, as_json: bool) -> int:
    """The text of a strange error may hold a secret: its kind and place are enough."""
    debug = os.environ.get("BULKDEL_LOG_LEVEL", "").lower() == "debug"
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}worker{os.sep}" in frame.filename] or frames
    place = ""
    if ours:
        name = ours[-1].filename.rpartition(f"{os.sep}worker{os.sep}")[2]
        place = f" at {name}:{ours[-1].lineno}"
    what = f"this is a bug of ours: {type(error).__name__}{place}"
    fix = "report it" if debug else "report it, with what BULKDEL_LOG_LEVEL=debug adds"
    return _tell("bug", what, fix=fix, code=BUG, as_json=as_json)


def _tell(code_name: str, what: str, *, code: int, as_json: bool, fix: str = "") -> int:
    if as_json:
        error = {"code": code_name, "what": what, "fix": fix, "exit_code": code}
        click.echo(json.dumps({"error": error}))
        return code
    click.echo(f"bulkdel: {printable(what)}", err=True)
    if fix:
        click.echo(f"    fix: {printable(fix)}", err=True)
    return code


def _close_pipe() -> None:
    """Let the interpreter's last flush go nowhere, so that it does not complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
