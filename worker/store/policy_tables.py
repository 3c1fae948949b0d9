"""The tables of policies: how each is scheduled, and what became of each of its slots."""

from datetime import datetime

from sqlalchemy import String, Table
from sqlalchemy.orm import Mapped, mapped_column

from worker.store.base import Base


class PolicyRow(Base):
    """A policy as last seen; its slots are decided up to `through`."""

    __tablename__ = "policies"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    schedule: Mapped[str]
    timezone: Mapped[str]
    since: Mapped[datetime]
    through: Mapped[datetime]


class PolicySlotRow(Base):
    """One slot of a policy and what became of it: once, whoever was faster."""

    __tablename__ = "policy_slots"

    policy: Mapped[str] = mapped_column(String(63), primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
    ended: Mapped[str] = mapped_column(String(16))  # ports.SlotEnd
    job_id: Mapped[str | None] = mapped_column(String(32))
    why: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime]


POLICIES: Table = Base.metadata.tables["policies"]
POLICY_SLOTS: Table = Base.metadata.tables["policy_slots"]
