"""What must hold of any simulated history, once it is at its end."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.simulation.world import Made, World
from worker.domain.audit import Event
from worker.domain.calls import Target
from worker.domain.outcomes import Bucket, Outcome
from worker.store.audit_log import Filter, query
from worker.store.engine import Database
from worker.store.jobs import Jobs
from worker.store.verify import verify

CALLS = frozenset({"call", "call.late", "attempt.lost"})


def judged(db: Database, world: World, *, permits: int) -> list[str]:
    """What does not hold, in words."""
    jobs = [job.id for job in Jobs(db).recent(limit=10)]
    items = [item for job in jobs for item in Jobs(db).items(job)]
    planned = {item.seen.target for item in items}
    found = [*world.violations]
    found += [problem for job in jobs for problem in verify(db, job).problems]
    for item in items:
        found += _of_item(world, item.seen.target, item.outcome)
    found += [f"{one.target} is in no plan" for one in world.made if one.target not in planned]
    found += _of_calls(db, jobs, world.made)
    lost = sum(len(list(query(db, Filter(job=job, event=Event.ATTEMPT_LOST)))) for job in jobs)
    if lost and not world.clock.disturbed:
        found.append(f"{lost} intents were taken over although nobody died or froze")
    if world.calls > permits:
        found.append(f"{world.calls} calls, {permits} permits")
    return found


def _of_item(world: World, target: Target, outcome: Outcome | None) -> Iterable[str]:
    went = sum(one.had_effect for one in world.made if one.target == target)
    if outcome is None:
        yield f"{target} has no outcome"
    elif outcome.bucket is Bucket.SUCCEEDED and world.has(target):
        yield f"{target} is {outcome} and lives"
    elif outcome is not Outcome.UNKNOWN and went != (outcome is Outcome.DELETED):
        yield f"{target} is {outcome} and went {went} times"


def _of_calls(db: Database, jobs: Sequence[str], made: Sequence[Made]) -> Iterable[str]:
    """Every deletion is written down, and two for one item overlap only after a takeover."""
    written, taken_over = _written(db, jobs)
    spans: dict[Target, list[tuple[float, float]]] = defaultdict(list)
    for one in made:
        spans[one.target].append((one.began, float("inf") if one.ended is None else one.ended))
    for target, own in spans.items():
        if len(own) > written[target]:
            yield f"{target} was sent {len(own)} times, {written[target]} are written down"
        overlaps = sum(after[0] < before[1] for before, after in pairwise(sorted(own)))
        if overlaps > taken_over[target]:
            yield f"{target} had {overlaps + 1} calls in flight at once"


def _written(db: Database, jobs: Sequence[str]) -> tuple[dict[Target, int], dict[Target, int]]:
    written: dict[Target, int] = defaultdict(int)
    taken_over: dict[Target, int] = defaultdict(int)
    for entry in (one.exported() for job in jobs for one in query(db, Filter(job=job))):
        action = entry["detail"].get("action") or entry["detail"].get("step")
        if entry["event"] in CALLS and action == "delete":
            target = Target(
                kind=entry["kind"],
                external_id=entry["external_id"],
                parent_external_id=entry["parent_external_id"],
            )
            written[target] += 1
            taken_over[target] += entry["event"] != "call"
    return written, taken_over
