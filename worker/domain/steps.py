"""How far an item is, what a call decided about it, and what a decision may know."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.domain.calls import Seen
from worker.domain.outcomes import Outcome
from worker.domain.states import ItemState


class Step(StrEnum):
    """The next call an item needs."""

    READ = "read"  # planning: read it back and find its children
    READY = "ready"  # planning is done with it; nothing to call before the plan is confirmed
    RECHECK = "recheck"  # look at its children once more, just before it goes
    DELETE = "delete"
    LOOK = "look"  # a deletion's answer was lost: is it still there?
    CHUNK = "chunk"  # goes with others in one bulk delete
    CANARY = "canary"  # the same, in the first and smallest of the job
    WITNESS = "witness"  # stays while the canary goes: read before it and after it
    PROVE = "prove"  # went with a chunk whose answer proves nothing: a listing has to show it


TOGETHER = frozenset({Step.CHUNK, Step.CANARY})
"""Steps whose call takes several items."""
DELETIONS = TOGETHER | {Step.DELETE}
"""Steps whose call deletes."""
READS = frozenset({Step.READ, Step.RECHECK, Step.WITNESS})
"""Steps that read an item before any deletion of it."""
MAY_BE_SPARED = (DELETIONS | READS) - {Step.READ}
"""Steps of a confirmed plan at which a rule may still spare an item."""
SENT = frozenset({Step.LOOK, Step.PROVE})
"""Steps of items that may be gone by a call of ours: nothing but a read can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an item is.

    `source` is the index of the read that comes next. Of an item that goes by chunks it is the
    most that may go together (0: as many as the account allows), and after a chunk of which the
    provider said that it is done, TAKEN.
    """

    step: Step
    source: int = 0
    attempts: int = 0  # deletions sent
    lost: int = 0  # of these, answers lost
    tries: int = 0  # calls in a row that did not answer
    looks: int = 0  # looks that could not tell
    takeovers: int = 0  # holders that died with the item's intent open


TAKEN = -1
"""The source of an item whose chunk was answered as done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The item ends here."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOn:
    """The item needs another call, `after` from now."""

    progress: Progress
    after: timedelta = timedelta(0)
    state: ItemState = ItemState.PENDING


Decision = Settle | GoOn


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a decision may know of an item besides its progress."""

    seen: Seen  # as the plan shows it
    known: frozenset[tuple[str, str]] = frozenset()  # (kind, id) of its planned children
    kinds: frozenset[str] = frozenset()  # child kinds that the plan covers
    sources: int = 1  # how many reads a READ or RECHECK takes
    touched: bool = False  # calls of ours went before that may have changed it
    recheck: bool = False  # it is read again just before its own delete
    stopping: bool = False  # its job is being cancelled
    can_look: bool = True  # False: no read shows it, as with the timer
    apart: bool = False  # it is looked for in a list of its own, below its project
    canary: bool = False  # it went with the job's first chunk: what is left of it waits
