"""The ports, and the records they exchange.

One colour per layer: the store is synchronous, every method is one transaction, and services
call it in batches off the loop; providers and the gate are asynchronous.
"""

from worker.ports.jobs import (
    AccountRow,
    Counts,
    IdRows,
    Item,
    Job,
    JobOptions,
    Move,
    NewJob,
    Note,
    PlanFacts,
    PlannedItems,
    Submitted,
    WaitingOn,
    Who,
)
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
    "Hold",
    "IdRows",
    "Item",
    "Job",
    "JobOptions",
    "Lease",
    "Left",
    "ListingProgress",
    "Move",
    "NewJob",
    "Note",
    "PlanFacts",
    "PlanStore",
    "PlannedItems",
    "Provider",
    "RefreshRules",
    "SharedToken",
    "Standing",
    "Submitted",
    "TokenBooks",
    "TokenStore",
    "Turn",
    "WaitingOn",
    "Who",
    "WorkStore",
]
