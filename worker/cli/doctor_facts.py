"""What the doctor looks at, gathered: every fact may be missing, and none of it raises."""

import asyncio
import resource
import socket
import stat
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from worker.bootstrap import Desk
from worker.cli.desk import SilentBell
from worker.cli.doctor_broker import broker_fault
from worker.config.accounts import Account, Config
from worker.config.accounts import load as load_config
from worker.config.settings import Settings
from worker.config.values import is_loopback
from worker.domain.errors import BulkdelError, CredentialsMissing, InvalidInput, Unreachable
from worker.ports import AccountRow, Who
from worker.providers.secrets import resolve
from worker.ratelimit.connection import connect
from worker.services.doctor import OVERDUE_AFTER, WORKER_SEEN_WITHIN, Check, Level
from worker.services.doctor_facts import (
    AccountFacts,
    DatabaseFacts,
    Facts,
    Fault,
    PolicyFacts,
    RedisFacts,
    SecretFacts,
    Seen,
)
from worker.standing import standings
from worker.store import presence
from worker.store.accounts import Accounts
from worker.store.certificate import first_ended
from worker.store.engine import Database, database_url, now, schema_revision
from worker.wiring import addresses, place_of

KNOCK_WITHIN = 2.0
BUSY = frozenset({"windows", "per_day"})
HANDED_IN = ("/run/secrets/", "/var/run/secrets/")
"""Where containers are handed their secrets: readable by all inside, and nobody else is inside."""


def gather(settings: Settings, address_files: Iterable[Path] = ()) -> Facts:
    """Everything the rules look at; `address_files` are those the settings come from."""
    config, config_fault = _config(settings)
    rows: dict[str, AccountRow] = {}
    seen: tuple[Seen, ...] = ()
    try:
        database, rows, seen = _database(settings)
    except BulkdelError as error:
        database = DatabaseFacts(fault=_fault(error))
    return Facts(
        config=str(settings.config),
        config_fault=config_fault,
        accounts=tuple(account_facts(a, rows.get(a.name)) for a in config.accounts.values()),
        policies=_policies(settings, config, database.fault is None and config_fault is None),
        database=database,
        redis=redis_facts(settings),
        broker_fault=broker_fault(settings),
        seen=seen,
        open_files=_open_files(),
        address_files=tuple(secret_facts(f"file:{path}") for path in address_files),
    )


def alive_here(settings: Settings, role: str) -> Check:
    """Whether a process of this role on this very machine was seen lately."""
    host = socket.gethostname()
    try:
        _, _, seen = _database(settings)
    except BulkdelError as error:
        return Check(name=role, level=Level.MISSING, text=error.what, fix=error.fix)
    if any(one.role == role and one.host == host for one in seen):
        return Check(name=role, level=Level.OK, text=f"seen on {host} in the last 30 s")
    return Check(
        name=role,
        level=Level.MISSING,
        text=f"none seen on {host} in the last 30 s",
        fix=f"start it (bulkdel {role}), or restart it: it says nothing any more",
    )


def account_facts(account: Account, row: AccountRow | None) -> AccountFacts:
    """An account as configured, with its secrets looked at."""
    unset = () if account.is_loopback else sorted(BUSY - account.limits.model_fields_set)
    return AccountFacts(
        name=account.name,
        place=place_of(account),
        secrets=tuple(secret_facts(reference) for reference in _references(account)),
        unset=tuple(unset),
        parked=row.parked_text or row.parked_code if row is not None else "",
    )


def secret_facts(reference: str) -> SecretFacts:
    """Whether a secret can be read here, and by whom else."""
    fault: Fault | None = None
    scheme, _, place = reference.partition(":")
    try:
        resolve(reference)
    except CredentialsMissing as error:
        fault = _fault(error)
    readable = False
    if scheme == "file" and fault is None and not place.startswith(HANDED_IN):
        mode = Path(place).expanduser().stat().st_mode
        readable = bool(mode & stat.S_IROTH)
    return SecretFacts(reference=reference, fault=fault, readable_by_all=readable)


def _references(account: Account) -> list[str]:
    if account.oauth is not None:
        oauth = account.oauth
        return [oauth.client_id, oauth.client_secret, oauth.refresh_token]
    return [account.token] if account.token is not None else []


def _config(settings: Settings) -> tuple[Config, Fault | None]:
    try:
        config = load_config(settings.config)
    except InvalidInput as error:
        return Config(path=settings.config), _fault(error)
    if config.found:
        return config, None
    missing = f"there is no file {settings.config.absolute()}"
    return config, Fault(what=missing, fix="bulkdel init writes one, or set BULKDEL_CONFIG")


