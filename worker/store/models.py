"""The tables. States and words are stored by value; instants are aware UTC.

`accounts` holds the lease that lets one slice work an account at a time; `items` is the queue of
record; `audit_entries` only ever grows, one chain per job and one per account.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from worker.store.base import Base, BigId
from worker.store.guard_tables import APPROVALS, HOLDS
from worker.store.policy_tables import POLICIES, POLICY_SLOTS

__all__ = [
    "ACCOUNTS",
    "APPROVALS",
    "AUDIT",
    "HOLDS",
    "ITEMS",
    "JOBS",
    "POLICIES",
    "POLICY_SLOTS",
    "Base",
]


def _some(name: str, *columns: str) -> Index:
    """An index of the audit entries that have a value in the last of these columns."""
    there = text(f"{columns[-1]} is not null")
    return Index(name, *columns, "at", "id", postgresql_where=there, sqlite_where=there)


class AccountRow(Base):
    """One row per account: its lease, and when it wants to be worked next."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    lease_owner: Mapped[str] = mapped_column(server_default="")
    lease_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease_until: Mapped[datetime | None]
    next_wake_at: Mapped[datetime | None]
    bell: Mapped[int] = mapped_column(BigInteger, server_default="0")  # grows with every ring
    parked_code: Mapped[str] = mapped_column(server_default="")
    parked_text: Mapped[str] = mapped_column(server_default="")
    parked_at: Mapped[datetime | None]
    parked_secret: Mapped[str] = mapped_column(server_default="")  # digest of the refused secret


class JobRow(Base):
    """One submitted bulk request."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str | None] = mapped_column(String(200), unique=True)
    digest: Mapped[str] = mapped_column(server_default="")
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name"), index=True)
    provider: Mapped[str]
    place: Mapped[str] = mapped_column(server_default="")  # where the account led at submission
    action: Mapped[str]
    options: Mapped[str]  # JSON of ports.JobOptions
    dry_run: Mapped[bool] = mapped_column(server_default=false())
    state: Mapped[str] = mapped_column(String(32), index=True)
    waiting_code: Mapped[str] = mapped_column(server_default="")
    waiting_text: Mapped[str] = mapped_column(server_default="")
    waiting_since: Mapped[datetime | None]
    waiting_wake: Mapped[datetime | None]
    reason: Mapped[str]
    actor: Mapped[str]
    os_user: Mapped[str] = mapped_column(server_default="")
    host: Mapped[str] = mapped_column(server_default="")
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="5")
    parent_job_id: Mapped[str | None] = mapped_column(String(32))
    policy: Mapped[str | None] = mapped_column(String(63))
    created_at: Mapped[datetime]
    planned_at: Mapped[datetime | None]
    start_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stopping: Mapped[str] = mapped_column(server_default="")
    paused_from: Mapped[str] = mapped_column(server_default="")
    plan: Mapped[str] = mapped_column(server_default="{}")  # JSON of ports.PlanFacts
    bulk: Mapped[str] = mapped_column(server_default="{}")  # JSON of domain.bulk.Bulk
    canary_position: Mapped[int | None]
    list_cursor: Mapped[str] = mapped_column(server_default="")
    list_pages: Mapped[int] = mapped_column(server_default="0")
    list_tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    list_due_at: Mapped[datetime | None]
    list_token: Mapped[int] = mapped_column(BigInteger, server_default="0")  # intent of a page
    listed: Mapped[bool] = mapped_column(server_default=false())
    counting: Mapped[bool] = mapped_column(server_default=false())  # pages of all projects now
    account_projects: Mapped[int | None]  # all the account has, as far as counted
    canary_until: Mapped[datetime | None]  # the canary went well; the rest goes from here on
    tally: Mapped[str] = mapped_column(server_default="{}")  # JSON of domain.breakers.Tally
    stop_reason: Mapped[str] = mapped_column(server_default="")  # why it is being stopped
    knobs: Mapped[str] = mapped_column(server_default="{}")  # JSON of ports.Knobs

    __table_args__ = (
        # What an approval refers to, so that it cannot name another submitter.
        Index("uq_jobs_id_actor", "id", "actor", unique=True),
        Index(
            "ix_jobs_policy",
            "policy",
            "created_at",
            postgresql_where=text("policy is not null"),
            sqlite_where=text("policy is not null"),
        ),
    )


class ItemRow(Base):
    """One thing a job will delete."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    account: Mapped[str] = mapped_column(String(63))
    position: Mapped[int]  # of its project in the input
    rank: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # order of its kind
    kind: Mapped[str] = mapped_column(String(32))
    external_id: Mapped[str] = mapped_column(String(200))
    parent_external_id: Mapped[str] = mapped_column(String(200), server_default="")
    parent_item_id: Mapped[int | None] = mapped_column(BigId)
    goes_with_parent: Mapped[bool] = mapped_column(server_default=false())
    name: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str] = mapped_column(server_default="")
    created: Mapped[str] = mapped_column(server_default="")  # the provider's own text
    modified: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str] = mapped_column(String(16), server_default="pending")
    step: Mapped[str] = mapped_column(String(16), server_default="ready")
    source: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    lost: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    looks: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    takeovers: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    token: Mapped[int] = mapped_column(BigInteger, server_default="0")  # lease that sent it
    due_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]  # when its own read last showed it
    outcome: Mapped[str | None] = mapped_column(String(24))
    reason: Mapped[str] = mapped_column(server_default="")
    http_status: Mapped[int | None] = mapped_column(SmallInteger)
    provider_code: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        UniqueConstraint("job_id", "kind", "external_id", "parent_external_id"),
        Index(
            "ix_items_ready",
            "job_id",
            "position",
            "rank",
            "id",
            postgresql_where=text("state = 'pending'"),
            sqlite_where=text("state = 'pending'"),
        ),
        Index(
            "ix_items_due",
            "job_id",
            "due_at",
            postgresql_where=text("state in ('deferred', 'verifying')"),
            sqlite_where=text("state in ('deferred', 'verifying')"),
        ),
        Index(
            "ix_items_sent",
            "account",
            postgresql_where=text("state = 'sent'"),
            sqlite_where=text("state = 'sent'"),
        ),
        Index(
            "ix_items_open",
            "job_id",
            "state",
            postgresql_where=text("state <> 'settled'"),
            sqlite_where=text("state <> 'settled'"),
        ),
        Index(
            "ix_items_open_target",
            "account",
            "kind",
            "external_id",
            postgresql_where=text("state <> 'settled'"),
            sqlite_where=text("state <> 'settled'"),
        ),
        Index(
            "ix_items_parent",
            "parent_item_id",
            postgresql_where=text("parent_item_id is not null"),
            sqlite_where=text("parent_item_id is not null"),
        ),
    )


