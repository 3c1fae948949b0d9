"""Calls under way: who waits for them, and for how long."""

import asyncio

from tests.builders import a_job, an_answer, an_item
from tests.unit.services.bench import Bench, always
from worker.domain.calls import Action, Call
from worker.domain.limits import Permit
from worker.domain.outcomes import Verdict
from worker.services.choose import Work
from worker.services.flights import Flights

SOON = 10.0  # seconds that no test waits for


def three_under_way() -> tuple[Flights, dict[str, asyncio.Event]]:
    """Calls for 42, 43 and 44; each comes back once its event is set."""
    bench = Bench(script=always(an_answer(Verdict.DELETED)))
    answered = {name: asyncio.Event() for name in ("42", "43", "44")}
    bench.provider.held.update(answered)
    flights = Flights(bench.tools)
    for number in (1, 2, 3):
        item = an_item(number)
        call = Call(action=Action.DELETE, targets=(item.seen.target,))
        work = Work(job_id="j-1", call=call, items=(item,))
        permit = Permit(id=f"p{number}", purses=("acme",))
        flights.start(work, permit, a_job(), known={}, renewed=bench.tools.clock())
    return flights, answered


async def test_the_first_back_is_not_kept_waiting_for_a_slow_one() -> None:
    flights, answered = three_under_way()
    answered["43"].set()

    back = await flights.landed(within=SOON, patience=0.01, share=1.0)

    assert [flight.permit.id for flight in back] == ["p2"]
    assert len(flights) == 3  # until it is taken in
    flights.forget(back[0])
    assert len(flights) == 2


async def test_a_wave_that_is_all_back_is_taken_at_once_and_in_order() -> None:
    flights, answered = three_under_way()
    for name in ("44", "42", "43"):
        answered[name].set()

    async with asyncio.timeout(SOON / 2):
        back = await flights.landed(within=SOON, patience=SOON, share=1_000_000.0)

    assert [flight.permit.id for flight in back] == ["p1", "p2", "p3"]


async def test_what_nobody_took_in_is_there_to_the_last() -> None:
    flights, answered = three_under_way()
    answered["42"].set()
    await flights.landed(within=SOON, patience=0.0, share=0.0)
    answered["43"].set()
    answered["44"].set()

    last = await flights.last()

    assert [flight.permit.id for flight, _ in last] == ["p1", "p2", "p3"]
    assert not len(flights)


async def test_a_wait_in_which_nothing_comes_back_ends() -> None:
    flights, answered = three_under_way()

    assert await flights.landed(within=0.01, patience=0.0, share=0.0) == []

    for event in answered.values():
        event.set()
    assert len(await flights.last()) == 3
