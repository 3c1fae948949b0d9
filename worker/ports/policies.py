"""Policies as the database knows them: from when on, and what became of each slot."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from worker.domain.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """A policy as last seen. Every slot up to `through` has its row; none before `since` has."""

    name: str
    schedule: Schedule
    since: datetime
    through: datetime


class SlotEnd(StrEnum):
    """What became of a slot."""

    FIRED = "fired"  # it has its job
    MISSED = "missed"  # nothing ran for it, and nothing will


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRow:
    """A slot and what became of it; there is one row for each, whoever wrote it."""

    policy: str
    slot: datetime
    ended: SlotEnd
    at: datetime  # when it was decided
    job_id: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run of a policy: its job, and the slot it stands for; none if it was by hand."""

    job_id: str
    slot: datetime | None = None
