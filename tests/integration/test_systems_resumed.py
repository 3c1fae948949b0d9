"""A job that stood still for hours compares its plan with the listing before it goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.integration.stage import ORGANIZATION, TOKEN, Stage, on_stage
from tests.integration.wrecking import Wreck, work_on
from worker.domain.audit import Event
from worker.domain.bulk import Stage as Bulk
from worker.domain.outcomes import Outcome
from worker.domain.states import FINAL, JobState
from worker.ports import Job
from worker.services import control
from worker.store.audit_log import Filter, query
from worker.store.models import JOBS
from worker.store.rows import BULK
from worker.wiring import confirm_rules

pytestmark = pytest.mark.enable_socket

COUNT = 40
ON = "bulk_delete = { enabled = true, size = 4 }"
When = Callable[[Job, int], bool]


@pytest.fixture(params=["", ON], ids=["singles", "chunks"])
async def stage(
    request: pytest.FixtureRequest,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    few = "limits = { windows = [], per_day = 0, in_flight = 2 }"
    async with on_stage(sqlite_url, tmp_path, more=request.param) as ready:
        config = ready.desk.settings.config
        everyone = "limits = { windows = [], per_day = 0, in_flight = 20 }"
        config.write_text(config.read_text().replace(everyone, few))
        yield ready


chunks_alone = pytest.mark.parametrize("stage", [ON], ids=["chunks"], indirect=True)
singles_alone = pytest.mark.parametrize("stage", [""], ids=["singles"], indirect=True)


async def seeded(stage: Stage, mode: str = "ok", **fields: Any) -> list[str]:  # noqa: ANN401  what projects have
    ids: list[str] = await stage.tell(
        "seed", ORGANIZATION, projects=COUNT, created_step=60, **fields
    )
    await stage.tell("bulk", ORGANIZATION, mode=mode)
    return ids


async def submitted(stage: Stage, ids: list[str], **fields: Any) -> str:  # noqa: ANN401  any field of a request
    given = {"cascade": ("none",), **fields}
    return await asyncio.to_thread(lambda: stage.submit(ids, **given))


async def begun(stage: Stage, job_id: str) -> None:
    """A person reads the plan of a job and types its word."""
    job = await stage.planned(job_id)
    rules = confirm_rules(stage.desk.config.account("acme"))
    given = control.confirm(rules, actor="ada", word=job.plan.word, yes=False)
    stage.desk.jobs.change(job_id, given)


async def paused(stage: Stage, job_id: str, when: When) -> Job:
    """The job, which a person paused as soon as it stood so, with so many items gone."""

    def pause(number: int, name: str) -> None:  # noqa: ARG001  it is told what is written
        now = stage.desk.jobs.get(job_id)
        gone = stage.desk.jobs.counts(job_id).by_outcome.get(Outcome.DELETED, 0)
        if now.state in {JobState.PLANNING, JobState.RUNNING} and when(now, gone):
            stage.desk.jobs.change(job_id, control.pause(actor="ada"))

    stops = {JobState.PAUSED, *FINAL}
    job = await work_on(stage, job_id, stops, wreck=Wreck(hook=pause))
    assert job.state is JobState.PAUSED
    return job


async def half_way(stage: Stage, ids: list[str], when: When, **fields: Any) -> Job:  # noqa: ANN401  any field of a request
    """A job that was confirmed, and paused while it ran."""
    job_id = await submitted(stage, ids, **fields)
    await begun(stage, job_id)
    return await paused(stage, job_id, when)


async def resumed(stage: Stage, job: Job) -> Job:
    """The job at its end, after a person had it go on."""
    stage.desk.jobs.change(job.id, control.resume(actor="ada"))
    return await stage.finished(job.id)


def waited(stage: Stage, job: Job, hours: float) -> None:
    """Let so much time have gone by since all that the job did."""
    by = timedelta(hours=hours)
    with stage.desk.db.write() as conn:
        row = conn.execute(select(JOBS).where(JOBS.c.id == job.id)).one()
        times = {name: getattr(row, name) for name in ("planned_at", "started_at", "start_at")}
        values: dict[str, Any] = {name: at - by for name, at in times.items() if at}
        bulk = job.bulk
        since = {n: at - by for n in ("compared_at", "went_on_at") if (at := getattr(bulk, n))}
        values["bulk"] = BULK.dump_json(replace(bulk, **since)).decode()
        conn.execute(update(JOBS).where(JOBS.c.id == job.id).values(**values))


async def renamed(stage: Stage, job: Job) -> str:
    """The last project of the plan, by another name."""
    last = [item.seen.target.external_id for item in stage.items(job)][-1]
    now = {"project_id": last, "project_name": "Somebody else's"}
    await stage.tell("projects", ORGANIZATION, [now])
    return last


def comparisons(stage: Stage, job: Job) -> int:
    """How often the job was compared with the listing."""
    written = query(stage.desk.db, Filter(job=job.id, event=Event.JOB_CHANGED))
    return sum(entry.detail.get("bulk") == Bulk.REFRESH for entry in written)


def some_are_gone(job: Job, gone: int) -> bool:  # noqa: ARG001  it is told how the job stands
    return gone >= 2


def is_at(stage: Bulk) -> When:
    return lambda job, gone: job.bulk.stage is stage  # noqa: ARG005  it is told what is gone


# --- it is compared -----------------------------------------------------------


async def test_what_changed_in_a_long_pause_is_spared(stage: Stage) -> None:
    ids = await seeded(stage)
    job = await half_way(stage, ids, some_are_gone)
    changed = await renamed(stage, job)
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert set(await stage.left()) == {changed}
    assert stage.outcomes(job)["project", "skipped_changed"] == 1
    assert comparisons(stage, job) == 1


async def test_each_long_pause_is_followed_by_a_comparison(stage: Stage) -> None:
    ids = await seeded(stage)
    job = await half_way(stage, ids, some_are_gone)
    waited(stage, job, hours=3)
    stage.desk.jobs.change(job.id, control.resume(actor="ada"))
    job = await paused(
        stage,
        job.id,
        lambda job, _: bool(job.bulk.compared_at) and job.bulk.stage is not Bulk.REFRESH,
    )
    changed = await renamed(stage, job)
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert set(await stage.left()) == {changed}
    assert comparisons(stage, job) == 2


async def test_a_comparison_that_was_paused_itself_begins_anew(stage: Stage) -> None:
    ids = await seeded(stage)
    job = await half_way(stage, ids, some_are_gone)
    waited(stage, job, hours=3)
    stage.desk.jobs.change(job.id, control.resume(actor="ada"))
    job = await paused(stage, job.id, is_at(Bulk.REFRESH))
    changed = await renamed(stage, job)
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert set(await stage.left()) == {changed}
    assert comparisons(stage, job) == 2


@chunks_alone
async def test_a_canary_that_changed_meanwhile_is_taken_elsewhere(stage: Stage) -> None:
    ids = await seeded(stage)
    job = await half_way(
        stage, ids, lambda job, _: job.bulk.stage is Bulk.CANARY and bool(job.bulk.canary)
    )
    pair = {i.seen.target.external_id for i in stage.items(job) if i.id in job.bulk.canary}
    now = [{"project_id": id_, "project_name": "Somebody else's"} for id_ in pair]
    await stage.tell("projects", ORGANIZATION, now)
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert set(await stage.left()) == pair
    assert job.state is JobState.SUCCEEDED
    together = [row["ids"] for row in await stage.deletions() if len(row["ids"] or ()) > 1]
    assert len(together[0]) == 2
    assert len(together) > 2


@chunks_alone
async def test_what_a_proof_still_shows_is_compared_before_it_goes_by_itself(
    stage: Stage,
) -> None:
    ids = await seeded(stage, "silent_partial")
    await stage.tell("refused", ORGANIZATION, [ids[3]])
    job = await half_way(stage, ids, is_at(Bulk.PROOF))
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert stage.outcomes(job) == {
        ("project", "deleted"): COUNT - 1,
        ("project", "failed_refused"): 1,
    }
    assert comparisons(stage, job) == 1


@singles_alone
async def test_what_our_own_calls_modified_goes_on_after_a_long_pause(stage: Stage) -> None:
    ids = await seeded(stage, tasks=2)
    job = await half_way(stage, ids, some_are_gone, cascade=("tasks",), recheck_children=False)
    since = {"last_modified_time": "2026-11-20T10:00:00+0000"}
    await stage.tell("projects", ORGANIZATION, [{"project_id": id_, **since} for id_ in ids])
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert job.state is JobState.SUCCEEDED
    assert comparisons(stage, job) == 1


# --- it is not ----------------------------------------------------------------


async def test_a_short_pause_costs_no_comparison(stage: Stage) -> None:
    ids = await seeded(stage)
    job = await half_way(stage, ids, some_are_gone)

    job = await resumed(stage, job)

    assert job.state is JobState.SUCCEEDED
    assert comparisons(stage, job) == 0


async def test_a_job_that_was_paused_while_it_was_planned_has_a_plan_of_now(
    stage: Stage,
) -> None:
    job = await paused(stage, await submitted(stage, await seeded(stage)), lambda *_: True)
    waited(stage, job, hours=3)
    stage.desk.jobs.change(job.id, control.resume(actor="ada"))
    await begun(stage, job.id)

    job = await stage.finished(job.id)

    assert job.state is JobState.SUCCEEDED
    assert comparisons(stage, job) == 0


async def test_a_job_that_is_cancelled_in_its_pause_is_compared_no_more(stage: Stage) -> None:
    ids = await seeded(stage)
    job = await half_way(stage, ids, some_are_gone)
    waited(stage, job, hours=3)
    stage.desk.jobs.change(job.id, control.cancel(actor="ada"))

    job = await stage.finished(job.id)

    assert job.state is JobState.CANCELLED
    assert comparisons(stage, job) == 0


@chunks_alone
async def test_a_proof_that_was_paused_goes_on_and_nothing_left_is_compared(
    stage: Stage,
) -> None:
    ids = await seeded(stage)
    job = await half_way(stage, ids, is_at(Bulk.PROOF))
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert stage.outcomes(job) == {("project", "deleted"): COUNT}
    assert comparisons(stage, job) == 0


@singles_alone
async def test_projects_that_are_read_again_anyway_need_no_comparison(stage: Stage) -> None:
    ids = await seeded(stage, tasks=1)
    job = await half_way(stage, ids, some_are_gone, cascade=("tasks",))
    changed = await renamed(stage, job)
    waited(stage, job, hours=3)

    job = await resumed(stage, job)

    assert set(await stage.left()) == {changed}
    assert comparisons(stage, job) == 0
