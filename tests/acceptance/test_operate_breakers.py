"""OPERATE, point 4, and the other breakers: a job that goes wrong stops by itself."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.room import Room, Rooms
from tests.integration.stage import ORGANIZATION
from worker.domain.states import JobState, Waiting
from worker.ports import Job
from worker.services.execute import run_slice

pytestmark = pytest.mark.enable_socket
FULL = pytest.mark.number(full=True)
POINT = pytest.mark.number("operate-4")
PATIENT = "canary = { above = 1000, min = 1 }"
"""No canary, so that it is the breakers that stop a job."""


async def slices(room: Room, number: int) -> None:
    """Work the account for a while."""
    for _ in range(number):
        tools = room.stage.tools_of("acme")
        await run_slice(tools, room.stage.pulses.of("acme"), asyncio.Event())


async def works_until(room: Room, job: Job, state: JobState) -> Job:
    now = job
    for _ in range(200):
        if now.state is state:
            return now
        await slices(room, 1)
        now = room.stage.desk.jobs.get(job.id)
    raise AssertionError(f"{now.state}, {now.waiting_on}")


async def refuse(room: Room, ids: list[str]) -> None:
    await room.stage.tell("refused", ORGANIZATION, ids)


FOREIGN = [str(460000000900000 + number) for number in range(200)]


@POINT
@pytest.mark.parametrize("cascade", ["all", "none"])
async def test_a_list_of_another_account_is_paused_after_fifty(room: Rooms, cascade: str) -> None:
    async with room(PATIENT) as here:
        await here.seed(5)
        job_id = await asyncio.to_thread(lambda: here.stage.submit(FOREIGN, cascade=(cascade,)))
        job = here.stage.desk.jobs.get(job_id)
        if cascade == "none":
            job = await here.stage.planned(job_id)
            assert "200 ids are in no list of projects" in job.plan.findings[0].text
            assert await here.confirm(job) == 0

        paused = await works_until(here, job, JobState.PAUSED)

        assert paused.waiting_on is not None
        assert "50 of the first 50 projects are not there" in paused.waiting_on.sentence
        assert "wrong list or wrong account?" in paused.waiting_on.sentence
        assert len([row for row in await here.stage.tell("ledger") if row["id"]]) <= 50 + 20
        assert [row for row in await here.stage.deletions() if row["effect"] == "deleted"] == []
        assert (await here.say("watch", job.id, "--json"))[0] == 7
        await here.say("resume", job.id)
        ended = await here.stage.finished(job.id)
        assert set(here.outcomes(ended).values()) == {"already_absent"}


@POINT
@pytest.mark.parametrize("cascade", [pytest.param("all", marks=FULL), "none"])
async def test_a_few_foreign_ids_are_named_in_the_plan(room: Rooms, cascade: str) -> None:
    async with room(PATIENT) as here:
        ids = await here.seed(197)

        job = await here.plan([*ids[:90], *FOREIGN[:3], *ids[90:]], cascade=(cascade,))

        (said,) = [f.text for f in job.plan.findings if f.code in {"already_absent", "not_listed"}]
        assert all(one in said for one in FOREIGN[:3])
        assert job.state is JobState.AWAITING_CONFIRMATION
        assert await here.gone() == set()


@POINT
@pytest.mark.parametrize(
    ("cascade", "there", "ends"),
    [
        ("all", 0, {"already_absent"}),
        ("all", 30, {"already_absent", "deleted"}),
        ("none", 30, {"already_absent", "deleted"}),
    ],
)
async def test_a_short_list_that_is_mostly_absent_is_asked_about_once(
    room: Rooms, cascade: str, there: int, ends: set[str]
) -> None:
    async with room(PATIENT) as here:
        mine, given = await here.seed(there or 5), FOREIGN[:12]
        if there:
            given = [*mine, *given]
        job_id = await asyncio.to_thread(lambda: here.stage.submit(given, cascade=(cascade,)))

        paused = await works_until(here, here.stage.desk.jobs.get(job_id), JobState.PAUSED)

        assert paused.waiting_on is not None
        said = f"12 of the {len(given)} projects of the list are not there: wrong list or wrong"
        assert said in paused.waiting_on.sentence
        assert await here.gone() == set()
        assert (await here.say("watch", job_id, "--json"))[0] == 7
        assert (await here.say("resume", job_id))[0] == 0
        if there:
            job = await here.stage.planned(job_id)
            assert said in " ".join(finding.text for finding in job.plan.findings)
            await here.confirm(job)
        ended = await here.stage.finished(job_id)
        assert set(here.outcomes(ended).values()) == ends
        gone = {row["id"] for row in await here.stage.deletions() if row["effect"] == "deleted"}
        assert gone == (set(mine) if there else set())


@POINT
async def test_a_dry_run_of_the_wrong_list_says_so_and_ends(room: Rooms) -> None:
    async with room(PATIENT) as here:
        job = await here.plan(FOREIGN[:12], cascade=("all",), dry_run=True)

        assert "absent" in {finding.code for finding in job.plan.findings}
        assert (await here.stage.finished(job.id)).state is JobState.SUCCEEDED


async def test_twenty_failures_in_a_row_end_the_job(room: Rooms) -> None:
    async with room(PATIENT) as here:
        ids = await here.seed(60)
        await refuse(here, ids[5:])
        job = await here.plan(ids)

        ended = await here.run(job)

        ends = list(here.outcomes(ended).values())
        assert ended.state is JobState.FAILED
        assert ends.count("deleted") == 5
        assert 20 <= ends.count("failed_refused") < 20 + 20
        assert ends.count("unprocessed") == 60 - 5 - ends.count("failed_refused")
        assert (await here.say("watch", job.id, "--json"))[0] == 7
        assert "items in a row failed" in (await here.say("report", job.id))[1]


@FULL
async def test_half_of_a_hundred_failures_end_the_job(room: Rooms) -> None:
    async with room(PATIENT) as here:
        ids = await here.seed(140)
        await refuse(here, ids[::2])
        job = await here.plan(ids)

        ended = await here.run(job)

        ends = list(here.outcomes(ended).values())
        assert ended.state is JobState.FAILED
        assert 100 <= len(ends) - ends.count("unprocessed") < 100 + 20


@FULL
async def test_fewer_failures_let_the_job_go_on(room: Rooms) -> None:
    async with room(PATIENT) as here:
        ids = await here.seed(130)
        await refuse(here, ids[::3])
        job = await here.plan(ids)

        ended = await here.run(job)

        assert ended.state is JobState.PARTIALLY_SUCCEEDED
        assert "unprocessed" not in here.outcomes(ended).values()


@FULL
async def test_a_breaker_that_is_off_stops_nothing(room: Rooms) -> None:
    off = "breakers = { failed_percent = 0, failed_in_a_row = 0, absent_percent = 0 }"
    async with room(f"{PATIENT}\n{off}") as here:
        ids = await here.seed(40)
        await refuse(here, ids)

        ended = await here.run(await here.plan(ids))

        assert set(here.outcomes(ended).values()) == {"failed_refused"}


async def test_every_breaker_is_said_in_the_plan(room: Rooms) -> None:
    async with room("canary = { above = 5, min = 2, hold = '90s' }") as here:
        job = await here.plan(await here.seed(8))

        _, said = await here.say("plan", job.id)

        said = " ".join(said.split())
        assert "the first 2 projects go alone, and the rest waits 0:01:30 after them" in said
        assert "50 % fail after 100 items or 20 in a row fail" in said
        assert "more than 20 % of the first 50 projects are absent" in said


async def test_a_canary_that_keeps_a_project_names_the_child_and_the_code(room: Rooms) -> None:
    async with room("canary = { above = 5, min = 2 }") as here:
        ids = await here.seed(8, tasks=3)
        task = (await here.stage.left())[ids[0]]["tasks"][0]
        await here.stage.tell("refused", ORGANIZATION, [task], kind="task")
        job = await here.plan(ids, cascade=("all",))
        await here.confirm(job)

        paused = await works_until(here, job, JobState.PAUSED)

        assert paused.waiting_on is not None
        said = paused.waiting_on.sentence
        assert f"project {ids[0]}, as its task {task} ended failed_refused (code " in said
        assert len(await here.gone()) < 10


async def test_the_rest_waits_after_a_canary_that_went_well(room: Rooms) -> None:
    async with room("canary = { above = 5, min = 2, hold = '1h' }") as here:
        ids = await here.seed(8)
        job = await here.plan(ids)
        await here.confirm(job)

        await slices(here, 6)

        waits = here.stage.desk.jobs.get(job.id)
        assert waits.state is JobState.RUNNING
        assert waits.waiting_on is not None
        assert waits.waiting_on.code is Waiting.GRACE
        assert await here.gone() == set(ids[:2])
        left = here.stage.desk.accounts.get("acme").next_wake_at
        assert left is not None
        assert left > here.stage.desk.jobs.now() + timedelta(minutes=55)
        here.sql("UPDATE jobs SET canary_until = '2020-01-01 00:00:00.000000'")
        here.sql("UPDATE accounts SET next_wake_at = '2020-01-01 00:00:00.000000'")
        assert (await here.stage.finished(job.id)).state is JobState.SUCCEEDED
        assert await here.gone() == set(ids)


@FULL
async def test_a_redirect_pauses_and_is_not_followed(room: Rooms) -> None:
    async with room(PATIENT) as here:
        job = await here.plan(await here.seed(3))
        rule = {"kind": "redirect", "match": {"method": "DELETE"}}
        await here.stage.tell("faults", [rule], seed=7)
        await here.confirm(job)

        paused = await works_until(here, job, JobState.PAUSED)

        assert paused.waiting_on is not None
        assert "redirects" in paused.waiting_on.sentence


# --- hours, and what is set while it runs ----------------------------------------------------


def shut() -> str:
    """Hours that are not now."""
    now = datetime.now(UTC)  # noqa: TID251  the database's clock is real
    start, end = now + timedelta(hours=6), now + timedelta(hours=7)
    return f"{start:%H:%M}-{end:%H:%M} UTC"


async def test_outside_of_its_hours_a_job_makes_no_call(room: Rooms) -> None:
    hours = shut()
    async with room(f'hours = "{hours}"') as here:
        ids = await here.seed(3)
        job = await here.plan(ids)
        await here.confirm(job)

        await slices(here, 3)

        waits = here.stage.desk.jobs.get(job.id)
        assert waits.waiting_on is not None
        assert waits.waiting_on.code is Waiting.WINDOW
        assert hours in (await here.say("explain", job.id))[1]
        assert await here.gone() == set()
        assert (await here.say("set", job.id, "--hours", "always"))[0] == 0
        assert (await here.stage.finished(job.id)).state is JobState.SUCCEEDED


async def test_hours_that_are_set_stop_a_running_job_at_once(room: Rooms) -> None:
    async with room(PATIENT) as here:
        ids = await here.seed(40)
        job = await here.plan(ids)
        await here.stage.tell("latency", 0.2)
        await here.confirm(job)
        working = asyncio.create_task(slices(here, 1))
        while not await here.gone():
            assert not working.done()

        code, _ = await here.say("set", job.id, "--hours", shut(), "--priority", "9")
        await working
        gone = await here.gone()
        await slices(here, 2)

        assert code == 0
        assert await here.gone() == gone
        assert len(gone) < 40
        log = (await here.say("audit", "--job", job.id, "--format", "jsonl"))[1]
        assert "priority 5 to 9" in log
        assert "by ada" in (await here.say("explain", job.id))[1]


@FULL
async def test_what_is_final_cannot_be_set(room: Rooms) -> None:
    async with room(PATIENT) as here:
        ended = await here.run(await here.plan(await here.seed(1)))

        assert (await here.say("set", ended.id, "--priority", "1"))[0] == 5
        assert (await here.say("set", ended.id))[0] == 2
