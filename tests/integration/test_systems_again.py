"""What is done again: a timer whose worker died, and what a retry takes over."""

import asyncio

import pytest
from sqlalchemy import update

from tests.integration.stage import LEASE, ORGANIZATION, Stage
from worker.domain.onward import BY_LOST
from worker.domain.outcomes import Outcome
from worker.domain.states import JobState
from worker.domain.steps import Step
from worker.ports import Batch
from worker.services.execute import run_slice
from worker.store.models import ITEMS

pytestmark = pytest.mark.enable_socket


async def test_a_timer_whose_worker_died_is_stopped_again_and_not_looked_at(stage: Stage) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=2)
    await stage.tell("timer", ORGANIZATION)
    job_id = stage.submit(ids, cascade=("none",), stop_timer=True)
    await stage.planned(job_id)
    stage.desk.confirm(job_id, word=None, yes=True)
    work = stage.tools_of("acme").work
    taken = work.take_lease("acme", "dead", LEASE)
    assert taken is not None
    timer = stage.items(stage.desk.jobs.get(job_id))[0]
    work.commit(taken.lease, Batch(opens=[timer]), LEASE * -1)

    job = await stage.finished(job_id)

    timer = stage.items(job)[0]
    assert stage.outcomes(job) == {("timer", "deleted"): 1, ("project", "deleted"): 2}
    assert (timer.progress.step, timer.progress.lost, timer.progress.takeovers) == (
        Step.DELETE,
        1,
        1,
    )


async def test_a_retry_of_a_cleanup_is_a_cleanup_and_stops_no_other_timer(stage: Stage) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=2, tasks=2)
    stays = (await stage.left())[ids[1]]["tasks"][0]
    await stage.tell("refused", ORGANIZATION, [stays], kind="task")
    await stage.tell("timer", ORGANIZATION)
    first = await stage.run(ids, cascade=("tasks",), keep_projects=True, stop_timer=True)
    await stage.tell("refused", ORGANIZATION, [], kind="task")

    retried = stage.desk.retry(first.id, [Outcome.FAILED_REFUSED]).job
    await stage.planned(retried.id)
    stage.desk.confirm(retried.id, word=None, yes=True)
    second = await stage.finished(retried.id)

    assert stage.outcomes(first) == {
        ("timer", "deleted"): 1,
        ("task", "deleted"): 3,
        ("task", "failed_refused"): 1,
    }
    assert second.action == "cleanup"
    assert not second.options.stop_timer
    assert stage.outcomes(second) == {("task", "deleted"): 1}
    assert set(await stage.left()) == set(ids)


async def test_a_retry_stops_the_timer_that_still_runs(stage: Stage) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=1)
    await stage.tell("timer", ORGANIZATION)
    rule = {"kind": "refuse", "match": {"kind": "timer"}, "code": 9001, "text": "Not now."}
    await stage.tell("faults", [rule])
    await stage.tell("refused", ORGANIZATION, ids)
    first = await stage.run(ids, cascade=("none",), stop_timer=True)

    retried = stage.desk.retry(first.id, [Outcome.FAILED_REFUSED]).job

    assert stage.outcomes(first)["timer", "failed_refused"] == 1
    assert retried.options.stop_timer
    assert [item.seen.target.kind for item in stage.items(retried)] == ["timer", "project"]


async def test_a_job_that_is_cancelled_while_it_waits_for_the_timer_leaves_the_rest(
    stage: Stage,
) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=2)
    await stage.tell("timer", ORGANIZATION)
    job_id = stage.submit(ids, cascade=("none",), stop_timer=True)
    await stage.planned(job_id)

    stage.desk.cancel(job_id)
    job = await stage.finished(job_id)

    assert stage.outcomes(job) == {("timer", "unprocessed"): 1, ("project", "unprocessed"): 2}
    assert await stage.deletions() == []


async def test_nothing_is_asked_for_while_a_selection_waits_for_its_word(stage: Stage) -> None:
    await stage.tell("seed", ORGANIZATION, projects=3)
    job_id = stage.submit(filters=("status=active",), cascade=("none",))
    job = await stage.planned(job_id)

    await run_slice(stage.tools_of("acme"), stage.pulses.of("acme"), asyncio.Event())

    assert job.plan.items == 3
    assert await stage.deletions() == []


@pytest.mark.parametrize("cascade", ["none", "tasks"])
@pytest.mark.parametrize("is_gone", [True, False])
async def test_what_an_attempt_of_the_first_job_may_have_deleted_was_not_absent_before(
    stage: Stage, cascade: str, *, is_gone: bool
) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=2)
    first = await stage.run(ids[:1], cascade=(cascade,))
    with stage.desk.db.write() as conn:
        unknown = {"outcome": "unknown", "external_id": ids[1]}
        conn.execute(update(ITEMS).where(ITEMS.c.job_id == first.id).values(unknown))
    if is_gone:
        await stage.tell("remove", ORGANIZATION, ids[1])

    retried = stage.desk.retry(first.id, [Outcome.UNKNOWN]).job
    if (await stage.planned(retried.id)).state is JobState.AWAITING_CONFIRMATION:
        stage.desk.confirm(retried.id, word=None, yes=True)
    second = await stage.finished(retried.id)

    assert stage.outcomes(second) == {("project", "deleted"): 1}
    assert (stage.items(second)[0].reason == BY_LOST) == is_gone
