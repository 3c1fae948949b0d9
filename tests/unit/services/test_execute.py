"""One account, one lease: what ends a slice, what it says then, and how the next one begins."""

import asyncio
from datetime import timedelta

import pytest

from tests.builders import EPOCH, a_job, a_progress, a_purse, an_answer, an_item, shows, some_facts
from tests.unit.services.bench import Bench, always, in_turn
from worker.domain.backwards import Backwards
from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Call
from worker.domain.outcomes import Verdict
from worker.domain.states import ItemState, JobState, Waiting
from worker.domain.steps import Step
from worker.ports import Batch, WaitingOn
from worker.services.execute import OUTAGE_CAP, PARKED_LOOK, PARKED_PROBE, Pulses, parked_text
from worker.services.slice import GATE_RETRY, OUTAGE_AFTER

OK = an_answer(Verdict.DELETED)
DOWN = an_answer(Verdict.NOT_SENT, error_class="refused", http_status=None)
DENIED = an_answer(Verdict.UNAUTHORISED, message="no such token", provider_code="14")
ONE_AT_A_TIME = some_facts(purses=(a_purse(in_flight=1),))
MANY = [an_item(n) for n in range(1, 31)]
A_MINUTE = timedelta(minutes=1)


# --- the lease ---------------------------------------------------------------


async def test_a_held_lease_is_left_in_silence() -> None:
    bench = Bench(script=always(OK))
    assert bench.store.take_lease("acme", "w2", A_MINUTE) is not None

    again = await bench.work()

    assert (again, bench.provider.calls, bench.store.batches) == (None, [], [])


async def test_calls_whose_lease_was_lost_are_written_down_as_late() -> None:
    facts = some_facts(purses=(a_purse(in_flight=3),))
    bench = Bench(script=always(OK), facts=facts, together=3)
    bench.on_call = lambda call: bench.store.steal() if _is(call, "44") else None

    again = await bench.work()

    assert again is None
    assert [done.call for done in bench.store.lates] == bench.provider.calls
    assert bench.store.done == []
    assert {item.state for item in bench.store.items.values()} == {ItemState.SENT}


async def test_a_call_still_in_flight_when_the_lease_is_lost_is_waited_for() -> None:
    bench = Bench(script=always(OK), facts=some_facts(purses=(a_purse(in_flight=2),)), together=2)
    answered = bench.provider.held["43"] = asyncio.Event()
    loop = asyncio.get_running_loop()
    bench.on_call = lambda call: bench.store.steal() if _is(call, "43") else None
    bench.store.on_lost = lambda: _ignore(loop.call_soon_threadsafe(answered.set))

    assert await bench.work() is None

    late = [done.call.targets[0].external_id for done in bench.store.lates]
    assert late == ["42", "43"]


async def test_a_lost_lease_starts_nothing_new() -> None:
    bench = Bench(script=always(OK), facts=ONE_AT_A_TIME)
    bench.on_call = lambda _: bench.store.steal()

    await bench.work()

    assert bench.deleted == ["42"]
    assert bench.store.items[2].state is ItemState.PENDING


async def test_a_lost_lease_gives_its_permits_back() -> None:
    bench = Bench(script=always(OK), facts=ONE_AT_A_TIME)
    bench.on_call = lambda _: bench.store.steal()

    await bench.work()

    given = {grant.permit.id for grant in bench.gate.granted}
    assert {back.permit.id for back in bench.gate.returned} == given


async def test_a_slice_that_broke_off_gives_its_lease_and_permits_back() -> None:
    facts = some_facts(purses=(a_purse(in_flight=2),))
    bench = Bench(script=always(OK), facts=facts, together=2)

    def break_off(batch: Batch) -> None:
        if batch.done:
            raise RuntimeError("the database went away")

    bench.on_commit = break_off

    with pytest.raises(RuntimeError, match="went away"):
        await bench.work()

    again = bench.store.take_lease("acme", "w2", A_MINUTE)
    assert again is not None
    given = {grant.permit.id for grant in bench.gate.granted}
    assert {back.permit.id for back in bench.gate.returned} == given


async def test_calls_in_flight_of_a_slice_that_broke_off_are_written_down_as_late() -> None:
    facts = some_facts(purses=(a_purse(in_flight=2),))
    bench = Bench(script=always(OK), facts=facts, together=2)
    answered = bench.provider.held["43"] = asyncio.Event()
    loop = asyncio.get_running_loop()

    def break_off(batch: Batch) -> None:
        if batch.done:
            loop.call_soon_threadsafe(answered.set)
            raise RuntimeError("the database went away")

    bench.on_commit = break_off

    with pytest.raises(RuntimeError):
        await bench.work()

    late = [done.call.targets[0].external_id for done in bench.store.lates]
    assert late[-1] == "43"


