"""`up`, `worker` and `beat`: the processes that work, in the foreground."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.config.settings import Settings
    from worker.embedded import Embedded
    from worker.processes import ChildSpec

CONCURRENCY = 8


@click.command()
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=CONCURRENCY,
    show_default=True,
    help="Accounts worked at the same time, by each.",
)
@click.option("--upgrade", is_flag=True, help="Bring a database that is not SQLite up to date.")
@click.option("--sandbox", is_flag=True, help="Also a provider to play with, and its account.")
@talks
def up(out: Output, workers: int, concurrency: int, upgrade: bool, sandbox: bool) -> int:
    """Run all that is needed on this machine; Ctrl-C ends it all.

    Database upgrade, Valkey (unless BULKDEL_REDIS_URL names a server), workers and the clock of
    the policies. Jobs that are not finished go on at the next start.

    \b
    Examples:
      bulkdel up
      bulkdel up --sandbox
      bulkdel up --workers 2
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.config.settings import Settings

    settings = Settings.load(os.environ)
    out.say(f"database   {_without_password(settings.database_url)}")
    return _up(out, settings, workers, concurrency, upgrade=upgrade, sandbox=sandbox)


def _up(
    out: Output,
    settings: "Settings",
    workers: int,
    concurrency: int,
    *,
    upgrade: bool,
    sandbox: bool,
) -> int:
    from worker import supervisor
    from worker.cli import play
    from worker.config.accounts import load
    from worker.domain.errors import Refused

    played = [play.beside(settings)] if sandbox else []
    config = load(settings.config)
    _ready_database(settings, upgrade=upgrade)
    with _redis(settings) as embedded:
        if embedded is not None and not embedded.owned:
            raise Refused(
                f"bulkdel up runs in {settings.data_dir} already",
                fix="use that one, or end it with Ctrl-C first",
            )
        env = environment(settings)
        children = [*played, *_children(env, workers=workers, concurrency=concurrency)]
        valkey = None if embedded is None else embedded.child()
        where = os.path.relpath(settings.config) if config.found else "no bulkdel.toml yet"
        out.say(f"accounts   {', '.join(config.accounts) or 'none'} ({where})")
        out.say(f"redis      {_redis_in_words(settings, embedded)}")
        out.say(f"running    {', '.join(child.name for child in children)}; Ctrl-C ends all")
        _say_next(out, next(iter(config.accounts), ""), sandbox=sandbox)
        everything = [*([] if valkey is None else [valkey]), *children]
        return supervisor.run(everything, say=out.say)


def _say_next(out: Output, account: str, *, sandbox: bool) -> None:
    from worker.cli.play import FIRST_PLAN

    if sandbox:
        out.say("next       in a second terminal, in this folder:")
        out.say(f"  {FIRST_PLAN}")
    elif account:
        out.say(f"submit     bulkdel submit --account {account} --ids-file ids.csv \\")
        out.say('             --cascade all --reason "why these go"')
    else:
        out.say("next       bulkdel init")


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=CONCURRENCY,
    show_default=True,
    help="Accounts worked at the same time.",
)
@talks
def worker(out: Output, concurrency: int) -> None:
    """Run a worker in the foreground; as many as you like, on any machine.

    \b
    Examples:
      bulkdel worker
      bulkdel worker --concurrency 4
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.config.settings import Settings
    from worker.processes import EVERYTHING
    from worker.programs import worker_argv

    settings = Settings.load(os.environ)
    _become(out, settings, worker_argv(concurrency), EVERYTHING)


@click.command()
@talks
def beat(out: Output) -> None:
    """Run the clock of the policies in the foreground.

    One is enough; several do no harm, as the database lets each slot have one job. bulkdel.toml
    is read again when it changes. Without a clock no policy runs, and `bulkdel doctor` says so.

    \b
    Examples:
      bulkdel beat
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.config.settings import Settings
    from worker.processes import SERVERS
    from worker.programs import beat_argv

    settings = Settings.load(os.environ)
    _become(out, settings, beat_argv(), SERVERS)


