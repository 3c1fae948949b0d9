"""The ports, and the records they exchange.

One colour per layer: the store is synchronous, every method is one transaction, and services
call it in batches off the loop; providers and the gate are asynchronous.
"""

from worker.ports.guards import GuardStore, HoldBook, NewHold, Remeasured, Spared
from worker.ports.jobs import (
    UNLISTED,
    AccountRow,
    Counts,
    IdRows,
    Item,
    Job,
    JobOptions,
    Knobs,
    Move,
    NewJob,
    Note,
    PlanFacts,
    PlannedItems,
    Submitted,
    WaitingOn,
    Who,
)
from worker.ports.policies import PolicyRow, SlotEnd, SlotRow
from worker.ports.protocols import (
    AccountStore,
    ChunkStore,
    DoorBell,
    EndStore,
    PlanStore,
    Provider,
    WorkStore,
)
from worker.ports.tokens import (
    Hold,
    RefreshRules,
    SharedToken,
    Standing,
    TokenBooks,
    TokenStore,
    Turn,
)
from worker.ports.work import Batch, Change, Committed, Done, Found, Lease, Left, ListingProgress

__all__ = [
    "UNLISTED",
    "AccountRow",
    "AccountStore",
    "Batch",
    "Change",
    "ChunkStore",
    "Committed",
    "Counts",
    "Done",
    "DoorBell",
    "EndStore",
    "Found",
    "GuardStore",
    "Hold",
    "HoldBook",
    "IdRows",
    "Item",
    "Job",
    "JobOptions",
    "Knobs",
    "Lease",
    "Left",
    "ListingProgress",
    "Move",
    "NewHold",
    "NewJob",
    "Note",
    "PlanFacts",
    "PlanStore",
    "PlannedItems",
    "PolicyRow",
    "Provider",
    "RefreshRules",
    "Remeasured",
    "SharedToken",
    "SlotEnd",
    "SlotRow",
    "Spared",
    "Standing",
    "Submitted",
    "TokenBooks",
    "TokenStore",
    "Turn",
    "WaitingOn",
    "Who",
    "WorkStore",
]
