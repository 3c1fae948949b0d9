"""Whether a job goes by chunks, and whether the provider's bulk delete may be trusted with it.

The first chunk is a canary of two. Both have to be gone by a read of their own, and a neighbour
on either side, which the call did not name, has to be there before and after.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from worker.domain.backwards import Backwards
from worker.domain.outcomes import Outcome
from worker.domain.repeats import Trail
from worker.domain.states import ItemState
from worker.domain.steps import TAKEN, Step

PAIR = 2
"""Projects in the first chunk."""
LEAST = 2 * PAIR
"""Projects it takes to try: the pair and a neighbour on either side."""
TRIES = 5
"""First chunks that may tell nothing (refused for their content, answers lost) in a row."""
GOLDEN = 0.618
"""Where in the plan a canary is taken: never the same place twice, and seldom a round one."""


class Stage(StrEnum):
    """How far a job is with its chunks."""

    NONE = ""  # it goes one by one
    CANARY = "canary"  # the first chunk has to go well
    ON = "on"  # the rest goes by chunks
    PROOF = "proof"  # a listing is read: what it still shows is not gone
    PROVEN = "proven"  # the listing is through: what it did not show is gone
    REFRESH = "refresh"  # before anything goes (on), the listing is compared with an old plan
    OFF = "off"  # the bulk delete is not to be had: one by one, under a new plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """Where a job stands with its chunks; kept with it (JSON by field name).

    `canary` and `witnesses` are item ids. With a `refusal` no chunk goes any more: the job is
    planned anew once it is known what the chunks so far came to.
    """

    stage: Stage = Stage.NONE
    canary: tuple[int, ...] = ()
    witnesses: tuple[int, ...] = ()
    tries: int = 0
    reading: Backwards | None = None
    refusal: str = ""
    compared_at: datetime | None = None  # when the comparison of listing and plan last began
    went_on_at: datetime | None = None  # when the job last went on after a pause
    cursor: str = ""  # of the page that is compared next
    then: Stage = Stage.NONE  # where it goes on after that
    is_refused: bool = False  # the listing that proves: each project is read instead
    trail: Trail = field(default_factory=Trail)  # of a listing read forwards, the plan's too

    def anew(self, stage: Stage, refusal: str = "") -> Self:
        """At this stage with nothing of the one before, but when it compared and went on."""
        return type(self)(
            stage=stage,
            refusal=refusal,
            compared_at=self.compared_at,
            went_on_at=self.went_on_at,
        )

    @property
    def is_in_use(self) -> bool:
        """Whether the job goes by chunks, or is about to."""
        return self.stage not in {Stage.NONE, Stage.REFRESH, Stage.OFF}

    @property
    def reads_pages(self) -> bool:
        """Whether nothing but pages of the listing is called for."""
        return self.stage in {Stage.PROOF, Stage.REFRESH}

    @property
    def may_go(self) -> bool:
        """Whether chunks may leave now, the canary aside."""
        return self.stage is Stage.ON and not self.refusal


ONE_BY_ONE = Bulk()


class Advice(StrEnum):
    """What the canary says."""

    WAIT = "wait"  # calls are under way
    CHOOSE = "choose"  # take a pair, and their neighbours
    SEND = "send"  # the neighbours are there: the canary may go
    READ_AGAIN = "read_again"  # the canary is answered: are the neighbours still there?
    FINISH = "finish"  # one of the pair is gone: the other goes by itself, to say why it stayed
    TRUST = "trust"
    TURN_BACK = "turn_back"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An item of the canary, or a neighbour of it."""

    id: int
    step: Step
    state: ItemState
    source: int
    attempts: int = 0
    outcome: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has no outcome yet."""
        return self.outcome is None

    @property
    def went_together(self) -> bool:
        """Whether a read showed it gone by the bulk delete."""
        looked_up = self.step is Step.LOOK and self.attempts == 1
        return self.outcome is Outcome.DELETED and looked_up

    @property
    def was_lost_sight_of(self) -> bool:
        """Whether a neighbour that was there before could not be read after."""
        was_there = self.step is Step.WITNESS and self.source == 1 and not self.is_open
        return was_there and self.outcome is not Outcome.SKIPPED_CHANGED


NOT_GONE = "the provider says that its bulk delete is done, and nothing is gone"
PARTLY = "the bulk delete left a project that a single delete took"
NEVER = "no first chunk told anything: refused for their content, or answers lost"
TOO_MUCH = "a project is gone that the bulk delete did not name"


def advise(bulk: Bulk, canary: Sequence[Probe], witnesses: Sequence[Probe]) -> tuple[Advice, str]:
    """What to do next in the stage CANARY, and why."""
    if not canary:
        return Advice.CHOOSE, ""
    unread = [w for w in witnesses if w.step is Step.WITNESS and w.is_open]
    unsent = [c for c in canary if c.step is Step.CANARY and c.is_open]
    if any(w.state is not ItemState.BLOCKED for w in unread):
        return Advice.WAIT, ""
    if unsent:
        if any(c.state is not ItemState.BLOCKED for c in unsent):
            return Advice.WAIT, ""
        return (Advice.SEND, "") if unread and len(unsent) == PAIR else _once_more(bulk)
    if unread:
        return Advice.READ_AGAIN, ""
    if any(w.outcome is Outcome.DELETED and w.step is Step.WITNESS for w in witnesses):
        return Advice.PAUSE, TOO_MUCH
    return _judge(bulk, canary, all_there=not any(w.was_lost_sight_of for w in witnesses))


def _judge(bulk: Bulk, canary: Sequence[Probe], *, all_there: bool) -> tuple[Advice, str]:
    """The canary is answered, and no neighbour is gone; whether all were read again."""
    gone = [c for c in canary if c.went_together]
    stayed = [c for c in canary if c.is_open and c.state is ItemState.BLOCKED]
    if any(c.is_open and c not in stayed for c in canary):
        return Advice.WAIT, ""
    if stayed:
        return (Advice.FINISH, "") if gone else (Advice.TURN_BACK, NOT_GONE)
    if any(c.outcome is Outcome.DELETED and c.source == TAKEN and c not in gone for c in canary):
        return Advice.TURN_BACK, PARTLY
    return (Advice.TRUST, "") if gone and all_there else _once_more(bulk)


def _once_more(bulk: Bulk) -> tuple[Advice, str]:
    return (Advice.TURN_BACK, NEVER) if bulk.tries >= TRIES else (Advice.CHOOSE, "")


def place_of(tries: int, count: int) -> int:
    """Where among `count` projects, from 0, the next canary and its neighbours begin."""
    return int(GOLDEN * (tries + 1) % 1 * (count - LEAST + 1))


def calls_of(count: int, *, size: int, pages: int, page_size: int) -> dict[str, int]:
    """The calls by endpoint that `count` projects take by chunks, in an account of `pages`.

    Two single reads of the canary, four of its neighbours; what else is gone is proven by the
    pages that are left then, or by a read each where that is less.
    """
    rest = max(count - PAIR, 0)
    left = max(pages - count // page_size, 1)
    seek = 2 * left.bit_length() - 1 if left > 1 else 0
    reads, lists = 3 * PAIR, left + seek
    if proven_by_reads(rest, pages):
        reads, lists = reads + rest, 0
    calls = {"DELETE projects": 1 + -(-rest // size), "GET project": reads, "GET projects": lists}
    return {endpoint: number for endpoint, number in calls.items() if number}


def assumed_pages(read: int, count: int, *, is_whole: bool) -> int:
    """How long the listing is taken to be, of which planning read so many pages.

    Where planning stopped early, as it had found all it looked for, nobody knows: a listing much
    longer than this is given up, and each of the `count` projects is read instead.
    """
    return read if is_whole else read + count // 4


def is_too_long(reading: Backwards | None, unproven: int) -> bool:
    """Whether a listing turned out to have more pages than there are projects to prove."""
    return reading is not None and not reading.goes_down and reading.low > unproven


def proven_by_reads(count: int, pages: int) -> bool:
    """Whether a read each is no dearer than the listing, as long as planning found it."""
    return count <= pages


def groups(sources: Iterable[int], size: int) -> list[int]:
    """How many of the items in order go together, by the most each of them may go with."""
    found: list[int] = []
    here, most = 0, size
    for source in sources:
        own = min(source, size) if source > 0 else size
        if here and here + 1 > min(most, own):
            found.append(here)
            here, most = 0, size
        here, most = here + 1, min(most, own)
    return [*found, here] if here else found
