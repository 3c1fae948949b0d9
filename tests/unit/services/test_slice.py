"""One slice: permit, intent, call, outcome, in this order, and nothing more than was granted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import EPOCH, a_job, a_progress, a_purse, an_answer, an_item, shows, some_facts
from tests.unit.services.bench import Bench, always, in_turn
from worker.domain.calls import Call
from worker.domain.limits import Quota, Window
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import ItemState, JobState, Waiting
from worker.domain.steps import Step
from worker.ports import Batch, JobOptions, Knobs
from worker.services.permits import THROTTLED_FOR

OK = an_answer(Verdict.DELETED)
ONE_AT_A_TIME = some_facts(purses=(a_purse(in_flight=1),))
THREE_AT_ONCE = some_facts(purses=(a_purse(in_flight=3),))
LOST_LOOK = a_progress(Step.LOOK, attempts=1, lost=1)


def first(act: Callable[[], object]) -> Callable[[Call], None]:
    """Do it with the first call, as it arrives."""
    left = [act]

    def on_call(_: Call) -> None:
        while left:
            left.pop()()

    return on_call


# --- the order of things -----------------------------------------------------


async def test_every_item_is_deleted_and_the_job_ends() -> None:
    bench = Bench(script=always(OK))

    again = await bench.work()

    assert again is None
    assert bench.deleted == ["42", "43", "44"]
    assert bench.outcomes == ["deleted"] * 3
    assert bench.store.jobs["j-1"].state is JobState.SUCCEEDED


async def test_no_call_without_a_permit_and_an_intent_before_it() -> None:
    seen: list[tuple[str, int]] = []

    def intent(batch: Batch) -> None:
        seen.extend(("intent", len(bench.gate.granted)) for _ in batch.opens)

    def call(_: Call) -> None:
        sent = [item for item in bench.store.items.values() if item.state == ItemState.SENT]
        seen.append(("call", len(sent)))

    bench = Bench(script=always(OK), facts=ONE_AT_A_TIME, on_commit=intent, on_call=call)

    await bench.work()

    assert seen == [(what, n) for n in (1, 2, 3) for what, n in (("intent", n), ("call", 1))]


async def test_a_call_whose_worker_stood_still_since_its_intent_does_not_leave() -> None:
    stands = [timedelta(seconds=29)]

    def freeze(batch: Batch) -> None:
        if batch.opens and stands:
            bench.clock.advance(stands.pop())

    bench = Bench(script=always(OK), items=[an_item(1)], on_commit=freeze)

    await bench.work()

    assert bench.provider.calls == []
    assert bench.gate.returned[0].used is False

    bench.clock.advance(timedelta(seconds=1))
    await bench.work()

    assert bench.deleted == ["42"]


async def test_every_call_reaches_the_record_once() -> None:
    bench = Bench(script=in_turn(an_answer(Verdict.REFUSED), an_answer(Verdict.THROTTLED), OK))

    await bench.work()

    recorded = [done.call for done in bench.store.done]
    assert recorded == bench.provider.calls
    assert [back.used for back in bench.gate.returned] == [True] * len(recorded)


async def test_intents_are_opened_for_no_more_than_is_in_flight() -> None:
    items = [an_item(n) for n in range(1, 10)]
    bench = Bench(script=always(OK), items=items, facts=THREE_AT_ONCE, together=3)

    await bench.work()

    assert bench.provider.most_in_flight == 3
    assert max(len(batch.opens) for batch in bench.store.batches) == 3
    assert len(bench.gate.granted) == len(bench.gate.returned) == 9


async def test_the_tightest_purse_says_how_many_may_be_in_flight() -> None:
    purses = (a_purse(in_flight=5), a_purse(name="token", in_flight=2))
    facts = some_facts(purses=purses, sharing={"acme": ("acme",), "token": ("acme", "crm")})
    bench = Bench(
        script=always(OK), items=[an_item(n) for n in range(1, 5)], facts=facts, together=2
    )

    await bench.work()

    assert bench.provider.most_in_flight == 2
    assert {grant.permit.purses for grant in bench.gate.granted} == {("acme", "token")}


async def test_a_share_that_is_set_meanwhile_holds_from_the_next_commit_on() -> None:
    def cut(_batch: Batch) -> None:
        if len(bench.provider.calls) == 2:
            job = bench.store.jobs["j-1"]
            bench.store.jobs["j-1"] = replace(job, knobs=Knobs(rate_share=0.05))

    items = [an_item(n) for n in range(1, 10)]
    bench = Bench(script=always(OK), items=items, facts=ONE_AT_A_TIME, on_commit=cut)

    await bench.work()

    assert len(bench.deleted) == 5


async def test_a_slice_ends_where_an_answer_says_nothing_is_left() -> None:
    spent = an_answer(quota=Quota(left=0, resets_in=timedelta(hours=3)))
    bench = Bench(script=in_turn(OK, spent), facts=ONE_AT_A_TIME)

    again = await bench.work()

    assert len(bench.deleted) == 2
    assert again == timedelta(hours=3)
    waiting = bench.store.jobs["j-1"].waiting_on
    assert waiting is not None
    assert waiting.code is Waiting.QUOTA_RESET


async def test_two_jobs_take_turns() -> None:
    jobs = [a_job(), a_job(id="j-2")]
    items = [an_item(n, job_id="j-1" if n < 3 else "j-2") for n in range(1, 5)]
    bench = Bench(script=always(OK), jobs=jobs, items=items, facts=ONE_AT_A_TIME)

    await bench.work()

    assert bench.deleted == ["42", "44", "43", "45"]


async def test_what_is_not_due_is_left_alone() -> None:
    later = an_item(state=ItemState.DEFERRED, due_at=EPOCH + timedelta(seconds=1))
    bench = Bench(script=always(OK), items=[later])

    again = await bench.work()

    assert (again, bench.provider.calls) == (None, [])
    assert bench.store.jobs["j-1"].state is JobState.RUNNING


# --- an answer that was lost -------------------------------------------------


async def test_a_lost_delete_is_looked_at_at_once() -> None:
    bench = Bench(script=in_turn(an_answer(Verdict.AMBIGUOUS), shows()), items=[an_item()])

    await bench.work()

    assert [call.action for call in bench.provider.calls] == ["delete", "read"]
    assert bench.outcomes == [Outcome.DELETED]


async def test_what_a_look_still_finds_is_deferred_and_checked_before_it_is_sent_again() -> None:
    item = an_item()
    there = shows(item.seen)
    bench = Bench(script=in_turn(an_answer(Verdict.AMBIGUOUS), there, there, OK), items=[item])

    await bench.work()
    assert bench.store.items[1].state is ItemState.DEFERRED
    bench.clock.advance(timedelta(seconds=1))
    await bench.work()

    assert [call.action for call in bench.provider.calls] == ["delete", "read", "read", "delete"]
    assert bench.outcomes == [Outcome.DELETED]


# --- planning and checking ---------------------------------------------------


async def test_a_job_is_listed_and_its_plan_frozen() -> None:
    ready = an_item(progress=a_progress(Step.READY))
    planning = a_job(JobState.PLANNING)
    page = shows(ready.seen, next_cursor="2")
    bench = Bench(script=in_turn(page, shows()), jobs=[planning], items=[ready])

    await bench.work()

    assert [call.action for call in bench.provider.calls] == ["list"]
    assert bench.plans.steps[0] == "end_listing"
    assert bench.plans.steps[-1] == "freeze"
    assert bench.store.jobs["j-1"].state is JobState.AWAITING_CONFIRMATION


async def test_a_page_that_cannot_be_read_is_asked_for_again_later() -> None:
    ready = an_item(progress=a_progress(Step.READY))
    bench = Bench(
        script=always(an_answer(Verdict.UNAVAILABLE)),
        jobs=[a_job(JobState.PLANNING)],
        items=[ready],
    )

    await bench.work()
    await bench.work()

    job = bench.store.jobs["j-1"]
    assert (len(bench.provider.calls), job.list_tries, job.list_pages) == (1, 1, 0)
    assert job.list_due_at == EPOCH + timedelta(milliseconds=125)


async def test_a_project_is_checked_again_in_all_its_sources_just_before_it_goes() -> None:
    item = an_item(progress=a_progress(Step.RECHECK))
    job = a_job(options=JobOptions(cascade=("comment", "task")))
    bench = Bench(script=in_turn(shows(item.seen), shows(), OK), jobs=[job], items=[item])

    await bench.work()

    calls = [(call.action.value, call.source) for call in bench.provider.calls]
    assert calls == [("read", "project"), ("read", "comment"), ("delete", "project")]
    assert bench.outcomes == [Outcome.DELETED]


# --- limits ------------------------------------------------------------------


async def test_a_full_window_ends_the_slice_with_the_time_to_come_again() -> None:
    window = Window(calls=2, per=timedelta(seconds=60))
    bench = Bench(script=always(OK), facts=some_facts(purses=(a_purse(windows=(window,)),)))

    again = await bench.work()

    assert len(bench.provider.calls) == 2
    assert again is not None
    assert timedelta(seconds=59) < again <= timedelta(seconds=61)
    assert bench.store.waiting["j-1"].code is Waiting.RATE_LIMIT
    assert bench.store.items[3].state is ItemState.PENDING


async def test_a_refusal_closes_the_purse_and_costs_no_attempt() -> None:
    throttled = an_answer(Verdict.THROTTLED, retry_after=timedelta(seconds=7))
    bench = Bench(script=always(throttled), facts=ONE_AT_A_TIME)

    again = await bench.work()

    assert len(bench.provider.calls) == 1
    assert again == timedelta(seconds=7)
    assert bench.store.items[1] == an_item(1)
    assert bench.store.waiting["j-1"].code is Waiting.RATE_LIMIT


async def test_a_refusal_that_names_no_time_closes_for_a_while() -> None:
    bench = Bench(script=always(an_answer(Verdict.THROTTLED)), facts=ONE_AT_A_TIME)

    assert await bench.work() == THROTTLED_FOR


async def test_a_spent_quota_waits_for_the_reset() -> None:
    spent = an_answer(Verdict.QUOTA_EXHAUSTED, message="come tomorrow")
    bench = Bench(script=always(spent), facts=ONE_AT_A_TIME)

    again = await bench.work()

    assert again == timedelta(hours=14)
    waiting = bench.store.waiting["j-1"]
    assert (waiting.code, "come tomorrow" in waiting.sentence) == (Waiting.QUOTA_RESET, True)
    assert waiting.next_wake == EPOCH + timedelta(hours=14)


async def test_a_call_that_never_left_gives_its_permit_back_unused() -> None:
    bench = Bench(script=in_turn(an_answer(Verdict.NOT_SENT), OK), items=[an_item()])

    await bench.work()
    bench.clock.advance(timedelta(seconds=1))
    await bench.work()

    assert [back.used for back in bench.gate.returned] == [False, True]


async def test_a_missing_secret_is_no_call() -> None:
    missing = an_answer(Verdict.UNAUTHORISED, error_class="credentials")
    bench = Bench(script=always(missing), items=[an_item()])

    await bench.work()

    assert [back.used for back in bench.gate.returned] == [False]


async def test_books_that_were_lost_are_rebuilt_from_the_record() -> None:
    window = Window(calls=3, per=timedelta(seconds=60))
    facts = some_facts(purses=(a_purse(windows=(window,)),))
    bench = Bench(script=always(OK), facts=facts, made=lambda _a, _s: [EPOCH] * 2)

    await bench.work()

    assert len(bench.provider.calls) == 1


async def test_books_that_are_lost_twice_in_a_row_close_the_gate() -> None:
    purses = (a_purse(), a_purse(name="token"))
    facts = some_facts(purses=purses, sharing={"acme": ("acme",), "token": ("crm",)})
    bench = Bench(script=always(OK), facts=facts)

    def lost_again(account: str, _: object) -> list[object]:
        if account == "crm":
            bench.gate.forget()
        return []

    bench.made = lost_again  # type: ignore[assignment]  # an empty list is a list of anything

    await bench.work()

    assert bench.provider.calls == []
    assert bench.store.waiting["j-1"].code is Waiting.GATE


# --- time and stopping -------------------------------------------------------


@pytest.mark.parametrize(
    ("others_wait", "takes", "calls"),
    [(True, 0.3, 7), (True, 0.01, 120), (True, 0.004, 125), (False, 0.3, 14), (False, 0.02, 200)],
)
async def test_a_slice_is_short_or_makes_few_calls_and_longer_only_while_it_is_alone(
    *, others_wait: bool, takes: float, calls: int
) -> None:
    items = [an_item(n) for n in range(1, 251)]
    facts = some_facts(purses=(a_purse(in_flight=1, windows=()),))
    bench = Bench(script=always(OK), items=items, facts=facts)
    bench.store.others_wait = others_wait
    bench.on_call = lambda _: bench.clock.advance(timedelta(seconds=takes))

    await bench.work()

    assert len(bench.provider.calls) == calls


@pytest.mark.parametrize(("others_wait", "calls"), [(True, 34), (False, 60)])
async def test_a_slice_takes_a_part_of_a_window_while_others_wait(
    *, others_wait: bool, calls: int
) -> None:
    items = [an_item(n) for n in range(1, 61)]
    facts = some_facts(purses=(a_purse(in_flight=1),))
    bench = Bench(script=always(OK), items=items, facts=facts)
    bench.store.others_wait = others_wait

    await bench.work()

    assert len(bench.provider.calls) == calls


async def test_a_slice_that_took_the_last_permits_comes_again_when_there_are_more() -> None:
    window = Window(calls=3, per=timedelta(seconds=60))
    facts = some_facts(purses=(a_purse(in_flight=1, windows=(window,)),))
    bench = Bench(script=always(OK), facts=facts)
    bench.store.others_wait = True
    bench.made = lambda _account, _since: [EPOCH + timedelta(seconds=n) for n in (-30, -20)]

    again = await bench.work()

    assert len(bench.provider.calls) == 1
    assert again is not None
    assert timedelta(seconds=30) <= again < timedelta(seconds=31)
    assert bench.store.waiting["j-1"].code is Waiting.RATE_LIMIT


async def test_a_stopping_process_starts_nothing_new() -> None:
    bench = Bench(script=always(OK), facts=ONE_AT_A_TIME)
    bench.on_call = lambda _: bench.stopping.set()

    await bench.work()

    assert (bench.deleted, bench.outcomes) == (["42"], ["deleted", None, None])


# --- jobs that are paused or stopped -----------------------------------------


async def test_a_paused_jobs_queued_work_is_dropped() -> None:
    items = [an_item(n) for n in range(1, 21)]
    bench = Bench(script=always(OK), items=items, facts=ONE_AT_A_TIME)
    bench.on_call = first(lambda: bench.store.change("j-1", state=JobState.PAUSED))

    await bench.work()

    assert len(bench.deleted) <= 2
    assert bench.outcomes[2:] == [None] * 18
    assert {item.state for item in bench.store.items.values()} == {"settled", "pending"}


@pytest.mark.parametrize("how", [{"state": JobState.PAUSED}, {"stopping": "cancelled"}], ids=str)
async def test_no_call_leaves_after_a_pause_or_a_cancel(how: dict[str, JobState | str]) -> None:
    bench = Bench(script=always(OK), facts=ONE_AT_A_TIME)
    bench.on_call = first(lambda: bench.store.change("j-1", **how))

    await bench.work()

    assert bench.deleted == ["42"]


async def test_a_paused_job_stops_no_other() -> None:
    jobs = [a_job(), a_job(id="j-2")]
    items = [an_item(n, job_id="j-1" if n < 6 else "j-2") for n in range(1, 11)]
    bench = Bench(script=always(OK), jobs=jobs, items=items, facts=ONE_AT_A_TIME)
    bench.on_call = first(lambda: bench.store.change("j-1", state=JobState.PAUSED))

    await bench.work()

    assert bench.outcomes[5:] == ["deleted"] * 5


async def test_what_a_stopped_job_did_not_send_is_left_out_and_what_it_lost_is_looked_at() -> None:
    items = [an_item(1), an_item(2, progress=LOST_LOOK), an_item(3)]
    bench = Bench(
        script=always(shows(items[1].seen)), jobs=[a_job(stopping="cancelled")], items=items
    )

    await bench.work()

    assert [call.action for call in bench.provider.calls] == ["read"]
    assert bench.outcomes == ["unprocessed"] * 3
    assert bench.store.jobs["j-1"].state is JobState.CANCELLED


async def test_a_job_that_moved_on_meanwhile_does_not_break_the_slice() -> None:
    bench = Bench(script=always(OK), items=[])
    bench.on_commit = lambda _: bench.store.change("j-1", state=JobState.PAUSED)

    assert await bench.work() is None
    assert bench.store.jobs["j-1"].state is JobState.PAUSED


@pytest.mark.parametrize("how", [{"state": JobState.PAUSED}, {"stopping": "cancelled"}], ids=str)
async def test_no_intent_is_opened_for_a_job_that_was_paused_or_stopped(
    how: dict[str, JobState | str],
) -> None:
    jobs = [a_job(), a_job(id="j-2")]
    items = [an_item(n, job_id="j-1" if n < 3 else "j-2") for n in range(1, 5)]
    bench = Bench(script=always(OK), jobs=jobs, items=items, facts=ONE_AT_A_TIME)
    bench.on_call = first(lambda: bench.store.change("j-2", **how))

    await bench.work()

    asked = [item.id for batch in bench.store.batches for item in batch.opens]
    assert 3 in asked
    assert bench.deleted == ["42", "43"]
    used = [back.used for back in bench.gate.returned]
    assert sorted(used) == [False, True, True]


async def test_no_page_is_asked_for_after_a_pause() -> None:
    planning = a_job(JobState.PLANNING, id="j-2")
    jobs = [a_job(priority=9), planning]
    bench = Bench(script=always(OK), jobs=jobs, facts=ONE_AT_A_TIME)
    bench.on_call = first(lambda: bench.store.change("j-2", state=JobState.PAUSED))

    await bench.work()

    assert ["j-2"] in [batch.listing for batch in bench.store.batches]
    assert {call.action for call in bench.provider.calls} == {"delete"}


async def test_a_redirect_pauses_its_job_and_no_other() -> None:
    jobs = [a_job(), a_job(id="j-2")]
    items = [an_item(n, job_id="j-1" if n < 3 else "j-2") for n in range(1, 5)]
    moved = an_answer(Verdict.INVALID, http_status=302)
    bench = Bench(script=in_turn(moved, OK), jobs=jobs, items=items, facts=ONE_AT_A_TIME)

    await bench.work()

    why = "the provider redirects (HTTP 302): check base_url"
    assert bench.store.paused == [("j-1", why)]
    assert bench.store.jobs["j-1"].paused_from is JobState.RUNNING
    assert bench.deleted == ["42", "44", "45"]


@pytest.mark.parametrize("status", [None, 200, 299, 400, 503])
async def test_other_answers_pause_nothing(status: int | None) -> None:
    bench = Bench(script=always(an_answer(Verdict.INVALID, http_status=status)))

    await bench.work()

    assert bench.store.paused == []