class AuditRow(Base):
    """One call or one decision; never changed. The fields as exported, and an id to page by."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    chain: Mapped[str] = mapped_column(String(80))
    seq: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[str | None] = mapped_column(String(32))
    item_id: Mapped[int | None] = mapped_column(BigInteger)
    account: Mapped[str] = mapped_column(String(63))
    provider: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str] = mapped_column(server_default="")
    external_id: Mapped[str] = mapped_column(server_default="")
    parent_external_id: Mapped[str] = mapped_column(server_default="")
    event: Mapped[str] = mapped_column(String(40))
    attempt: Mapped[int | None] = mapped_column(SmallInteger)
    verdict: Mapped[str] = mapped_column(server_default="")
    outcome: Mapped[str | None] = mapped_column(String(24))
    error_class: Mapped[str] = mapped_column(server_default="")
    http_status: Mapped[int | None] = mapped_column(SmallInteger)
    provider_code: Mapped[str] = mapped_column(server_default="")
    message: Mapped[str] = mapped_column(server_default="")
    request_id: Mapped[str] = mapped_column(server_default="")
    duration_ms: Mapped[int | None]
    actor: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[str] = mapped_column(server_default="{}")  # canonical JSON text
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))

    __table_args__ = (
        UniqueConstraint("chain", "seq"),
        # Each ends in the order in which entries are read, so that a page is a range of it.
        Index("ix_audit_entries_at", "at", "id"),
        Index("ix_audit_entries_account_at", "account", "at", "id"),
        Index("ix_audit_entries_external_id", "external_id", "at", "id"),
        Index("ix_audit_entries_actor", "actor", "at", "id"),
        Index("ix_audit_entries_kind", "kind", "at", "id"),
        _some("ix_audit_entries_job_id", "job_id"),
        _some("ix_audit_entries_item_id", "item_id"),
        _some("ix_audit_entries_outcome", "outcome"),
        _some("ix_audit_entries_job_id_outcome", "job_id", "outcome"),
        _some("ix_audit_entries_account_outcome", "account", "outcome"),
        Index(
            "ix_audit_entries_event",
            "event",
            "at",
            "id",
            postgresql_where=text("event <> 'call'"),
            sqlite_where=text("event <> 'call'"),
        ),
    )


class ChainHeadRow(Base):
    """The last entry of each chain; locked, in order of its name, before a chain grows."""

    __tablename__ = "chain_heads"

    chain: Mapped[str] = mapped_column(String(80), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))


class WorkerRow(Base):
    """A process that is or was there: seen lately means alive."""

    __tablename__ = "workers"

    owner: Mapped[str] = mapped_column(String(120), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))  # worker or beat
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    version: Mapped[str] = mapped_column(server_default="")


class LeaseRow(Base):
    """A named right that one process holds for a while, such as the sweep."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(server_default="")
    until: Mapped[datetime | None]


ACCOUNTS: Table = Base.metadata.tables["accounts"]
JOBS: Table = Base.metadata.tables["jobs"]
ITEMS: Table = Base.metadata.tables["items"]
AUDIT: Table = Base.metadata.tables["audit_entries"]
