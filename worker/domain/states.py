"""Every state of a job and of an item, and the only moves there are.

All that changes a state asks `check_move` first; a move is a compare-and-set that writes its
audit entry in the same transaction (`worker.store`).
"""

from enum import StrEnum

from worker.domain.errors import IllegalMove


class JobState(StrEnum):
    """Where a job stands."""

    PLANNING = "planning"  # items are read back, children found, the price made; nothing deleted
    AWAITING_CONFIRMATION = "awaiting_confirmation"  # the plan is frozen; a person gives its word
    AWAITING_APPROVAL = "awaiting_approval"  # confirmed; a second person has to agree
    SCHEDULED = "scheduled"  # confirmed; waits for its grace period or start time
    RUNNING = "running"  # deleting calls are made
    PAUSED = "paused"  # stopped by a person or a guard; goes on with `resume`
    VERIFYING = "verifying"  # nothing left to send; lost answers are being looked up
    SUCCEEDED = "succeeded"  # every wanted item is gone
    PARTIALLY_SUCCEEDED = "partially_succeeded"  # some are gone, some are not
    FAILED = "failed"  # none is gone, or a breaker stopped it
    CANCELLED = "cancelled"  # a person stopped it for good
    REJECTED = "rejected"  # the second person said no
    EXPIRED = "expired"  # nobody confirmed in time
    PLAN_FAILED = "plan_failed"  # planning could not be completed


class ItemState(StrEnum):
    """Where an item stands."""

    PENDING = "pending"  # may be worked now
    BLOCKED = "blocked"  # something must be gone first
    SENT = "sent"  # an intent is open: a call is about to leave or has left
    DEFERRED = "deferred"  # due again at `due_at`
    VERIFYING = "verifying"  # no look could tell so far; looked at again at `due_at`
    SETTLED = "settled"  # has its outcome


class Waiting(StrEnum):
    """What a job that is not final waits for."""

    RATE_LIMIT = "rate_limit"
    QUOTA_RESET = "quota_reset"
    WINDOW = "window"
    DEPENDENCY = "dependency"
    PROVIDER_OUTAGE = "provider_outage"
    CREDENTIALS = "credentials"
    GATE = "gate"
    WORKER = "worker"
    CONFIRMATION = "confirmation"
    APPROVAL = "approval"
    GRACE = "grace"


_S = JobState
_ENDS = frozenset({_S.SUCCEEDED, _S.PARTIALLY_SUCCEEDED, _S.FAILED})

JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    _S.PLANNING: _ENDS | {_S.AWAITING_CONFIRMATION, _S.PAUSED, _S.CANCELLED, _S.PLAN_FAILED},
    _S.AWAITING_CONFIRMATION: frozenset(
        {_S.AWAITING_APPROVAL, _S.SCHEDULED, _S.PLANNING, _S.CANCELLED, _S.REJECTED, _S.EXPIRED}
    ),
    _S.AWAITING_APPROVAL: frozenset({_S.SCHEDULED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED}),
    _S.SCHEDULED: frozenset({_S.RUNNING, _S.PAUSED, _S.CANCELLED, _S.PLANNING}),
    _S.RUNNING: _ENDS | {_S.PAUSED, _S.VERIFYING, _S.CANCELLED, _S.PLANNING},
    _S.PAUSED: frozenset({_S.PLANNING, _S.SCHEDULED, _S.RUNNING, _S.VERIFYING, _S.CANCELLED}),
    _S.VERIFYING: _ENDS | {_S.RUNNING, _S.PAUSED, _S.CANCELLED},
    _S.SUCCEEDED: frozenset(),
    _S.PARTIALLY_SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.PLAN_FAILED: frozenset(),
}

_I = ItemState
ITEM_MOVES: dict[ItemState, frozenset[ItemState]] = {
    _I.PENDING: frozenset({_I.SENT, _I.BLOCKED, _I.DEFERRED, _I.SETTLED}),
    _I.BLOCKED: frozenset({_I.PENDING, _I.SETTLED}),
    _I.SENT: frozenset({_I.PENDING, _I.BLOCKED, _I.DEFERRED, _I.VERIFYING, _I.SETTLED}),
    _I.DEFERRED: frozenset({_I.SENT, _I.SETTLED, _I.PENDING}),
    _I.VERIFYING: frozenset({_I.SENT, _I.SETTLED}),
    _I.SETTLED: frozenset(),
}

FINAL: frozenset[JobState] = frozenset(state for state, to in JOB_MOVES.items() if not to)
ACTIVE: frozenset[JobState] = frozenset({_S.PLANNING, _S.RUNNING, _S.VERIFYING})
"""States in which a worker makes calls for the job."""
HOLDING: frozenset[JobState] = frozenset(set(_S) - FINAL - {_S.PLANNING})
"""States in which a frozen plan holds its targets against other jobs."""
PAUSABLE: frozenset[JobState] = frozenset(
    state for state, to in JOB_MOVES.items() if _S.PAUSED in to
)


def check_move(old: JobState, new: JobState) -> None:
    """Raise IllegalMove unless a job may go from `old` to `new`."""
    if new not in JOB_MOVES[old]:
        raise IllegalMove(f"a job cannot go from {old} to {new}")
