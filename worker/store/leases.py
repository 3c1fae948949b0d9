"""The lease of an account: taken in one step, given back with what its jobs wait for."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Interval, bindparam, case, func, literal, select, update

from worker.domain.states import ACTIVE, Waiting
from worker.ports import AccountRow, Job, Lease, WaitingOn
from worker.store.accounts import account_of
from worker.store.engine import now as db_now
from worker.store.models import ACCOUNTS, ITEMS, JOBS
from worker.store.rows import waiting_columns

IN_HAND = JOBS.c.state.in_([state.value for state in ACTIVE]) | (JOBS.c.stopping != "")
"""Jobs that a worker works."""


def is_in_hand(job: Job) -> bool:
    """The same of a job that was read."""
    return job.state in ACTIVE or bool(job.stopping)


EARLY = timedelta(seconds=5)
"""An account may be taken so long before it is due, as clocks differ; rings that come earlier are
echoes of the sweep's: a slice for each would find nothing to do."""
_MINE = ACCOUNTS.c.name == bindparam("b_account")
_TIME = ACCOUNTS.c.lease_until.type
_AT = bindparam("b_now", type_=_TIME)
_TAKE = (
    update(ACCOUNTS)
    .where(
        _MINE,
        ACCOUNTS.c.lease_until.is_(None) | (ACCOUNTS.c.lease_until <= _AT),
        ACCOUNTS.c.next_wake_at.is_(None)
        | (ACCOUNTS.c.next_wake_at <= bindparam("b_early", type_=_TIME)),
    )
    .values(
        lease_owner=bindparam("b_owner"),
        lease_token=ACCOUNTS.c.lease_token + 1,
        lease_until=bindparam("b_until", type_=_TIME),
        next_wake_at=_AT,  # due at once, should this holder die
    )
    .returning(ACCOUNTS)
)
_PG_AT = func.clock_timestamp()
_PG_TAKE = (
    update(ACCOUNTS)
    .where(
        _MINE,
        ACCOUNTS.c.lease_until.is_(None) | (ACCOUNTS.c.lease_until <= _PG_AT),
        ACCOUNTS.c.next_wake_at.is_(None)
        | (ACCOUNTS.c.next_wake_at <= _PG_AT + literal(EARLY, Interval())),
    )
    .values(
        lease_owner=bindparam("b_owner"),
        lease_token=ACCOUNTS.c.lease_token + 1,
        lease_until=_PG_AT + bindparam("b_length", type_=Interval()),
        next_wake_at=_PG_AT,
    )
    .returning(ACCOUNTS)
)
_HELD = (
    select(ACCOUNTS.c.bell)
    .where(
        _MINE,
        ACCOUNTS.c.lease_token == bindparam("b_token"),
        ACCOUNTS.c.lease_owner == bindparam("b_owner"),
    )
    .with_for_update(key_share=True)
)
_GIVE = (
    update(ACCOUNTS)
    .where(_MINE)
    .values(lease_owner="", lease_until=None, next_wake_at=bindparam("b_wake"))
)
_SAID = bindparam("b_waiting_code", type_=JOBS.c.waiting_code.type)
_SINCE = bindparam("b_waiting_since", type_=JOBS.c.waiting_since.type)
_WAITS = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("b_id"), IN_HAND)  # a person may have paused it meanwhile
    .values(
        waiting_code=_SAID,
        waiting_text=bindparam("b_waiting_text"),
        waiting_wake=bindparam("b_waiting_wake"),
        waiting_since=case((JOBS.c.waiting_code == _SAID, JOBS.c.waiting_since), else_=_SINCE),
    )
)


def take(
    conn: Connection, account: str, owner: str, length: timedelta
) -> tuple[Lease, AccountRow] | None:
    """Lock the account and take its lease; None if it is not due, or somebody holds it."""
    given = {"b_account": account, "b_owner": owner}
    # One round trip where it counts; on SQLite asking for the time costs none.
    if conn.dialect.name == "postgresql":
        row = conn.execute(_PG_TAKE, {**given, "b_length": length}).one_or_none()
    else:
        now = db_now(conn)
        times = {"b_now": now, "b_early": now + EARLY, "b_until": now + length}
        row = conn.execute(_TAKE, {**given, **times}).one_or_none()
    if row is None:
        return None
    lease = Lease(
        account=account,
        owner=owner,
        token=row.lease_token,
        until=row.lease_until,
        now=row.next_wake_at,
        bell=row.bell,
    )
    return lease, account_of(row)


def heard(conn: Connection, lease: Lease) -> int | None:
    """Lock the account: the rings so far, or None if the lease is somebody else's by now."""
    mine = {"b_account": lease.account, "b_token": lease.token, "b_owner": lease.owner}
    return conn.execute(_HELD, mine).scalar()


def give(conn: Connection, account: str, wake: datetime | None) -> None:
    """Let go of a lease that was found to be held, until the account is due again."""
    conn.execute(_GIVE, {"b_account": account, "b_wake": wake})


def say_waiting(conn: Connection, job_id: str, waiting: WaitingOn, now: datetime) -> None:
    """Write what a job waits for; `since` stays while the reason stays."""
    values = {f"b_{name}": value for name, value in waiting_columns(waiting).items()}
    if waiting.code is Waiting.DEPENDENCY:
        look = select(func.min(ITEMS.c.due_at)).where(ITEMS.c.job_id == job_id)
        values["b_waiting_wake"] = conn.execute(look).scalar()
    conn.execute(_WAITS, {**values, "b_id": job_id, "b_waiting_since": now})
