"""What must hold after any fault, beyond what tests/acceptance/judge.py compares."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from tests.acceptance.commands import Reply
from tests.acceptance.judge import Target, deletions, target_of
from tests.acceptance.site import Site
from worker.store.audit_log import Filter, query
from worker.store.engine import Database

ANSWERED = frozenset({"deleted", "absent", "refused", "invalid"})
THROTTLED = 429


def check(site: Site, job: Reply, *, crashes: int, loosens: bool) -> None:
    """Raise AssertionError with what does not hold of a job that has ended."""
    database = Database(site.stack.database_url)
    try:
        audit = [entry.exported() for entry in query(database, Filter(job=job["id"]))]
    finally:
        database.dispose()
    ledger = site.ledger()
    problems = [
        *_no_two_in_flight(deletions(ledger), audit, loosens=loosens),
        *_repeats_have_a_cause(deletions(ledger), audit, crashes),
        *_limits_hold(ledger),
    ]
    assert not problems, "; ".join(problems[:10])


def _no_two_in_flight(
    made: Iterable[Mapping[str, object]], audit: Iterable[Reply], *, loosens: bool
) -> Iterable[str]:
    late = Counter(
        target_of(entry) for entry in audit if entry["event"] in {"call.late", "attempt.lost"}
    )
    calls: dict[Target, list[tuple[float, float]]] = defaultdict(list)
    for row in made:
        ended = row["ended"] if row["ended"] is not None else row["started"]
        calls[target_of(row)].append((float(str(row["started"])), float(str(ended))))
    for target, spans in calls.items():
        overlaps = sum(later[0] < earlier[1] for earlier, later in pairwise(sorted(spans)))
        allowed = min(1, late[target]) if loosens else 0
        if overlaps > allowed:
            yield f"{target} had {overlaps + 1} calls in flight at once"


def _repeats_have_a_cause(
    made: Iterable[Mapping[str, object]], audit: Iterable[Reply], crashes: int
) -> Iterable[str]:
    """A deletion is sent again only after a crash that hit it, or an answer that told nothing."""
    times = Counter(target_of(row) for row in made)
    lost: Counter[Target] = Counter()
    unclear: Counter[Target] = Counter()
    for entry in audit:
        if (entry["detail"].get("action") or entry["detail"].get("step")) != "delete":
            continue
        lost[target_of(entry)] += entry["event"] == "attempt.lost"
        is_unclear = entry["event"] == "call.late" or (
            entry["event"] == "call" and entry["verdict"] not in ANSWERED
        )
        unclear[target_of(entry)] += is_unclear
    for target, sent in times.items():
        if lost[target] > crashes:
            yield f"{target} was lost {lost[target]} times in {crashes} crashes"
        if sent > 1 + lost[target] + unclear[target]:
            yield f"{target} was sent {sent} times, of which {lost[target]} were lost"


def _limits_hold(ledger: Iterable[Reply]) -> Iterable[str]:
    refused = [row for row in ledger if row["status"] == THROTTLED and row["fault"] is None]
    if refused:
        yield f"{len(refused)} calls were over the limit, the first {refused[0]['path']}"
