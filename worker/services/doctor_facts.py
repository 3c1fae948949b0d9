"""What the doctor looks at, gathered elsewhere, and what it says of one thing of it."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that could not be had, and what helps."""

    what: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFacts:
    """One reference to a secret, looked at here; never the secret."""

    reference: str
    fault: Fault | None = None
    readable_by_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """One account of the configuration. `unset` are the limits that are assumed.

    `place` is where it leads: API and organisation.
    """

    name: str
    place: str = ""
    secrets: tuple[SecretFacts, ...] = ()
    unset: tuple[str, ...] = ()
    parked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """One policy; `alarm` says what is wrong with it, and is empty if nothing is."""

    name: str
    alarm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """The database; with a fault nothing else of it is known."""

    dialect: str = ""
    revision: str = ""
    fault: Fault | None = None
    skew: timedelta | None = None  # its clock minus ours
    overdue: tuple[str, ...] = ()  # accounts with work due for long, that nobody works
    swept_ago: timedelta | None = None  # since the last sweep; None: there was none yet
    ended_ago: timedelta | None = None  # since the first job ended
    verified_ago: timedelta | None = None  # since all chains were verified, and found sound


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """Redis; None is what it would not tell. `private`: a socket, or this machine alone."""

    where: str
    fault: Fault | None = None
    policy: str | None = None
    persists: bool | None = None
    private: bool = False
    password: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process seen lately."""

    role: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything the rules look at."""

    config: str
    config_fault: Fault | None = None
    accounts: tuple[AccountFacts, ...] = ()
    address_files: tuple[SecretFacts, ...] = ()  # those of BULKDEL_…_FILE
    policies: tuple[PolicyFacts, ...] = ()
    database: DatabaseFacts = field(default_factory=DatabaseFacts)
    redis: RedisFacts = RedisFacts(where="", fault=Fault(what="not looked at"))
    broker_fault: Fault | None = None
    seen: tuple[Seen, ...] = ()
    open_files: int | None = None  # that a process here may open

    @property
    def workers(self) -> tuple[Seen, ...]:
        """Those of the processes seen that work."""
        return tuple(seen for seen in self.seen if seen.role == "worker")


WORKER_SEEN_WITHIN = timedelta(seconds=30)


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"  # as it should be
    NOTE = "note"  # it works and is safe; somebody should look at it one day
    UNSAFE = "unsafe"  # it works, and may do harm
    MISSING = "missing"  # something is not there, so jobs do not run


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at; `fix` says what to do, and is empty if nothing is to be done."""

    name: str
    level: Level
    text: str
    fix: str = ""


def ok(name: str, text: str) -> Check:
    """A check that came out well."""
    return Check(name=name, level=Level.OK, text=text)


def missing(name: str, fault: Fault) -> Check:
    """A check of something that could not be had."""
    return Check(name=name, level=Level.MISSING, text=fault.what, fix=fault.fix)