# --- the gate ----------------------------------------------------------------


async def test_a_closed_gate_means_no_call() -> None:
    bench = Bench(script=always(OK))
    bench.gate.is_reachable = False

    again = await bench.work()

    assert again == GATE_RETRY
    assert bench.provider.calls == []
    assert not [item for batch in bench.store.batches for item in batch.opens]
    waiting = bench.store.waiting["j-1"]
    assert (waiting.code, waiting.next_wake) == (Waiting.GATE, EPOCH + GATE_RETRY)


async def test_a_gate_that_closes_meanwhile_lets_the_calls_in_flight_end() -> None:
    bench = Bench(script=always(OK), facts=ONE_AT_A_TIME)
    bench.on_call = lambda _: setattr(bench.gate, "is_reachable", False)

    again = await bench.work()

    assert again == GATE_RETRY
    assert bench.outcomes == ["deleted", None, None]
    assert bench.store.waiting["j-1"].code is Waiting.GATE


async def test_a_gate_that_cannot_be_told_to_close_ends_the_slice() -> None:
    bench = Bench(script=always(an_answer(Verdict.THROTTLED)), facts=ONE_AT_A_TIME)
    bench.on_call = lambda _: setattr(bench.gate, "is_reachable", False)

    assert await bench.work() == GATE_RETRY
    assert len(bench.provider.calls) == 1


# --- credentials -------------------------------------------------------------


async def test_refused_credentials_park_the_account_and_fail_no_item() -> None:
    bench = Bench(script=always(DENIED), facts=ONE_AT_A_TIME)

    again = await bench.work()

    assert again == PARKED_LOOK
    assert len(bench.provider.calls) == 1
    assert bench.store.account.parked_code == "credentials"
    assert bench.store.account.parked_secret == "one"
    assert bench.store.items[1] == an_item(1)
    waiting = bench.store.waiting["j-1"]
    assert waiting.code is Waiting.CREDENTIALS
    assert waiting.sentence == (
        "credentials refused: no such token (code 14); "
        "mend the token, then: bulkdel accounts check acme"
    )


async def test_a_parked_account_makes_no_call() -> None:
    bench = Bench(script=in_turn(DENIED, OK), facts=ONE_AT_A_TIME)
    await bench.work()
    bench.clock.advance(PARKED_PROBE - timedelta(seconds=1))

    again = await bench.work()

    assert (again, len(bench.provider.calls)) == (PARKED_LOOK, 1)
    assert bench.store.waiting["j-1"].code is Waiting.CREDENTIALS


async def test_a_replaced_secret_is_tried_at_once() -> None:
    bench = Bench(script=in_turn(DENIED, OK), facts=ONE_AT_A_TIME)
    await bench.work()
    bench.secret = "two"

    await bench.work()

    assert bench.outcomes == ["deleted"] * 3
    assert bench.store.account.parked_code == ""


async def test_the_same_secret_is_tried_again_after_a_while() -> None:
    bench = Bench(script=in_turn(DENIED, DENIED, OK), facts=ONE_AT_A_TIME)
    await bench.work()
    bench.clock.advance(PARKED_PROBE)

    await bench.work()

    assert len(bench.provider.calls) == 2
    assert bench.store.account.parked_at == bench.clock.now()


def test_a_refusal_without_words_names_its_status() -> None:
    said = parked_text(an_answer(Verdict.UNAUTHORISED, http_status=401), "acme")

    assert said.startswith("credentials refused: HTTP 401; mend the token")


@pytest.mark.parametrize("why", ["parked", "gate"])
async def test_a_cancelled_job_ends_without_gate_or_credentials(why: str) -> None:
    bench = Bench(script=always(DENIED), facts=ONE_AT_A_TIME)
    await bench.work()
    bench.store.change("j-1", stopping="cancelled")
    if why == "gate":
        bench.secret = "two"
        bench.gate.is_reachable = False

    await bench.work()

    assert bench.outcomes == ["unprocessed"] * 3
    assert bench.store.jobs["j-1"].state is JobState.CANCELLED
    assert len(bench.provider.calls) == 1


# --- an outage ---------------------------------------------------------------


async def test_an_outage_ends_the_slice() -> None:
    bench = Bench(script=always(DOWN), items=MANY)

    again = await bench.work()

    assert OUTAGE_AFTER <= len(bench.provider.calls) < OUTAGE_AFTER + 5
    assert again == timedelta(seconds=2)
    assert bench.pulse.outages == 1
    waiting = bench.store.waiting["j-1"]
    assert waiting.code is Waiting.PROVIDER_OUTAGE
    assert waiting.sentence == "the provider does not answer (refused)"


