"""What the doctor says, fact by fact."""

from dataclasses import replace
from datetime import timedelta

import pytest

from worker.services.doctor import Check, Level, examine, exit_code
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

ACCOUNT = AccountFacts(name="acme", secrets=(SecretFacts(reference="file:/token"),))
NONE = timedelta(0)
WEEKS = timedelta(days=20)
DATABASE = DatabaseFacts(dialect="sqlite", revision="0002", skew=NONE, swept_ago=NONE)
REDIS = RedisFacts(where="the socket", policy="noeviction", persists=True, private=True)
WELL = Facts(
    config="bulkdel.toml",
    accounts=(ACCOUNT,),
    database=DATABASE,
    redis=REDIS,
    seen=(Seen(role="worker", host="one"),),
)
GONE = Fault(what="it is gone", fix="bring it back")


def not_ok(facts: Facts) -> list[Check]:
    return [check for check in examine(facts) if check.level is not Level.OK]


def test_all_well_is_exit_0() -> None:
    assert not_ok(WELL) == []
    assert exit_code(examine(WELL)) == 0


MISSING = {
    "config": replace(WELL, config_fault=GONE, accounts=()),
    "database": replace(WELL, database=DatabaseFacts(fault=GONE), seen=()),
    "redis": replace(WELL, redis=RedisFacts(where="", fault=GONE)),
    "broker": replace(WELL, broker_fault=GONE),
    "workers": replace(WELL, seen=()),
    "sweep": replace(WELL, database=replace(DATABASE, swept_ago=timedelta(minutes=2))),
    "beat": replace(WELL, policies=(PolicyFacts(name="p"),)),
    "policy p": replace(
        WELL,
        policies=(PolicyFacts(name="p", alarm="was due at 03:00, and did not run"),),
        seen=(*WELL.seen, Seen(role="beat", host="one")),
    ),
    "account acme": replace(WELL, accounts=(replace(ACCOUNT, parked="refused"),)),
    "secrets of acme": replace(
        WELL,
        accounts=(replace(ACCOUNT, secrets=(SecretFacts(reference="env:T", fault=GONE),)),),
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_not_there_is_exit_9_and_has_a_fix(name: str) -> None:
    found = not_ok(MISSING[name])

    assert [(check.name, check.level) for check in found] == [(name, Level.MISSING)]
    assert found[0].fix
    assert exit_code(found) == 9


TWO_HOSTS = (Seen(role="worker", host="one"), Seen(role="worker", host="two"))
UNSAFE = {
    "redis eviction": replace(WELL, redis=replace(REDIS, policy="allkeys-lru")),
    "redis persistence": replace(WELL, redis=replace(REDIS, persists=False)),
    "redis access": replace(WELL, redis=replace(REDIS, private=False)),
    "database": replace(WELL, seen=TWO_HOSTS),
    "open files": replace(WELL, open_files=256),
    "accounts": replace(
        WELL,
        accounts=(replace(ACCOUNT, place="there"), replace(ACCOUNT, name="acme2", place="there")),
    ),
    "address files": replace(
        WELL, address_files=(SecretFacts(reference="file:/url", readable_by_all=True),)
    ),
    "clock": replace(WELL, database=replace(DATABASE, skew=timedelta(seconds=-6))),
    "secrets of acme": replace(
        WELL,
        accounts=(
            replace(
                ACCOUNT,
                secrets=(SecretFacts(reference="file:/token", readable_by_all=True),),
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_may_do_harm_is_exit_5_and_has_a_fix(name: str) -> None:
    found = not_ok(UNSAFE[name])

    assert [(check.name, check.level) for check in found] == [(name, Level.UNSAFE)]
    assert found[0].fix
    assert exit_code(found) == 5


def test_what_redis_does_not_tell_counts_as_unsafe() -> None:
    facts = replace(WELL, redis=replace(REDIS, policy=None, persists=None))

    assert [check.name for check in not_ok(facts)] == ["redis eviction", "redis persistence"]


def test_unsafe_is_said_before_missing() -> None:
    facts = replace(UNSAFE["clock"], seen=())

    assert exit_code(examine(facts)) == 5


def test_a_password_makes_a_reachable_redis_safe() -> None:
    facts = replace(WELL, redis=replace(REDIS, private=False, password=True))

    assert not_ok(facts) == []


def test_postgresql_may_be_used_by_several_machines() -> None:
    facts = replace(WELL, seen=TWO_HOSTS, database=replace(DATABASE, dialect="postgresql"))

    assert not_ok(facts) == []


def test_several_policies_without_beat_are_counted() -> None:
    text = not_ok(replace(WELL, policies=(PolicyFacts(name="p"), PolicyFacts(name="q"))))[0].text

    assert "2 policies" in text


def test_a_file_without_accounts_is_not_enough() -> None:
    assert [check.name for check in not_ok(replace(WELL, accounts=()))] == ["config"]


NOTES = {
    "limits of acme": replace(WELL, accounts=(replace(ACCOUNT, unset=("windows",)),)),
    "audit log": replace(WELL, database=replace(DATABASE, ended_ago=WEEKS, verified_ago=WEEKS)),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_should_be_looked_at_one_day_has_a_fix_and_is_exit_0(name: str) -> None:
    found = not_ok(NOTES[name])

    assert [(check.name, check.level) for check in found] == [(name, Level.NOTE)]
    assert found[0].fix
    assert exit_code(found) == 0


def test_work_that_nobody_takes_is_a_sweep_that_does_not_happen() -> None:
    facts = replace(WELL, database=replace(DATABASE, overdue=("acme",)))

    assert [(check.name, check.level) for check in not_ok(facts)] == [("sweep", Level.MISSING)]


@pytest.mark.parametrize(
    "database",
    [
        replace(DATABASE, ended_ago=timedelta(days=1)),
        replace(DATABASE, ended_ago=WEEKS, verified_ago=timedelta(days=1)),
    ],
)
def test_young_or_verified_chains_are_no_news(database: DatabaseFacts) -> None:
    assert not_ok(replace(WELL, database=database)) == []
