"""How much each bench does: at full size, and just enough to see that it runs (QUICK=1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Amounts and seconds. Seconds are of windows and of measuring, not of waiting."""

    rounds: int  # of short runs; their median counts
    items: int  # of one run of ours and of the bare loops
    peer_items: int  # of one run of the peer, which is slower
    in_flights: tuple[int, ...]
    pools: int  # numbers of processes or threads that the peer is tried with
    sweep_items: int  # of one run that looks for the best number in flight
    bulk_projects: int
    window: float  # seconds of the window that `calls` are allowed in
    calls: int
    measured: float  # utilisation is measured over so many seconds ...
    warm: float  # ... after so many
    accounts: int
    account_calls: int  # of one account in a window
    behind: int  # items of the large job in front of the small one
    few: int  # items of the small one
    growth: tuple[int, ...]
    growth_bulk: int
    cost_items: int
    verified: int  # audit entries
    audit_entries: int  # on PostgreSQL; SQLite has a tenth


FULL = Scale(
    rounds=5,
    items=8_000,
    peer_items=1_500,
    in_flights=(5, 20, 50, 100, 200, 400),
    pools=3,
    sweep_items=3_000,
    bulk_projects=10_000,
    window=60.0,
    calls=600,
    measured=120.0,
    warm=60.0,
    accounts=500,
    account_calls=100,
    behind=100_000,
    few=10,
    growth=(1_000, 10_000, 100_000),
    growth_bulk=1_000_000,
    cost_items=10_000,
    verified=200_000,
    audit_entries=10_000_000,
)
QUICK = Scale(
    rounds=1,
    items=200,
    peer_items=60,
    in_flights=(10,),
    pools=1,
    sweep_items=60,
    bulk_projects=300,
    window=1.0,
    calls=20,
    measured=2.0,
    warm=1.0,
    accounts=4,
    account_calls=10,
    behind=400,
    few=5,
    growth=(100, 200),
    growth_bulk=300,
    cost_items=200,
    verified=1_000,
    audit_entries=20_000,
)
