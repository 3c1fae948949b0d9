"""OPERATE, point 3: guards under, at and over each limit; what they refuse is not asked to go.

Each case is a whole job inside this process: the sandbox over HTTP, a desk, a worker's slices,
and the command that a person would type for its exit code.
"""

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.acceptance.room import Rooms
from worker.domain.states import JobState

pytestmark = [pytest.mark.number("operate-3"), pytest.mark.enable_socket]

REFUSED = 5
FULL = pytest.mark.number(full=True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A job of `ids` projects of `there`, under this configuration."""

    more: str
    there: int = 10
    ids: int = 3
    code: int = 0  # of the confirmation by its word
    finding: str = ""
    options: dict[str, object] = field(default_factory=dict)


DAY = "max_items_per_day = 5"
CASES = {
    "under max_items": Case(more="", ids=2, options={"max_items": 3}),
    "at max_items": Case(more="", ids=3, options={"max_items": 3}),
    "over max_items": Case(
        more="", ids=4, options={"max_items": 3}, code=REFUSED, finding="max_items"
    ),
    "over max_items with children": Case(
        more="",
        ids=1,
        options={"max_items": 3, "cascade": ("all",)},
        code=REFUSED,
        finding="max_items",
    ),
    "at max_items with children": Case(
        more="", ids=1, options={"max_items": 4, "cascade": ("all",)}
    ),
    "under max_percent": Case(more="max_percent = 50", ids=4),
    "at max_percent": Case(more="max_percent = 50", ids=5),
    "over max_percent": Case(more="max_percent = 50", ids=6, code=REFUSED, finding="max_percent"),
    "over a fraction of a percent": Case(
        more="max_percent = 9.9", ids=1, code=REFUSED, finding="max_percent"
    ),
    "all there is, allowed": Case(more="max_percent = 100", ids=10),
    "max_percent counts projects, not their children": Case(
        more="max_percent = 50", ids=5, options={"cascade": ("all",)}
    ),
    "over max_percent with children": Case(
        more="max_percent = 50",
        ids=6,
        options={"cascade": ("all",)},
        code=REFUSED,
        finding="max_percent",
    ),
    "max_percent counts pages of projects": Case(more="max_percent = 1", there=450, ids=4),
    "over max_percent of pages": Case(
        more="max_percent = 1", there=450, ids=5, code=REFUSED, finding="max_percent"
    ),
    "under the day": Case(more=DAY, ids=4),
    "at the day": Case(more=DAY, ids=5),
    "over the day": Case(more=DAY, ids=6, code=REFUSED, finding="max_items_per_day"),
    "over the day, whatever --max-items says": Case(
        more=DAY, ids=6, options={"max_items": 100}, code=REFUSED, finding="max_items_per_day"
    ),
    "over two limits": Case(
        more=f"{DAY}\nmax_percent = 50", ids=6, code=REFUSED, finding="max_percent"
    ),
    "under all limits": Case(more=f"{DAY}\nmax_percent = 50", ids=5),
    "at approval_over": Case(more="approval_over = 3", ids=3),
}


SHORT = {"at max_items", "over max_items", "at max_percent", "over max_percent", "over the day"}
ALL = [
    pytest.param(case, id=name, marks=() if name in SHORT else FULL)
    for name, case in CASES.items()
]


@pytest.mark.parametrize("case", ALL)
async def test_a_plan_is_held_against_its_limits(room: Rooms, case: Case) -> None:
    async with room(case.more) as here:
        ids = await here.seed(case.there, tasks=3 if "cascade" in case.options else 0)

        job = await here.plan(ids[: case.ids], **case.options)

        found = [one.code for one in job.plan.findings if one.level.value == "refusal"]
        assert (case.finding in found) if case.finding else found == []
        assert await here.confirm(job) == case.code
        if case.code:
            assert here.stage.desk.jobs.get(job.id).state is JobState.AWAITING_CONFIRMATION
            assert await here.gone() == set()
        else:
            ended = await here.stage.finished(job.id)
            assert ended.state is JobState.SUCCEEDED
            assert await here.gone() >= set(ids[: case.ids])
            assert not set(ids[case.ids :]) & await here.gone()


@pytest.mark.parametrize("ids", [1, 2, 3])
@pytest.mark.parametrize("ran", [True, False], ids=["went", "promised"])
@FULL
async def test_what_went_today_or_is_promised_counts_for_the_day(
    room: Rooms, ids: int, ran: bool
) -> None:
    async with room(DAY) as here:
        there = await here.seed(10)
        first = await here.plan(there[:3])
        await here.confirm(first)
        if ran:
            await here.stage.finished(first.id)

        job = await here.plan(there[5 : 5 + ids])

        assert await here.confirm(job) == (REFUSED if ids > 2 else 0)


async def test_two_plans_that_fit_alone_do_not_pass_together(room: Rooms) -> None:
    async with room(DAY) as here:
        ids = await here.seed(6)
        one, two = await here.plan(ids[:3]), await here.plan(ids[3:])

        codes = await asyncio.gather(here.confirm(one), here.confirm(two))

        assert sorted(codes) == [0, REFUSED]


@FULL
async def test_a_dry_run_over_its_limits_says_so_and_ends(room: Rooms) -> None:
    async with room("max_percent = 10") as here:
        job = await here.plan(await here.seed(4), dry_run=True)

        assert job.state in {JobState.SUCCEEDED, JobState.PLANNING}
        assert "max_percent" in [one.code for one in job.plan.findings]
        assert await here.gone() == set()


@FULL
async def test_yes_passes_no_guard(room: Rooms) -> None:
    async with room("max_percent = 10") as here:
        job = await here.plan(await here.seed(4), yes=True)

        code, _ = await here.say("confirm", job.id, "--yes", "--json")

        assert code == REFUSED
        assert await here.gone() == set()


@FULL
async def test_what_is_protected_is_left_out_and_counts_for_no_limit(room: Rooms) -> None:
    async with room('protect = { names = ["KEEP*"] }') as here:
        kept = await here.seed(3, names="KEEP")
        ids = await here.seed(2)

        ended = await here.run(await here.plan([*kept, *ids], max_items=2))

        assert await here.gone() == set(ids)
        assert list(here.outcomes(ended).values()).count("skipped_protected") == 3


# --- holds -----------------------------------------------------------------------------------


async def test_a_held_project_is_left_out_of_the_plan(room: Rooms) -> None:
    async with room() as here:
        held, other = await here.seed(2)
        here.hold(held)

        ended = await here.run(await here.plan([held, other]))

        assert here.outcomes(ended) == {held: "skipped_held", other: "deleted"}
        assert await here.gone() == {other}


async def test_a_held_child_keeps_its_project_and_all_below(room: Rooms) -> None:
    async with room() as here:
        held, other = await here.seed(2, tasks=2)
        child = (await here.stage.left())[held]["tasks"][0]
        here.hold(child)

        ended = await here.run(await here.plan([held, other], cascade=("all",)))

        assert here.outcomes(ended)[held] == "skipped_held"
        assert not {held, child} & await here.gone()
        assert other in await here.gone()


@FULL
async def test_a_held_child_in_the_background_keeps_its_project(room: Rooms) -> None:
    async with room() as here:
        held, other = await here.seed(2, tasks=2)
        child = (await here.stage.left())[held]["tasks"][0]
        job = await here.plan([held, other], cascade=("all",), cascade_mode="background")
        await here.confirm(job)
        here.hold(child)

        await here.stage.finished(job.id)

        assert await here.gone() == {other}
        assert here.outcomes(job)[held] == "skipped_held"


@pytest.mark.parametrize("how", ["ended", "removed", "of another account"])
@FULL
async def test_a_hold_that_is_over_or_elsewhere_holds_nothing(room: Rooms, how: str) -> None:
    async with room() as here:
        (one,) = await here.seed(1)
        if how == "of another account":
            here.hold(one, account="old")
        number = here.hold(one) if how != "of another account" else 0
        if how == "removed":
            assert (await here.say("hold", "remove", str(number), "--reason", "over"))[0] == 0
        if how == "ended":
            here.sql("UPDATE holds SET expires_at = '2020-01-01 00:00:00.000000'")

        ended = await here.run(await here.plan([one]))

        assert here.outcomes(ended) == {one: "deleted"}


async def test_a_hold_since_the_plan_refuses_its_confirmation(room: Rooms) -> None:
    async with room() as here:
        ids = await here.seed(3)
        job = await here.plan(ids)
        here.hold(ids[1])

        code, said = await here.say("confirm", job.id, "--word", job.plan.word)

        assert code == REFUSED
        assert ids[1] in said
        assert "legal" in said
        assert await here.gone() == set()


async def test_a_hold_since_the_confirmation_spares_before_the_call(room: Rooms) -> None:
    async with room() as here:
        ids = await here.seed(3)
        job = await here.plan(ids)
        await here.confirm(job)
        here.hold(ids[1])

        ended = await here.stage.finished(job.id)

        assert here.outcomes(ended)[ids[1]] == "skipped_held"
        assert await here.gone() == {ids[0], ids[2]}


async def test_holds_that_cannot_be_read_refuse_the_plan(room: Rooms) -> None:
    async with room() as here:
        ids = await here.seed(2)
        here.sql("ALTER TABLE holds RENAME TO lost")

        job = await here.plan(ids)

        assert await here.confirm(job) == REFUSED
        assert [f.code for f in job.plan.findings if f.level.value == "refusal"] == [
            "holds_unreadable"
        ]
        assert await here.gone() == set()


@FULL
async def test_holds_that_cannot_be_read_refuse_the_confirmation(room: Rooms) -> None:
    async with room() as here:
        job = await here.plan(await here.seed(2))
        here.sql("ALTER TABLE holds RENAME TO lost")

        assert await here.confirm(job) == REFUSED
        assert await here.gone() == set()


async def test_holds_that_cannot_be_read_stop_what_runs(room: Rooms) -> None:
    async with room() as here:
        job = await here.plan(await here.seed(30))
        await here.confirm(job)
        here.sql("ALTER TABLE holds RENAME TO lost")

        ended = await here.stage.finished(job.id)

        assert ended.state is JobState.FAILED
        assert set(here.outcomes(ended).values()) <= {"failed_precheck", "unprocessed"}
        assert await here.gone() == set()


# --- the second person -----------------------------------------------------------------------


async def test_a_large_plan_takes_a_second_person(room: Rooms) -> None:
    async with room("approval_over = 2") as here:
        ids = await here.seed(3)
        job = await here.plan(ids)

        assert await here.confirm(job) == 0

        waits = here.stage.desk.jobs.get(job.id)
        assert waits.state is JobState.AWAITING_APPROVAL
        assert (await here.say("approve", job.id))[0] == REFUSED
        here.env["BULKDEL_ACTOR"] = " ADA "
        assert (await here.say("approve", job.id))[0] == REFUSED
        assert await here.gone() == set()
        here.env["BULKDEL_ACTOR"] = "bob"
        assert (await here.say("approve", job.id, "--json"))[0] == 0
        assert (await here.stage.finished(job.id)).state is JobState.SUCCEEDED
        assert await here.gone() == set(ids)


async def test_a_second_person_can_say_no(room: Rooms) -> None:
    async with room("approval_over = 2") as here:
        job = await here.plan(await here.seed(3))
        await here.confirm(job)
        here.env["BULKDEL_ACTOR"] = "bob"

        assert (await here.say("reject", job.id, "--reason", "wrong quarter"))[0] == 0

        ended = await here.stage.finished(job.id)
        assert ended.state is JobState.REJECTED
        assert set(here.outcomes(ended).values()) == {"unprocessed"}
        assert (await here.say("watch", job.id, "--json"))[0] == REFUSED
        assert await here.gone() == set()
