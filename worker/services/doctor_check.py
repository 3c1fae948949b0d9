"""What the doctor says of one thing it looked at."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.services.doctor_facts import Fault

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