def _database(
    settings: Settings,
) -> tuple[DatabaseFacts, dict[str, AccountRow], tuple[Seen, ...]]:
    database = Database(settings.database_url)
    try:
        _check_there(settings.database_url)
        database.check_schema()
        before = time.time()
        with database.read() as connection:
            at, revision = now(connection), schema_revision(connection)
            swept = presence.until(connection, presence.SWEEP)
            verified = presence.until(connection, presence.VERIFIED)
            ended = first_ended(connection)
        ours = datetime.fromtimestamp((before + time.time()) / 2, UTC)
        rows = {row.name: row for row in Accounts(database).all()}
        facts = DatabaseFacts(
            dialect=database.dialect,
            revision=revision or "",
            skew=at - ours,
            overdue=overdue(rows.values(), at),
            swept_ago=_ago(swept, at),
            ended_ago=_ago(ended, at),
            verified_ago=_ago(verified, at),
        )
        there = presence.alive(database, WORKER_SEEN_WITHIN)
        return facts, rows, tuple(Seen(role=one.role, host=_host(one.owner)) for one in there)
    finally:
        database.dispose()


def _check_there(url: str) -> None:
    """Looking must not make an empty database file."""
    read = database_url(url)
    if read.get_backend_name() == "sqlite" and not Path(read.database or "").exists():
        raise Unreachable(
            f"there is no database file {read.database}", fix="bulkdel up, or: bulkdel db upgrade"
        )


def overdue(rows: Iterable[AccountRow], at: datetime) -> tuple[str, ...]:
    """Accounts whose work is due for long, while nobody holds them."""
    return tuple(
        row.name
        for row in rows
        if row.next_wake_at is not None
        and row.next_wake_at < at - OVERDUE_AFTER
        and (row.lease_until is None or row.lease_until <= at)
        and not row.parked_code
    )


def _ago(then: datetime | None, at: datetime) -> timedelta | None:
    return None if then is None else max(at - then, timedelta(0))


def _policies(settings: Settings, config: Config, can_be_read: bool) -> tuple[PolicyFacts, ...]:
    """The policies; without a database their names alone."""
    if not can_be_read:
        return tuple(PolicyFacts(name=name) for name in config.policies)
    desk = Desk(settings=settings, who=Who(name="doctor"), bell=SilentBell())
    try:
        found = tuple(standings(desk))
    finally:
        desk.db.dispose()
    return tuple(PolicyFacts(name=one.policy.name, alarm=one.alarm) for one in found)


def _host(owner: str) -> str:
    """`worker@host:pid` names the host."""
    return owner.rpartition("@")[2].partition(":")[0]


def redis_facts(settings: Settings) -> RedisFacts:
    try:
        url = addresses(settings).redis
    except Unreachable as error:
        return RedisFacts(where="", fault=_fault(error))
    parts = urlsplit(url)
    is_socket = parts.scheme == "unix"
    where = parts.path if is_socket else parts.netloc.rpartition("@")[2]
    try:
        policy, persists, is_open = asyncio.run(_asked(url))
    except Exception as error:  # noqa: BLE001  whatever goes wrong: it cannot be asked, and that is the fact
        fault = Fault(
            what=f"{where} does not answer ({type(error).__name__})",
            fix="start it, or correct BULKDEL_REDIS_URL",
        )
        return RedisFacts(where=where, fault=fault)
    return RedisFacts(
        where=where,
        policy=policy,
        persists=persists,
        private=is_socket or (is_loopback(url) and not is_open),
        password=bool(parts.password),
    )


async def _asked(url: str) -> tuple[str | None, bool | None, bool]:
    """The eviction policy, whether it persists, and whether others can reach it.

    None is what it does not tell.
    """
    client = connect(url, timeout=timedelta(seconds=KNOCK_WITHIN))
    try:
        told = await client.info("memory")
        persistence = await client.info("persistence")
        try:
            names = ("save", "bind", "protected-mode")
            set_to = {name: (await client.config_get(name)).get(name) for name in names}
        except Exception:  # noqa: BLE001  services for rent forbid CONFIG, each in its own words
            set_to = {}
    finally:
        await client.aclose()
    saves: str | None = set_to.get("save")
    persists = True if persistence.get("aof_enabled") else None if saves is None else bool(saves)
    is_open = listens_to_all(set_to.get("bind"), set_to.get("protected-mode"))
    return told.get("maxmemory_policy"), persists, is_open


def listens_to_all(bind: str | None, protected: str | None) -> bool:
    """Whether a Redis without a password lets other machines in, whatever way we reach it.

    What it does not tell is not held against it.
    """
    places = [place.lstrip("-") for place in (bind or "").split()]
    mine = places and all(is_loopback(f"redis://{_in_url(place)}") for place in places)
    return protected == "no" and bind is not None and not mine


def _in_url(place: str) -> str:
    return f"[{place}]" if ":" in place else place


def _open_files() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _fault(error: BulkdelError) -> Fault:
    return Fault(what=error.what, fix=error.fix)