def environment(settings: "Settings") -> dict[str, str]:
    """What children must be told so that they use what we use. Raises Unreachable without Redis.

    An embedded server is told by its address, too: it may be another process's. An address that
    we have from a file is theirs from that file: it holds a password.
    """
    from worker.wiring import addresses

    there = addresses(settings)
    told = {
        "BULKDEL_DATABASE_URL": settings.database_url,
        "BULKDEL_CONFIG": str(settings.config.absolute()),
        "BULKDEL_DATA_DIR": str(settings.data_dir.absolute()),
        "BULKDEL_REDIS_URL": there.redis,
        "BULKDEL_BROKER_URL": there.broker,
    }
    if os.environ.get("BULKDEL_REDIS_URL_FILE") and not settings.broker_url:
        del told["BULKDEL_BROKER_URL"]  # it is the one of Redis, whichever way that is known
    return {name: text for name, text in told.items() if not os.environ.get(f"{name}_FILE")}


@contextlib.contextmanager
def _redis(settings: "Settings") -> "Iterator[Embedded | None]":
    from worker.domain.errors import Unreachable
    from worker.embedded import EmbeddedUnavailable, start

    if settings.redis_url is not None:
        yield None
        return
    try:
        embedded = start(settings.data_dir)
    except EmbeddedUnavailable as error:
        raise Unreachable(str(error), fix="or set BULKDEL_REDIS_URL") from None
    with embedded:
        yield embedded


def _children(env: Mapping[str, str], *, workers: int, concurrency: int) -> "list[ChildSpec]":
    from worker.processes import SERVERS, ChildSpec
    from worker.programs import beat_argv, worker_argv

    names = ["worker"] if workers == 1 else [f"worker {n}" for n in range(1, workers + 1)]
    argv = tuple(worker_argv(concurrency))
    clock = tuple(beat_argv())
    children = [ChildSpec(name=name, argv=argv, extra_env=env) for name in names]
    return [*children, ChildSpec(name="beat", argv=clock, extra_env=env, told=SERVERS)]


def _ready_database(settings: "Settings", *, upgrade: bool) -> None:
    from worker.store import migrate
    from worker.store.engine import Database

    if upgrade or settings.database_url.startswith("sqlite"):
        migrate.upgrade(settings.database_url)
    else:
        database = Database(settings.database_url)
        database.check_schema()
        database.dispose()


def _become(
    out: Output, settings: "Settings", argv: Sequence[str], told: Sequence[str]
) -> NoReturn:
    """Go on as another program, which is told of our environment what `told` names."""
    from worker.processes import environment_of

    # Off a terminal it is read by machines: from here on every line is an event of the log.
    say = out.say if out.on_terminal else _nothing
    say(f"database   {_without_password(settings.database_url)}")
    _ready_database(settings, upgrade=False)
    ours = environment(settings)
    _check_servers(settings)
    redis = settings.redis_url or ours["BULKDEL_REDIS_URL"]
    say(f"redis      {_without_password(redis)}")
    os.execve(argv[0], list(argv), {**environment_of(told), **ours})  # noqa: S606  the command is ours, and no shell reads it


def _nothing(_text: str) -> None:
    """Say it to nobody."""


def _check_servers(settings: "Settings") -> None:
    """Say at the start what Celery would only repeat every few seconds, in its own words."""
    from worker.cli.doctor_broker import broker_fault
    from worker.cli.doctor_facts import redis_facts
    from worker.domain.errors import Unreachable

    for fault in (redis_facts(settings).fault, broker_fault(settings)):
        if fault is not None:
            raise Unreachable(fault.what, fix=fault.fix)


def _redis_in_words(settings: "Settings", embedded: "Embedded | None") -> str:
    if embedded is None:
        return _without_password(settings.redis_url or "")
    return f"its own Valkey, {embedded.socket}"


def _without_password(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.password is None:
        return url
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:***@{place}", query="").geturl()
