"""The tables of guards that people set: holds, and approvals by a second person."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from worker.store.base import Base, BigId


class HoldRow(Base):
    """One object that nobody may delete for a while; never deleted, only removed or expired."""

    __tablename__ = "holds"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account: Mapped[str] = mapped_column(String(63))
    external_id: Mapped[str] = mapped_column(String(200))
    owner: Mapped[str]  # whose hold it is: who is to be asked
    reason: Mapped[str]
    actor: Mapped[str]  # who set it
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    removed_by: Mapped[str] = mapped_column(server_default="")

    __table_args__ = (
        Index(
            "ix_holds_live",
            "account",
            "external_id",
            postgresql_where=text("removed_at is null"),
            sqlite_where=text("removed_at is null"),
        ),
    )


SECOND_PERSON = (
    "decision = '' or (lower(trim(approver)) <> lower(trim(submitter))"
    " and lower(trim(approver)) <> lower(trim(confirmer)) and trim(approver) <> '')"
)
"""Who decides is neither who submitted the job nor who gave its word: by name, as claimed."""


class ApprovalRow(Base):
    """A confirmed job that a second person has to agree to, and what they said."""

    __tablename__ = "approvals"

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    submitter: Mapped[str]  # the job's actor: the foreign key sees to it
    confirmer: Mapped[str]  # who gave its word
    plan_hash: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    decision: Mapped[str] = mapped_column(String(16), server_default="")  # approved, rejected
    approver: Mapped[str] = mapped_column(server_default="")
    os_user: Mapped[str] = mapped_column(server_default="")
    host: Mapped[str] = mapped_column(server_default="")
    why: Mapped[str] = mapped_column(server_default="")
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(["job_id", "submitter"], ["jobs.id", "jobs.actor"]),
        CheckConstraint(SECOND_PERSON, name="second_person"),
        CheckConstraint("decision in ('', 'approved', 'rejected')", name="decision"),
    )


HOLDS: Table = Base.metadata.tables["holds"]
APPROVALS: Table = Base.metadata.tables["approvals"]
