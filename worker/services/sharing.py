"""How the jobs of one account share its calls: a pure order."""

from collections import deque
from collections.abc import Iterable, Sequence

from worker.ports import Job
from worker.services.choose import Work


def shared_out(found: Iterable[tuple[Job, Sequence[Work]]], start: float) -> list[Work]:
    """The calls of all jobs in the order in which they leave; those of one job keep theirs.

    Every other call is one of the job of highest priority, and among such of the one with least
    left; those between are of all jobs in turn. So a small job is soon through, and of `n` jobs
    none has less than 1/(2n) of the calls. `start`, from 0 to below 1, is where the turns begin:
    by chance, so that this holds too where few of them are permitted at a time.
    """
    ranked = sorted((pair for pair in found if pair[1]), key=_rank)
    waiting = deque(deque(works) for _, works in ranked)
    turns, order = waiting.copy(), list[Work]()
    place, is_turn = divmod(int(start * 2 * len(turns)), 2)
    turns.rotate(-place)
    while waiting:
        if is_turn:
            order += _of_turn(turns)
        else:
            order.append(waiting[0].popleft())
        is_turn = not is_turn
        while waiting and not waiting[0]:
            waiting.popleft()
    return order


def _rank(pair: tuple[Job, Sequence[Work]]) -> tuple[int, int, int]:
    job, works = pair
    return -job.priority, len(works), job.plan.items


def _of_turn(turns: deque[deque[Work]]) -> list[Work]:
    while turns and not turns[0]:
        turns.popleft()
    if not turns:
        return []
    work = turns[0].popleft()
    turns.rotate(-1)
    return [work]
