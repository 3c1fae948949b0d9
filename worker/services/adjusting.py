"""What of a job may be set anew while it waits or runs: its priority, and its hours."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime

from worker.domain.errors import InvalidInput, Refused
from worker.domain.hours import Hours
from worker.domain.states import FINAL
from worker.ports import Job, Note

ALWAYS = "always"


def adjust(
    *, actor: str, priority: int | None = None, hours: str | None = None
) -> Callable[[Job, datetime], Note | None]:
    """Set a job's priority, or the hours in which it may delete; `always` takes them away.

    Raises InvalidInput for what cannot be, Refused for a job that is final or being stopped.
    """
    if priority is None and hours is None:
        raise InvalidInput("there is nothing to set", fix="--priority 0-9, --hours HOURS")
    if priority is not None and not 0 <= priority <= 9:  # noqa: PLR2004  the published range
        raise InvalidInput("a priority is 0 to 9", fix="9 goes first, 5 is the default")
    wanted = None if hours is None else _hours(hours)

    def decide(job: Job, at: datetime) -> Note | None:  # noqa: ARG001  a decision is given the time
        if job.state in FINAL or job.stopping:
            stands = f"being stopped ({job.stopping})" if job.stopping else job.state
            raise Refused(f"job {job.id} is {stands}: nothing of it can be set any more")
        columns: dict[str, object] = {}
        said = []
        if priority is not None and priority != job.priority:
            columns["priority"] = priority
            said.append(f"priority {job.priority} to {priority}")
        if wanted is not None and wanted != job.knobs.hours:
            columns["knobs"] = json.dumps(asdict(replace(job.knobs, hours=wanted)))
            said.append(f"hours {job.knobs.hours or ALWAYS} to {wanted or ALWAYS}")
        if not columns:
            return None
        return Note(actor=actor, why=f"set {', '.join(said)}", columns=columns)

    return decide


def _hours(text: str) -> str:
    return "" if text.strip().lower() == ALWAYS else str(Hours.parse(text))
