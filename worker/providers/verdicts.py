"""What an answer means: one table of (action, HTTP status, provider code), first match wins.

A provider's rows come first, most specific on top, then the rows all providers share, which leave
nothing out. What brought no answer stands in the same table under the status NO_ANSWER.

The order of the shared rows is an argument. An answer is the provider's own word only if it is a
200 or a 4xx and carries a code; anything else may come from a proxy on the way, so for a deletion
it proves nothing (ambiguous: look first) and for a read it is worth another try (unavailable).
That holds for a bare 404 too: without the provider's envelope nobody says that it was this id
which was looked for and not found, and taking it for `absent` would settle a living project.
"""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from itertools import chain

from worker.domain.calls import Action
from worker.domain.outcomes import Verdict

NO_ANSWER = 0
"""The status of a call without an answer; its code is one of the three below."""

NOT_SENT = "not_sent"
LOST = "lost"
UNSAFE = "unsafe"

NO_CODE = frozenset({""})
READS = frozenset({Action.LIST, Action.READ})
DELETES = frozenset({Action.DELETE})
OK = frozenset({200})
REFUSALS = range(400, 500)
OWN_WORD = OK | frozenset(REFUSALS)
LONGEST_WAIT = timedelta(days=1)
MANY_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; None matches everything.

    `kinds` are those of the call's target. `says` is searched for in the answer's message: for
    what a provider tells apart by words alone. `asked` are options, by name and value, of which
    the call carried one. `wait` is for answers that name no time themselves; `is_own_limit`
    marks a refusal that concerns no other account, whatever purse they share; `note` is put
    before the message, where it does not say what is to be done.
    """

    verdict: Verdict
    actions: Container[Action] | None = None
    statuses: Container[int] | None = None
    codes: Container[str] | None = None
    kinds: Container[str] | None = None
    says: re.Pattern[str] | None = None
    asked: frozenset[tuple[str, str]] | None = None
    wait: timedelta | None = None
    is_own_limit: bool = False
    note: str = ""

    def fits(self, action: Action, status: int, code: str, about: "About") -> bool:
        """Whether the row speaks of this answer."""
        return (
            (self.actions is None or action in self.actions)
            and (self.statuses is None or status in self.statuses)
            and (self.codes is None or code in self.codes)
            and (self.kinds is None or about.kind in self.kinds)
            and (self.says is None or self.says.search(about.said) is not None)
            and (self.asked is None or not self.asked.isdisjoint(about.asked))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What else tells answers apart: the target's kind, the answer's words, the call's options."""

    kind: str = ""
    said: str = ""
    asked: frozenset[tuple[str, str]] = frozenset()


NOTHING_ELSE = About()


_UNANSWERED = frozenset({NO_ANSWER})

REST = (
    Row(verdict=Verdict.AMBIGUOUS, actions=DELETES),
    Row(verdict=Verdict.UNAVAILABLE),
)
"""What nothing else speaks of: every 5xx, and whatever is neither 200 nor 4xx."""

SHARED_ROWS: tuple[Row, ...] = (
    Row(verdict=Verdict.NOT_SENT, statuses=_UNANSWERED, codes=frozenset({NOT_SENT})),
    Row(verdict=Verdict.INVALID, statuses=_UNANSWERED, codes=frozenset({UNSAFE})),
    Row(verdict=Verdict.INVALID, statuses=range(300, 400)),
    Row(verdict=Verdict.UNAUTHORISED, statuses=frozenset({401})),
    Row(verdict=Verdict.THROTTLED, statuses=frozenset({429})),
    Row(verdict=Verdict.AMBIGUOUS, actions=DELETES, codes=NO_CODE),
    Row(verdict=Verdict.UNAVAILABLE, codes=NO_CODE),
    Row(verdict=Verdict.REFUSED, statuses=OWN_WORD),
    *REST,
)


def row_of(
    rows: Iterable[Row], action: Action, status: int, code: str, about: About = NOTHING_ELSE
) -> Row:
    """The first row that fits; the shared rows follow the given ones, so there always is one."""
    every = chain(rows, SHARED_ROWS)
    return next(row for row in every if row.fits(action, status, code, about))


def classify(
    rows: Iterable[Row], action: Action, status: int, code: str, about: About = NOTHING_ELSE
) -> Verdict:
    """What an answer means, given the provider's rows; `code` is empty if it carried none."""
    return row_of(rows, action, status, code, about).verdict


def retry_after(header: str, now: float) -> timedelta | None:
    """How long a Retry-After header says to wait at `now` (POSIX seconds), at most a day.

    None for what says nothing: no header, zero, a time that has passed, rubbish.
    """
    text = header.strip()
    if re.fullmatch(r"[0-9]+", text, flags=re.ASCII):
        seconds = int(text) if len(text) <= MANY_DIGITS else LONGEST_WAIT.total_seconds()
    else:
        at = posix_of(text)
        if at is None:
            return None
        seconds = at - now
    longest = LONGEST_WAIT.total_seconds()
    return timedelta(seconds=min(seconds, longest)) if seconds > 0 else None


def posix_of(date: str) -> float | None:
    """An HTTP date in POSIX seconds; None if it is none."""
    try:
        at = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # An HTTP date is UTC, also where its zone is written as "-0000".
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
