"""The table of faults: what strikes, how often it has to hit, and on what deployment."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.acceptance.site import Site
from tests.chaos import crashes, previous, providers, surroundings
from tests.chaos.drill import Drill
from tests.chaos.entry import Point
from tests.chaos.providers import Line
from tests.chaos.scene import PROJECTS, Scene

Configure = Callable[[Drill, Site], tuple[str, ...]]
Strike = Callable[[Scene], None]


def nothing(_: Drill, __: Site) -> tuple[str, ...]:
    """An account as all others."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault of the table."""

    name: str
    needed: int
    strike: Strike
    configure: Configure = nothing
    before: Strike | None = None  # once the scene is there, before the jobs are
    projects: int = PROJECTS  # of each of the two jobs
    on_rabbit: bool = False


def _line(name: str, trouble: str, share: float) -> Row:
    line = Line(trouble, share)
    return Row(name=name, needed=2, strike=line, configure=line.configure)


KILLS = (
    Row(name="worker group: kill -9, restart after 0-5 s", needed=20, strike=crashes.kill_all),
    Row(name="SIGTERM, kill -9 after 0-10 s", needed=5, strike=crashes.terminate),
    Row(name="rolling restart of 2 workers", needed=5, strike=crashes.roll),
    Row(name="SIGSTOP longer than the lease, SIGCONT", needed=5, strike=crashes.freeze),
    *(
        Row(
            name=f"kill {point}",
            needed=2,
            strike=partial(crashes.die_at, point),
            before=crashes.one_worker if point is Point.BEFORE_DOORBELL else None,
            # A worker rings at the end of a slice, which may last some seconds.
            projects=4 * PROJECTS if point is Point.BEFORE_DOORBELL else PROJECTS,
        )
        for point in Point
    ),
)
BROKER = (
    Row(name="Redis: connections cut", needed=2, strike=surroundings.cut_connections),
    Row(
        name="Redis: kill -9",
        needed=2,
        strike=partial(surroundings.kill_redis, keeps=True),
    ),
    Row(name="Redis: FLUSHALL", needed=2, strike=surroundings.flush_redis),
    Row(
        name="Redis: kill -9, persistence off",
        needed=2,
        strike=partial(surroundings.kill_redis, keeps=False),
    ),
    Row(
        name="RabbitMQ: stopped and started",
        needed=2,
        strike=surroundings.restart_rabbit,
        on_rabbit=True,
    ),
)
DATABASE = (
    Row(name="PostgreSQL: backend killed", needed=2, strike=surroundings.kill_backend),
    *(Row(name=name, needed=2, strike=strike) for name, strike in surroundings.OUTAGES.items()),
)
TIME = (
    Row(
        name="messages doubled, dropped, reordered, delayed, unreadable, unknown",
        needed=5,
        strike=surroundings.disturb_messages,
    ),
    Row(name="no beat, and the doorbells lost", needed=2, strike=surroundings.no_beat),
    Row(name="two beats", needed=2, strike=surroundings.two_beats),
    Row(
        name="clock of a worker jumps 1 h",
        needed=2,
        strike=surroundings.worker_clock,
        before=surroundings.worker_under_clock,
    ),
    Row(
        name="clock of PostgreSQL jumps 1 h",
        needed=2,
        strike=surroundings.database_clock,
        before=surroundings.database_under_clock,
    ),
)
PROVIDER = (
    Row(name="answer lost after the effect, 30 %", needed=2, strike=providers.LOST),
    Row(name="500 after the effect, 30 %", needed=2, strike=providers.ERROR),
    Row(name="HTML, 10 %", needed=2, strike=providers.HTML),
    Row(name="slow past the deadline", needed=2, strike=providers.SLOW),
    _line("one byte a second", "drip", 0.1),
    Row(name="100 MB body", needed=2, strike=providers.HUGE),
    _line("gzip bomb", "bomb", 0.1),
    _line("reset in the TLS handshake", "reset", 0.5),
    Row(name="object visible 10 s after its delete", needed=2, strike=providers.GHOST),
    Row(
        name="tokens expired, then revoked",
        needed=2,
        strike=providers.tokens_end,
        configure=providers.with_tokens,
    ),
)
VERSIONS = (
    Row(
        name="worker of the previous commit beside this one, migration between",
        needed=1,
        strike=previous.migrate_and_mix,
        before=previous.only_the_old,
    ),
)
ROWS = (*KILLS, *BROKER, *DATABASE, *TIME, *PROVIDER, *VERSIONS)
BY_NAME = {row.name: row for row in ROWS}
