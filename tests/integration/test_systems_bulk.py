"""Bulk deletes from the plan to the proof, against a provider that does it in every way."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.integration.stage import ORGANIZATION, TOKEN, Stage, on_stage
from worker.domain.bulk import Stage as Bulk
from worker.domain.states import JobState
from worker.ports import Job
from worker.services import control
from worker.store.models import JOBS
from worker.wiring import confirm_rules

pytestmark = pytest.mark.enable_socket

COUNT = 120
ON = "bulk_delete = { enabled = true, size = 25 }"


@pytest.fixture
async def stage(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    async with on_stage(sqlite_url, tmp_path, more=ON) as ready:
        yield ready


async def seeded(stage: Stage, mode: str, count: int = COUNT, **rules: Any) -> list[str]:  # noqa: ANN401  any rule of the bulk delete
    ids: list[str] = await stage.tell("seed", ORGANIZATION, projects=count, created_step=60)
    await stage.tell("bulk", ORGANIZATION, mode=mode, **rules)
    return ids


async def chunks(stage: Stage) -> list[dict[str, Any]]:
    return [row for row in await stage.deletions() if len(row["ids"] or ()) > 1]


async def confirmed(stage: Stage, job: Job) -> Job:
    """The job after a person typed the word of its plan."""
    rules = confirm_rules(stage.desk.config.account(job.account))
    decide = control.confirm(rules, actor="ada", word=job.plan.word, yes=False)
    return stage.desk.jobs.change(job.id, decide)


async def test_projects_go_in_chunks_and_a_listing_proves_them(stage: Stage) -> None:
    ids = await seeded(stage, "ok")

    job = await stage.run(ids, cascade=("none",))

    assert job.state is JobState.SUCCEEDED
    assert stage.outcomes(job) == {("project", "deleted"): COUNT}
    assert not await stage.left()
    sizes = [len(row["ids"]) for row in await chunks(stage)]
    assert sizes[0] == 2
    assert sum(sizes) == COUNT
    assert len(sizes) == 1 + -(-(COUNT - 2) // 25)


async def test_the_price_is_what_it_costs(stage: Stage) -> None:
    ids = await seeded(stage, "ok")
    job_id = stage.submit(ids, cascade=("none",))
    planned = await stage.planned(job_id)
    before = len(await stage.tell("ledger"))

    await confirmed(stage, planned)
    await stage.finished(job_id)

    assert planned.plan.calls == len(await stage.tell("ledger")) - before
    assert planned.plan.calls < COUNT / 5


@pytest.mark.parametrize("mode", ["atomic", "silent_partial", "named_partial", "skipped_info"])
async def test_exactly_the_refused_ids_fail_however_the_provider_says_so(
    stage: Stage, mode: str
) -> None:
    ids = await seeded(stage, mode)
    refused = {ids[3], ids[60], ids[61], ids[100]}
    await stage.tell("refused", ORGANIZATION, sorted(refused))

    job = await stage.run(ids, cascade=("none",))

    assert job.state is JobState.PARTIALLY_SUCCEEDED
    failed = {i.seen.target.external_id for i in stage.items(job) if i.outcome == "failed_refused"}
    assert failed == refused == set(await stage.left())
    assert stage.outcomes(job)["project", "deleted"] == COUNT - 4
    assert all(i.reason for i in stage.items(job) if i.outcome == "failed_refused")


@pytest.mark.parametrize("mode", ["ok", "silent_partial", "atomic"])
async def test_ids_that_no_listing_shows_go_by_themselves_and_are_not_called_deleted(
    stage: Stage, mode: str
) -> None:
    ids = await seeded(stage, mode)
    strangers = ["999000000000001", "999000000000002", "999000000000003"]

    job = await stage.run([*ids[:50], *strangers, *ids[50:]], cascade=("none",))

    absent = {i.seen.target.external_id for i in stage.items(job) if i.outcome == "already_absent"}
    assert absent == set(strangers)
    assert stage.outcomes(job)["project", "deleted"] == COUNT
    together = {id_ for row in await chunks(stage) for id_ in row["ids"]}
    assert not together & absent
    assert job.plan.calls_by_endpoint["DELETE project"] == len(strangers)


@pytest.mark.parametrize("mode", ["off", "unknown_url", "unknown_parameter", "ignore"])
async def test_no_bulk_delete_takes_one_call_and_a_new_confirmation(
    stage: Stage, mode: str
) -> None:
    ids = await seeded(stage, mode)
    job_id = stage.submit(ids, cascade=("none",))
    first = await stage.planned(job_id)
    await confirmed(stage, first)

    again = await stage.planned(job_id)

    assert again.state is JobState.AWAITING_CONFIRMATION
    assert len(await chunks(stage)) == 1
    assert sorted(await stage.left()) == sorted(ids)
    assert again.plan.word != first.plan.word
    assert again.plan.calls == COUNT
    assert "bulk_refused" in {finding.code for finding in again.plan.findings}

    await confirmed(stage, again)
    job = await stage.finished(job_id)

    assert stage.outcomes(job) == {("project", "deleted"): COUNT}
    assert len(await chunks(stage)) == 1


async def test_a_bulk_delete_that_takes_but_one_is_left_alone(stage: Stage) -> None:
    ids = await seeded(stage, "first_only")
    job_id = stage.submit(ids, cascade=("none",))
    await confirmed(stage, await stage.planned(job_id))

    again = await stage.planned(job_id)

    assert again.bulk.stage is Bulk.OFF
    assert again.plan.items == COUNT - 2
    assert len(await stage.left()) == COUNT - 2


async def test_children_end_with_projects_that_go_in_chunks(stage: Stage) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=30, tasks=2)
    await stage.tell("bulk", ORGANIZATION, mode="silent_partial")
    await stage.tell("refused", ORGANIZATION, [ids[20]])

    job = await stage.run(ids, cascade=("tasks",), cascade_mode="background")

    assert stage.outcomes(job) == {
        ("project", "deleted"): 29,
        ("project", "failed_refused"): 1,
        ("task", "deleted_with_parent"): 58,
        ("task", "dependency_failed"): 2,
    }


async def test_few_projects_go_one_by_one(stage: Stage) -> None:
    ids = await seeded(stage, "ok")

    await stage.run(ids[:6], cascade=("none",))

    assert await chunks(stage) == []


async def test_a_project_modified_since_an_old_plan_is_spared(stage: Stage) -> None:
    ids = await seeded(stage, "ok")
    job_id = stage.submit(ids, cascade=("none",))
    await stage.planned(job_id)
    since = {"project_id": ids[5], "last_modified_time": "2026-11-20T10:00:00+0000"}
    await stage.tell("projects", ORGANIZATION, [since])
    aged(stage, job_id)

    await confirmed(stage, stage.desk.jobs.get(job_id))
    job = await stage.finished(job_id)

    assert stage.outcomes(job)["project", "skipped_changed"] == 1
    assert set(await stage.left()) == {ids[5]}


@pytest.mark.parametrize("mode", ["off", "ok"])
async def test_an_old_plan_is_compared_with_the_listing_before_anything_goes(
    stage: Stage, mode: str
) -> None:
    ids = await seeded(stage, mode)
    if mode == "off":
        config = stage.desk.settings.config
        config.write_text(config.read_text().replace(ON, ""))
    job_id = stage.submit(ids, cascade=("none",))
    planned = await stage.planned(job_id)
    pages = planned.list_pages
    await stage.tell("remove", ORGANIZATION, ids[5])
    await stage.tell(
        "projects", ORGANIZATION, [{"project_id": ids[5], "project_name": "Somebody else's"}]
    )
    aged(stage, job_id)
    before = len(await stage.tell("ledger"))

    await confirmed(stage, stage.desk.jobs.get(job_id))
    job = await stage.finished(job_id)

    assert stage.outcomes(job) == {
        ("project", "deleted"): COUNT - 1,
        ("project", "skipped_changed"): 1,
    }
    assert set(await stage.left()) == {ids[5]}
    rows = (await stage.tell("ledger"))[before:]
    assert {row["method"] for row in rows[:pages]} == {"GET"}
    assert all(row["path"].endswith("/projects") for row in rows[:pages])


async def test_a_plan_made_anew_without_chunks_is_compared_too_once_it_is_old(
    stage: Stage,
) -> None:
    ids = await seeded(stage, "off")
    job_id = stage.submit(ids, cascade=("none",))
    await confirmed(stage, await stage.planned(job_id))
    again = await stage.planned(job_id)
    await stage.tell("remove", ORGANIZATION, ids[5])
    await stage.tell(
        "projects", ORGANIZATION, [{"project_id": ids[5], "project_name": "Somebody else's"}]
    )
    aged(stage, job_id)

    await confirmed(stage, again)
    job = await stage.finished(job_id)

    assert stage.outcomes(job) == {
        ("project", "deleted"): COUNT - 1,
        ("project", "skipped_changed"): 1,
    }
    assert set(await stage.left()) == {ids[5]}


def aged(stage: Stage, job_id: str) -> None:
    """Let the plan of a job be two hours old."""
    planned_at = JOBS.c.planned_at
    with stage.desk.db.write() as conn:
        then = conn.execute(select(planned_at).where(JOBS.c.id == job_id)).scalar_one()
        old = then - timedelta(hours=2)
        conn.execute(update(JOBS).where(JOBS.c.id == job_id).values(planned_at=old))


async def test_what_chunks_leave_does_not_trip_the_breaker_for_failures_in_a_row(
    stage: Stage,
) -> None:
    ids = await seeded(stage, "silent_partial")
    await stage.tell("refused", ORGANIZATION, ids[:40])

    job = await stage.run(ids, cascade=("none",))

    assert stage.outcomes(job) == {
        ("project", "deleted"): COUNT - 40,
        ("project", "failed_refused"): 40,
    }