async def test_after_an_outage_one_call_goes_first() -> None:
    bench = Bench(script=always(DOWN), items=MANY)
    await bench.work()
    before = len(bench.provider.calls)

    again = await bench.work()

    assert len(bench.provider.calls) == before + 1
    assert again == timedelta(seconds=4)


async def test_the_longer_the_outage_the_longer_the_wait_up_to_a_cap() -> None:
    bench = Bench(script=always(DOWN), items=MANY)
    bench.pulse.outages = 30

    assert await bench.work() == OUTAGE_CAP


async def test_one_answer_ends_an_outage() -> None:
    bench = Bench(script=always(OK), items=MANY)
    bench.pulse.outages = 3

    await bench.work()

    assert bench.pulse.outages == 0
    assert bench.outcomes == ["deleted"] * 30


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.ABSENT, Verdict.INVALID])
async def test_a_no_is_an_answer(verdict: Verdict) -> None:
    bench = Bench(script=always(an_answer(verdict)), items=MANY)

    await bench.work()

    assert len(bench.provider.calls) == 30
    assert bench.pulse.outages == 0


async def test_no_item_pays_for_an_outage() -> None:
    bench = Bench(script=always(DOWN), items=MANY)

    await bench.work()

    progress = [item.progress for item in bench.store.items.values()]
    assert {(p.attempts, p.lost) for p in progress} == {(0, 0)}
    assert bench.outcomes == [None] * 30


def test_every_account_has_a_pulse_of_its_own() -> None:
    pulses = Pulses()

    pulses.of("acme").outages = 2

    assert (pulses.of("acme").outages, pulses.of("crm").outages) == (2, 0)


async def test_a_provider_that_answers_now_and_then_is_not_waited_for_ever_longer() -> None:
    bench = Bench(script=in_turn(OK, DOWN), items=MANY)
    bench.pulse.outages = 3

    again = await bench.work()

    assert bench.pulse.outages == 1
    assert again == timedelta(seconds=2)


async def test_a_slice_that_made_no_call_proves_nothing() -> None:
    bench = Bench(script=always(OK))
    bench.pulse.outages = 3
    bench.gate.is_reachable = False

    await bench.work()

    assert bench.pulse.outages == 3


async def test_a_call_that_was_not_answered_either_does_not_end_an_outage() -> None:
    bench = Bench(script=always(DOWN), items=[an_item()])
    bench.pulse.outages = 3

    await bench.work()

    assert bench.pulse.outages == 4


# --- what jobs wait for ------------------------------------------------------


async def test_a_job_in_hand_waits_for_its_worker() -> None:
    later = an_item(state=ItemState.DEFERRED, due_at=EPOCH + A_MINUTE)
    bench = Bench(script=always(OK), items=[later])

    await bench.work()

    assert bench.store.waiting["j-1"].code is Waiting.WORKER


async def test_a_listing_that_cannot_be_read_is_an_outage_of_its_job_alone() -> None:
    planning = a_job(
        JobState.PLANNING, list_cursor="3", list_tries=2, list_due_at=EPOCH + A_MINUTE
    )
    bench = Bench(script=always(OK), jobs=[planning], items=[])

    await bench.work()

    waiting = bench.store.waiting["j-1"]
    assert (waiting.code, waiting.next_wake) == (Waiting.PROVIDER_OUTAGE, EPOCH + A_MINUTE)
    assert waiting.sentence == "page 3 of the listing cannot be read"
    assert bench.provider.calls == []


async def test_a_page_of_the_proof_that_cannot_be_read_is_said_too() -> None:
    reading = Bulk(stage=Stage.PROOF, reading=Backwards(page=4, goes_down=True))
    proving = a_job(
        JobState.RUNNING,
        bulk=reading,
        listed=True,
        list_tries=2,
        list_due_at=EPOCH + A_MINUTE,
    )
    bench = Bench(script=always(OK), jobs=[proving], items=[])

    await bench.work()

    assert bench.store.waiting["j-1"].sentence == "page 4 of the listing cannot be read"
    assert bench.provider.calls == []


async def test_a_job_that_looks_up_lost_answers_says_so() -> None:
    lost = an_item(
        state=ItemState.VERIFYING,
        due_at=EPOCH + A_MINUTE,
        progress=a_progress(Step.LOOK, attempts=1, lost=1, looks=2),
    )
    looking = WaitingOn(code=Waiting.DEPENDENCY, sentence="lost answers are being looked up")
    job = a_job(JobState.VERIFYING, waiting_on=looking)
    bench = Bench(script=always(shows()), jobs=[job], items=[lost])

    await bench.work()

    assert bench.store.waiting["j-1"] == looking


def _ignore(_: object) -> None:
    """Take no notice."""


def _is(call: Call, external_id: str) -> bool:
    return call.targets[0].external_id == external_id
