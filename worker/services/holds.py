"""Holds: set by people, checked at the plan and once more before each call that deletes."""

from collections.abc import Sequence
from datetime import datetime

from worker.domain.catalogue import Catalogue, check_id
from worker.domain.errors import InvalidInput
from worker.domain.holds import Holds
from worker.domain.steps import MAY_BE_SPARED
from worker.domain.text import clean
from worker.ports import Item, Job, Lease, NewHold
from worker.services.tools import Tools, off

LONGEST = 500
OWNER_LENGTH = 200


def new_hold(new: NewHold, *, catalogue: Catalogue, now: datetime) -> NewHold:
    """The hold as it is kept; InvalidInput says what is wrong with it."""
    ids = tuple(dict.fromkeys(new.external_ids))
    if not ids:
        raise InvalidInput("there is no id to hold", fix="--ids 101,102")
    for external_id in ids:
        check_id(catalogue.project, external_id)
    if new.expires_at is not None and new.expires_at <= now:
        raise InvalidInput("a hold that has ended holds nothing", fix="give an end to come")
    return NewHold(
        account=new.account,
        external_ids=ids,
        owner=_text("an owner", new.owner, OWNER_LENGTH, '--owner "legal"'),
        reason=_text("a reason", new.reason, LONGEST, '--reason "case 4711"'),
        who=new.who,
        expires_at=new.expires_at,
    )


def _text(what: str, given: str, length: int, fix: str) -> str:
    text = clean(given, len(given)).strip()
    if not text or len(text) > length:
        raise InvalidInput(f"a hold needs {what} of 1 to {length} characters", fix=fix)
    return text


async def skip_held(tools: Tools, lease: Lease, job: Job) -> Holds:
    """Planning: leave out what is held; returns the holds as they were read."""
    holds = await off(tools.guards.live, job.account)
    await off(tools.guards.skip_held, lease, job, holds)
    return holds


async def spare_held(tools: Tools, lease: Lease, job: Job, items: Sequence[Item]) -> list[Item]:
    """The items that may go on: what was about to be deleted and is held by now is settled."""
    about = [item for item in items if item.progress.step in MAY_BE_SPARED]
    if not about:
        return list(items)
    spared = await off(tools.guards.over, job.account, about)
    gone = [item for item in about if item.id in spared.why]
    if gone:
        await off(tools.ends.spare, lease, job, gone, spared.why, outcome=spared.outcome)
    return [item for item in items if item.id not in spared.why]
