"""What is well, unsafe or missing on this machine: pure rules over facts gathered elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.services.doctor_facts import Facts, Fault, RedisFacts

WORKER_SEEN_WITHIN = timedelta(seconds=30)
OVERDUE_AFTER = timedelta(seconds=60)
SKEW_ALLOWED = timedelta(seconds=5)

UNSAFE_EXIT = 5
MISSING_EXIT = 9


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"  # as it should be
    UNSAFE = "unsafe"  # it works, and may do harm
    MISSING = "missing"  # something is not there, so jobs do not run


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at; `fix` says what to do, and is empty if nothing is to be done."""

    name: str
    level: Level
    text: str
    fix: str = ""


def examine(facts: Facts) -> list[Check]:
    """Every check that can be made with these facts, in the order in which to mend."""
    return [check for rule in _RULES for check in rule(facts)]


def exit_code(checks: Iterable[Check]) -> int:
    """0 all well, 5 something unsafe, 9 something not there; unsafe is said first."""
    levels = {check.level for check in checks}
    if Level.UNSAFE in levels:
        return UNSAFE_EXIT
    return MISSING_EXIT if Level.MISSING in levels else 0


def _config(facts: Facts) -> Iterator[Check]:
    if facts.config_fault is not None:
        yield _missing("config", facts.config_fault)
    elif not facts.accounts:
        yield Check(
            name="config",
            level=Level.MISSING,
            text=f"{facts.config} has no account",
            fix="bulkdel init writes one",
        )
    else:
        names = ", ".join(account.name for account in facts.accounts)
        yield _ok("config", f"{facts.config}: {names}")


def _secrets(facts: Facts) -> Iterator[Check]:
    for account in facts.accounts:
        name = f"secrets of {account.name}"
        faults = [secret.fault for secret in account.secrets if secret.fault is not None]
        yield from (_missing(name, fault) for fault in faults)
        for secret in account.secrets:
            if secret.readable_by_all:
                yield Check(
                    name=name,
                    level=Level.UNSAFE,
                    text=f"{secret.reference} can be read by everybody on this machine",
                    fix=f"chmod 600 {secret.reference.removeprefix('file:')}",
                )
        if not faults and not any(secret.readable_by_all for secret in account.secrets):
            yield _ok(name, "can be read here")


def _limits(facts: Facts) -> Iterator[Check]:
    for account in facts.accounts:
        if account.unset:
            yield Check(
                name=f"limits of {account.name}",
                level=Level.OK,
                text=f"assumed, as they are not set: {', '.join(account.unset)}",
                fix=f"look up what your plan allows, and set [accounts.{account.name}] limits",
            )


def _parked(facts: Facts) -> Iterator[Check]:
    for account in facts.accounts:
        if account.parked:
            yield Check(
                name=f"account {account.name}",
                level=Level.MISSING,
                text=f"parked: {account.parked}",
                fix=f"mend its credentials, then: bulkdel accounts check {account.name}",
            )


def _database(facts: Facts) -> Iterator[Check]:
    database = facts.database
    if database.fault is not None:
        yield _missing("database", database.fault)
        return
    yield _ok("database", f"{database.dialect}, at {database.revision}")
    hosts = sorted({seen.host for seen in facts.seen})
    if database.dialect == "sqlite" and len(hosts) > 1:
        yield Check(
            name="database",
            level=Level.UNSAFE,
            text=f"SQLite is used by several machines: {', '.join(hosts)}",
            fix="use PostgreSQL (BULKDEL_DATABASE_URL), or run workers on one machine only",
        )


def _clock(facts: Facts) -> Iterator[Check]:
    skew = facts.database.skew
    if skew is None:
        return
    if abs(skew) > SKEW_ALLOWED:
        yield Check(
            name="clock",
            level=Level.UNSAFE,
            text=f"this machine's clock is {abs(skew).total_seconds():.0f} s away from "
            "the database's",
            fix="let both follow a time server",
        )
    else:
        yield _ok("clock", "agrees with the database's")


def _redis(facts: Facts) -> Iterator[Check]:
    redis = facts.redis
    if redis.fault is not None:
        yield _missing("redis", redis.fault)
        return
    yield _ok("redis", f"{redis.where} answers")
    yield _eviction(redis)
    yield _persistence(redis)
    if redis.private or redis.password:
        yield _ok("redis access", "this machine alone" if redis.private else "by password")
    else:
        yield Check(
            name="redis access",
            level=Level.UNSAFE,
            text="other machines can reach it, and there is no password",
            fix="set requirepass (or an ACL), and put the password into BULKDEL_REDIS_URL",
        )


def _eviction(redis: RedisFacts) -> Check:
    if redis.policy == "noeviction":
        return _ok("redis eviction", "noeviction")
    return Check(
        name="redis eviction",
        level=Level.UNSAFE,
        text=f"the policy is {redis.policy or 'not told'}: limits and messages can be thrown away",
        fix="set maxmemory-policy noeviction",
    )


def _persistence(redis: RedisFacts) -> Check:
    if redis.persists:
        return _ok("redis persistence", "on")
    why = "is off" if redis.persists is False else "is not told"
    return Check(
        name="redis persistence",
        level=Level.UNSAFE,
        text=f"{why}: after a restart limits are counted anew from the database",
        fix="set appendonly yes (or save)",
    )


def _broker(facts: Facts) -> Iterator[Check]:
    if facts.broker_fault is not None:
        yield _missing("broker", facts.broker_fault)


def _workers(facts: Facts) -> Iterator[Check]:
    if facts.database.fault is not None:
        return
    workers = [seen for seen in facts.seen if seen.role == "worker"]
    if workers:
        hosts = ", ".join(sorted({seen.host for seen in workers}))
        yield _ok("workers", f"{len(workers)} seen in the last 30 s ({hosts})")
    else:
        yield Check(
            name="workers",
            level=Level.MISSING,
            text="none seen in the last 30 s",
            fix="bulkdel up (one machine), or bulkdel worker",
        )


def _sweep(facts: Facts) -> Iterator[Check]:
    if facts.database.overdue:
        yield Check(
            name="sweep",
            level=Level.MISSING,
            text=f"work is due for over a minute, and nobody takes it: "
            f"{', '.join(facts.database.overdue)}",
            fix="start a worker (bulkdel worker), or restart those there are",
        )
    elif facts.database.fault is None:
        yield _ok("sweep", "no work is overdue")


def _beat(facts: Facts) -> Iterator[Check]:
    if facts.database.fault is not None or not facts.policies:
        return
    if any(seen.role == "beat" for seen in facts.seen):
        yield _ok("beat", "seen in the last 30 s")
    else:
        yield Check(
            name="beat",
            level=Level.MISSING,
            text=f"not seen in the last 30 s: {_many(facts.policies, 'policy')} will not run",
            fix="bulkdel up (one machine), or bulkdel beat",
        )


_RULES: Sequence[Callable[[Facts], Iterator[Check]]] = (
    _config,
    _secrets,
    _limits,
    _parked,
    _database,
    _clock,
    _redis,
    _broker,
    _workers,
    _sweep,
    _beat,
)


def _ok(name: str, text: str) -> Check:
    return Check(name=name, level=Level.OK, text=text)


def _missing(name: str, fault: Fault) -> Check:
    return Check(name=name, level=Level.MISSING, text=fault.what, fix=fault.fix)


def _many(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one.removesuffix('y')}ies"
