"""What is well, unsafe or missing on this machine: pure rules over facts gathered elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from worker.services.doctor_facts import (
    WORKER_SEEN_WITHIN,
    Check,
    Facts,
    Level,
    RedisFacts,
    SecretFacts,
    missing,
    ok,
)
from worker.services.doctor_upkeep import OVERDUE_AFTER, chains, files, sweep

__all__ = ["OVERDUE_AFTER", "WORKER_SEEN_WITHIN", "Check", "Level", "examine", "exit_code"]

SKEW_ALLOWED = timedelta(seconds=5)

UNSAFE_EXIT = 5
MISSING_EXIT = 9


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
        yield missing("config", facts.config_fault)
    elif not facts.accounts:
        yield Check(
            name="config",
            level=Level.MISSING,
            text=f"{facts.config} has no account",
            fix="bulkdel init writes one",
        )
    else:
        names = ", ".join(account.name for account in facts.accounts)
        yield ok("config", f"{facts.config}: {names}")


def _secrets(facts: Facts) -> Iterator[Check]:
    for account in facts.accounts:
        yield from _readable(f"secrets of {account.name}", account.secrets)
    if facts.address_files:
        yield from _readable("address files", facts.address_files)


def _readable(name: str, secrets: Sequence[SecretFacts]) -> Iterator[Check]:
    faults = [secret.fault for secret in secrets if secret.fault is not None]
    yield from (missing(name, fault) for fault in faults)
    loose = [secret.reference for secret in secrets if secret.readable_by_all]
    for reference in loose:
        yield Check(
            name=name,
            level=Level.UNSAFE,
            text=f"{reference} can be read by everybody on this machine",
            fix=f"chmod 600 {reference.removeprefix('file:')}",
        )
    if not faults and not loose:
        yield ok(name, "can be read here")


def _limits(facts: Facts) -> Iterator[Check]:
    for account in facts.accounts:
        if account.unset:
            yield Check(
                name=f"limits of {account.name}",
                level=Level.NOTE,
                text=f"assumed, as they are not set: {', '.join(account.unset)}",
                fix=f"look up what your plan allows, and set [accounts.{account.name}] limits",
            )


def _places(facts: Facts) -> Iterator[Check]:
    """Accounts that are one to their provider: each knows of its own calls and holds alone."""
    by_place: dict[str, list[str]] = {}
    for account in facts.accounts:
        by_place.setdefault(account.place or account.name, []).append(account.name)
    for names in by_place.values():
        if len(names) > 1:
            yield Check(
                name="accounts",
                level=Level.UNSAFE,
                text=f"{' and '.join(names)} lead to the same place: limits, holds and "
                "protections of one are not known to the other",
                fix="keep one of them, and cancel the jobs of the others",
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
        yield missing("database", database.fault)
        return
    yield ok("database", f"{database.dialect}, at {database.revision}")
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
        yield ok("clock", "agrees with the database's")


def _redis(facts: Facts) -> Iterator[Check]:
    redis = facts.redis
    if redis.fault is not None:
        yield missing("redis", redis.fault)
        return
    yield ok("redis", f"{redis.where} answers")
    yield _eviction(redis)
    yield _persistence(redis)
    if redis.private or redis.password:
        yield ok("redis access", "this machine alone" if redis.private else "by password")
    else:
        yield Check(
            name="redis access",
            level=Level.UNSAFE,
            text="other machines can reach it, and there is no password",
            fix="set requirepass (or an ACL), and put the password into BULKDEL_REDIS_URL",
        )


def _eviction(redis: RedisFacts) -> Check:
    if redis.policy == "noeviction":
        return ok("redis eviction", "noeviction")
    return Check(
        name="redis eviction",
        level=Level.UNSAFE,
        text=f"the policy is {redis.policy or 'not told'}: limits and messages can be thrown away",
        fix="set maxmemory-policy noeviction",
    )


def _persistence(redis: RedisFacts) -> Check:
    if redis.persists:
        return ok("redis persistence", "on")
    why = "is off" if redis.persists is False else "is not told"
    return Check(
        name="redis persistence",
        level=Level.UNSAFE,
        text=f"{why}: after a restart limits are counted anew from the database",
        fix="set appendonly yes (or save)",
    )


def _broker(facts: Facts) -> Iterator[Check]:
    if facts.broker_fault is not None:
        yield missing("broker", facts.broker_fault)


def _workers(facts: Facts) -> Iterator[Check]:
    if facts.database.fault is not None:
        return
    if facts.workers:
        hosts = ", ".join(sorted({seen.host for seen in facts.workers}))
        yield ok("workers", f"{len(facts.workers)} seen in the last 30 s ({hosts})")
    else:
        yield Check(
            name="workers",
            level=Level.MISSING,
            text="none seen in the last 30 s",
            fix="bulkdel up (one machine), or bulkdel worker",
        )


def _beat(facts: Facts) -> Iterator[Check]:
    if facts.database.fault is not None or not facts.policies:
        return
    if any(seen.role == "beat" for seen in facts.seen):
        yield ok("beat", "seen in the last 30 s")
    else:
        yield Check(
            name="beat",
            level=Level.MISSING,
            text=f"not seen in the last 30 s: {_many(len(facts.policies), 'policy')} will not run",
            fix="bulkdel up (one machine), or bulkdel beat",
        )


def _policies(facts: Facts) -> Iterator[Check]:
    for policy in facts.policies:
        if policy.alarm:
            yield Check(
                name=f"policy {policy.name}",
                level=Level.MISSING,
                text=policy.alarm,
                fix="bulkdel policies shows it; what is due now: "
                f"bulkdel policy run {policy.name}",
            )
        elif facts.database.fault is None:
            yield ok(f"policy {policy.name}", "has run when it was due")


_RULES: Sequence[Callable[[Facts], Iterator[Check]]] = (
    _config,
    _secrets,
    _limits,
    _places,
    _parked,
    _database,
    _clock,
    _redis,
    _broker,
    _workers,
    sweep,
    _beat,
    _policies,
    files,
    chains,
)


def _many(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one.removesuffix('y')}ies"
