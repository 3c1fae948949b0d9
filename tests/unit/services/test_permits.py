"""Permits: handed back once, closed when told to, and waits put in words."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.builders import EPOCH, a_job, a_purse, an_answer, an_item, some_facts
from tests.unit.services.bench import Bench, always
from worker.domain.calls import Answer
from worker.domain.limits import Grant, WaitReason, Window
from worker.domain.outcomes import Verdict
from worker.domain.states import ItemState, JobState, Waiting
from worker.ports import Batch, Knobs, PlanFacts
from worker.ratelimit.port import GateClosed
from worker.services.permits import THROTTLED_FOR, Permits, closed_for, shared, waiting_for

WAIT = timedelta(minutes=5)
CLOSERS = {Verdict.THROTTLED, Verdict.QUOTA_EXHAUSTED}


def bench() -> Bench:
    return Bench(script=always(an_answer()))


async def test_nothing_is_asked_for_nothing() -> None:
    there = bench()
    there.gate.is_reachable = False

    assert await Permits(there.tools).take(0, EPOCH) == Grant()


async def test_what_came_back_is_handed_back_once() -> None:
    there = bench()
    permits = Permits(there.tools)
    permit = (await permits.take(1, EPOCH)).permits[0]

    permits.give_back(permit, used=True)
    await permits.take(0, EPOCH)
    await permits.take(1, EPOCH)

    assert [back.permit for back in there.gate.returned] == [permit]


async def test_what_the_gate_did_not_take_is_handed_back_again() -> None:
    there = bench()
    permits = Permits(there.tools)
    permit = (await permits.take(1, EPOCH)).permits[0]
    permits.give_back(permit, used=True)
    there.gate.is_reachable = False

    with pytest.raises(GateClosed):
        await permits.take(0, EPOCH)
    there.gate.is_reachable = True
    await permits.take(0, EPOCH)

    assert [back.permit for back in there.gate.returned] == [permit]


async def test_lost_books_are_rebuilt_from_all_accounts_that_share_the_purse() -> None:
    purse = a_purse(name="token", per_day=100)
    facts = some_facts(purses=(purse,), sharing={"token": ("acme", "crm")})
    there = Bench(
        script=always(an_answer()),
        facts=facts,
        made=lambda account, _: {
            "acme": [EPOCH - timedelta(hours=3), EPOCH],
            "crm": [EPOCH - timedelta(seconds=30)],
        }[account],
    )

    await Permits(there.tools).take(1, EPOCH)

    book = (await there.gate.books([purse]))[0]
    assert (book.used_windows, book.used_today, book.is_current) == ((2,), 3, True)


async def test_lost_books_count_the_calls_that_may_be_under_way() -> None:
    purse = a_purse(name="token", per_day=100)
    jobs = [a_job(), a_job(JobState.PLANNING, id="j-2", plan=PlanFacts())]
    items = [an_item(1, state=ItemState.SENT), an_item(2), an_item(3)]
    facts = some_facts(purses=(purse,), sharing={"token": ("acme", "crm")})
    there = Bench(script=always(an_answer()), jobs=jobs, items=items, facts=facts)
    taken = there.store.take_lease("acme", "w1", WAIT)
    assert taken is not None
    there.store.commit(taken.lease, Batch(opens=(items[2],), listing=("j-2",)), WAIT)

    await Permits(there.tools).take(1, EPOCH)

    book = (await there.gate.books([purse]))[0]
    assert (book.used_windows, book.used_today) == ((3,), 3)


async def test_a_bulk_delete_counts_by_calls_when_lost_books_are_rebuilt() -> None:
    purse = a_purse(name="token", per_day=100, in_flight=2)
    facts = some_facts(purses=(purse,), sharing={"token": ("acme",)})
    items = [an_item(number, state=ItemState.SENT) for number in range(1, 51)]
    lost = [EPOCH - timedelta(hours=1)] * 50
    there = Bench(
        script=always(an_answer()), items=items, facts=facts, made=lambda _, __: [*lost, EPOCH]
    )

    await Permits(there.tools).take(1, EPOCH)

    book = (await there.gate.books([purse]))[0]
    assert (book.used_windows, book.used_today) == ((3,), 5)


async def test_what_a_refusal_closed_stays_closed_when_the_books_are_lost() -> None:
    own, token = a_purse(), a_purse(name="token", windows=())
    facts = some_facts(purses=(own, token), sharing={"acme": ("acme",), "token": ("acme", "crm")})
    there = Bench(script=always(an_answer()), facts=facts)
    throttled = an_answer(Verdict.THROTTLED, message="slow", retry_after=timedelta(seconds=90))
    of_account = replace(throttled, is_own_limit=True, retry_after=WAIT)
    there.refused = [
        (EPOCH - timedelta(seconds=60), throttled),
        (EPOCH - timedelta(seconds=50), of_account),
        (EPOCH - timedelta(hours=1), of_account),
    ]

    grant = await Permits(there.tools).take(1, EPOCH)

    closed = [book.closed_until for book in await there.gate.books([own, token])]
    assert closed == [EPOCH + timedelta(seconds=250), EPOCH + timedelta(seconds=30)]
    assert (grant.permits, grant.reason, grant.detail) == (
        (),
        WaitReason.CLOSED,
        "throttled: slow",
    )


async def test_a_refusal_that_is_over_closes_nothing_again() -> None:
    there = bench()
    refused = an_answer(Verdict.THROTTLED, retry_after=timedelta(seconds=90))
    there.refused = [(EPOCH - timedelta(seconds=91), refused)]

    assert len((await Permits(there.tools).take(1, EPOCH)).permits) == 1


async def test_the_record_is_read_from_the_days_start_or_the_longest_window() -> None:
    asked: list[datetime] = []

    def made(_: str, since: datetime) -> list[datetime]:
        asked.append(since)
        return []

    there = bench()
    there.made = made

    await Permits(there.tools).take(1, EPOCH)

    assert asked == [EPOCH.replace(hour=0)]


@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_refusal_for_too_many_calls_closes(verdict: Verdict) -> None:
    closed = closed_for(an_answer(verdict, retry_after=WAIT), a_purse(), EPOCH)

    assert closed == (WAIT if verdict in CLOSERS else None)


def test_a_refusal_that_names_no_time_has_a_default() -> None:
    purse, quick = a_purse(), a_purse(windows=(Window(calls=9, per=timedelta(seconds=2)),))

    assert closed_for(an_answer(Verdict.THROTTLED), purse, EPOCH) == THROTTLED_FOR
    assert closed_for(an_answer(Verdict.THROTTLED), quick, EPOCH) == timedelta(seconds=2)
    quota = closed_for(an_answer(Verdict.QUOTA_EXHAUSTED), purse, EPOCH)
    assert quota == timedelta(hours=14)


@pytest.mark.parametrize(
    ("is_own_limit", "closed"), [(False, {"acme", "token"}), (True, {"acme"})]
)
async def test_a_shared_purse_closes_unless_the_limit_is_the_accounts_own(
    *, is_own_limit: bool, closed: set[str]
) -> None:
    purses = (a_purse(name="acme"), a_purse(name="token"))
    sharing = {"acme": ("acme",), "token": ("acme", "crm")}
    facts = some_facts(purses=purses, sharing=sharing)
    there = Bench(script=always(an_answer()), facts=facts)
    answer = an_answer(Verdict.THROTTLED, retry_after=WAIT, is_own_limit=is_own_limit)

    await Permits(there.tools).obey(answer, EPOCH)

    books = await there.gate.books(purses)
    assert {book.name for book in books if book.closed_until is not None} == closed


@pytest.mark.parametrize(
    ("answer", "pace"),
    [
        (an_answer(Verdict.THROTTLED), 0.5),
        (an_answer(Verdict.THROTTLED, retry_after=WAIT), 1.0),
        (an_answer(Verdict.QUOTA_EXHAUSTED), 1.0),
    ],
)
async def test_a_refusal_for_pace_that_names_no_time_halves_it(
    answer: Answer, pace: float
) -> None:
    there = bench()

    await Permits(there.tools).obey(answer, EPOCH)

    assert (await there.gate.books([a_purse()]))[0].pace == pace


@pytest.mark.parametrize("reason", WaitReason)
def test_every_wait_is_put_in_words(reason: WaitReason) -> None:
    waiting = waiting_for(
        Grant(wait=WAIT, reason=reason, purse="acme", detail="why"), EPOCH, [a_purse()]
    )

    quota = reason is WaitReason.DAY
    assert waiting.code is (Waiting.QUOTA_RESET if quota else Waiting.RATE_LIMIT)
    assert waiting.next_wake == EPOCH + WAIT
    assert ("acme" if reason is not WaitReason.CLOSED else "why") in waiting.sentence


def test_a_purse_closed_for_the_day_waits_for_the_reset() -> None:
    detail = "quota_exhausted: no more today"
    grant = Grant(wait=WAIT, reason=WaitReason.CLOSED, purse="acme", detail=detail)

    assert waiting_for(grant, EPOCH, [a_purse()]).code is Waiting.QUOTA_RESET


@pytest.mark.parametrize("reason", WaitReason)
@pytest.mark.parametrize(
    "short", [timedelta(0), timedelta(microseconds=3), timedelta(seconds=0.9)]
)
def test_no_wait_is_said_to_end_before_it_does(reason: WaitReason, short: timedelta) -> None:
    now = datetime(2026, 11, 21, 23, 58, 30, 600_000, tzinfo=EPOCH.tzinfo)
    midnight = datetime(2026, 11, 22, tzinfo=EPOCH.tzinfo)

    grant = Grant(wait=midnight - short - now, reason=reason, purse="acme")
    waiting = waiting_for(grant, now, [a_purse()])

    assert waiting.next_wake == midnight
    assert reason is not WaitReason.DAY or "resets at 2026-11-22 00:00 UTC" in waiting.sentence


def test_the_reset_is_told_by_the_providers_clock_and_by_utc() -> None:
    purse = a_purse(day_zone="Asia/Kathmandu")
    grant = Grant(wait=timedelta(hours=6, minutes=15), reason=WaitReason.DAY, purse="acme")

    waiting = waiting_for(grant, EPOCH.replace(hour=12, minute=0), [purse])

    assert waiting.sentence.endswith("it resets at 2026-11-22 00:00 Asia/Kathmandu (18:15 UTC)")


def test_of_the_shares_of_several_jobs_the_smallest_holds_and_for_the_own_purse_alone() -> None:
    own, token = a_purse(rate_share=0.9, day_share=0.8), a_purse(name="token")
    knobs = [Knobs(), Knobs(rate_share=0.5), Knobs(rate_share=1.0, day_share=0.9)]

    assert shared((own, token), knobs) == (replace(own, rate_share=0.5, day_share=0.9), token)
    assert shared((own, token), [Knobs()]) == (own, token)
