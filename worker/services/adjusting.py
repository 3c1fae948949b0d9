"""What of a job may be set anew while it waits or runs: priority, hours, and shares."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from worker.domain.errors import InvalidInput, Refused
from worker.domain.hours import Hours
from worker.domain.states import FINAL
from worker.ports import Job, Knobs, Note
from worker.services.control import how_it_stands

ALWAYS = "always"
CONFIGURED = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person wants to set, in the words given; None is left as it is.

    `always` takes hours away, `default` a share: the account's own holds again.
    """

    priority: int | None = None
    hours: str | None = None
    rate_share: str | None = None
    day_share: str | None = None


def adjust(*, actor: str, wanted: Wanted) -> Callable[[Job, datetime], Note | None]:
    """Set a job's priority, the hours in which it may delete, or its shares of the limits.

    Raises InvalidInput for what cannot be, Refused for a job that is final or being stopped.
    """
    if wanted == Wanted():
        fix = "--priority 0-9, --hours HOURS, --rate-share SHARE, --day-share SHARE"
        raise InvalidInput("there is nothing to set", fix=fix)
    priority = wanted.priority
    if priority is not None and not 0 <= priority <= 9:  # noqa: PLR2004  the published range
        raise InvalidInput("a priority is 0 to 9", fix="9 goes first, 5 is the default")
    knobs = _knobs(wanted)

    def decide(job: Job, at: datetime) -> Note | None:  # noqa: ARG001  a decision is given the time
        if job.state in FINAL or job.stopping:
            stands = f"being stopped ({job.stopping})" if job.stopping else job.state
            raise Refused(
                f"job {job.id} is {stands}: nothing of it can be set any more",
                fix=how_it_stands(job),
            )
        columns: dict[str, object] = {}
        said = []
        if priority is not None and priority != job.priority:
            columns["priority"] = priority
            said.append(f"priority {job.priority} to {priority}")
        before = asdict(job.knobs)
        changed = {name: value for name, value in knobs.items() if value != before[name]}
        if changed:
            columns["knobs"] = json.dumps(before | changed)
            said += [
                f"{_NAMES[name]} {_told(name, before[name])} to {_told(name, value)}"
                for name, value in changed.items()
            ]
        if not columns:
            return None
        return Note(actor=actor, why=f"set {', '.join(said)}", columns=columns)

    return decide


_NAMES = {field.name: field.name.replace("_", " ") for field in fields(Knobs)}


def _knobs(wanted: Wanted) -> dict[str, object]:
    """The knobs to be set, by their names."""
    given: dict[str, object] = {}
    if wanted.hours is not None:
        given["hours"] = _hours(wanted.hours)
    if wanted.rate_share is not None:
        given["rate_share"] = _share(wanted.rate_share)
    if wanted.day_share is not None:
        given["day_share"] = _share(wanted.day_share)
    return given


def _told(name: str, value: object) -> str:
    return str(value or (ALWAYS if name == "hours" else CONFIGURED))


def _hours(text: str) -> str:
    return "" if text.strip().lower() == ALWAYS else str(Hours.parse(text))


def _share(text: str) -> float | None:
    given = text.strip().lower()
    if given == CONFIGURED:
        return None
    try:
        share = float(given)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise InvalidInput(
            f"{text!r} is no share: it is above 0 and at most 1",
            fix="0.5 is half of what the provider allows; default: the account's own",
        )
    return share
