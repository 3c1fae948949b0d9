"""Bulk deletes while everything goes wrong: nothing is said that the provider would deny."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stage import ORGANIZATION, TOKEN, Stage, on_stage
from tests.integration.wrecking import Wreck, work_on
from worker.domain.bulk import TOO_MUCH
from worker.domain.bulk import Stage as Bulk
from worker.domain.plan import Protection
from worker.domain.states import FINAL, JobState
from worker.ports import Job
from worker.services import control
from worker.store.verify import verify
from worker.wiring import confirm_rules

pytestmark = pytest.mark.enable_socket

COUNT = 14
ON = "bulk_delete = { enabled = true, size = 4 }"
HALTS = {*FINAL, JobState.AWAITING_CONFIRMATION, JobState.PAUSED}
CHUNK = {"method": "DELETE", "path_regex": "/projects$"}
PAGE = {"method": "GET", "path_regex": "/projects$"}
READ = {"method": "GET", "path_regex": "/projects/[0-9]+$"}


@pytest.fixture
async def stage(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    async with on_stage(sqlite_url, tmp_path, more=ON) as ready:
        yield ready


async def seeded(stage: Stage, mode: str = "ok", count: int = COUNT, **rules: Any) -> list[str]:  # noqa: ANN401  any rule of the bulk delete
    ids: list[str] = await stage.tell("seed", ORGANIZATION, projects=count, created_step=60)
    await stage.tell("bulk", ORGANIZATION, mode=mode, **rules)
    return ids


async def submitted(stage: Stage, ids: Collection[str], **fields: Any) -> str:  # noqa: ANN401  any field of a request
    return await asyncio.to_thread(lambda: stage.submit(ids, cascade=("none",), **fields))


def confirm(stage: Stage, job: Job) -> None:
    rules = confirm_rules(stage.desk.config.account(job.account))
    given = control.confirm(rules, actor="ada", word=job.plan.word, yes=False)
    stage.desk.jobs.change(job.id, given)


async def planned(stage: Stage, ids: Collection[str], **fields: Any) -> Job:  # noqa: ANN401  any field of a request
    """A job whose plan is confirmed and not begun."""
    job = await stage.planned(await submitted(stage, ids, **fields))
    confirm(stage, job)
    return stage.desk.jobs.get(job.id)


async def seen_through(stage: Stage, job_id: str, wreck: Wreck | None = None) -> Job:
    """The job at its end: every plan is confirmed, every pause ended."""
    for _ in range(8):
        ends = bool(stage.desk.jobs.get(job_id).stopping)
        job = await work_on(stage, job_id, set(FINAL) if ends else HALTS, wreck=wreck)
        if job.state in FINAL:
            await judged(stage, job)
            return job
        if job.state is JobState.PAUSED:
            stage.desk.jobs.change(job_id, control.resume(actor="ada"))
        elif not job.stopping:
            confirm(stage, job)
    raise AssertionError(f"{job_id} halts again and again")


async def judged(stage: Stage, job: Job) -> None:
    """What the job says of its projects, against the provider's own books."""
    assert verify(stage.desk.db, job.id).problems == ()
    counts = stage.desk.jobs.counts(job.id)
    assert (counts.open, sum(counts.by_outcome.values())) == (0, counts.total)
    living = set(await stage.left())
    ledger = await stage.tell("ledger")
    ours = {id_ for row in ledger for id_ in row["deleted_ids"]}
    by_outcome = outcomes(stage, job)
    assert not by_outcome.get("deleted", set()) & living
    assert not by_outcome.get("already_absent", set()) & (living | ours)
    for outcome in ("failed_refused", "skipped_protected", "unprocessed"):
        assert by_outcome.get(outcome, set()) <= living
    assert ours <= stage.selected(job) | touched_by_others(stage, job)


def touched_by_others(stage: Stage, job: Job) -> set[str]:
    """The projects of the account's other jobs."""
    others = [other for other in stage.desk.jobs.recent() if other.id != job.id]
    return {id_ for other in others for id_ in stage.selected(other)}


def outcomes(stage: Stage, job: Job) -> dict[str, set[str]]:
    """The projects by outcome."""
    found: dict[str, set[str]] = {}
    for item in stage.items(job):
        found.setdefault(str(item.outcome), set()).add(item.seen.target.external_id)
    return found


# --- calls go wrong -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["lost_after", "lost_before", "error_after", "garbage"])
@pytest.mark.parametrize("first_n", [1, 3], ids=["canary", "chunks"])
async def test_bulk_deletes_without_an_answer_are_proven_all_the_same(
    stage: Stage, kind: str, first_n: int
) -> None:
    ids = await seeded(stage, "silent_partial")
    await stage.tell("refused", ORGANIZATION, [ids[1]])
    fault = {"kind": kind, "match": CHUNK, "first_n": first_n, "retry_after": 0.01}
    await stage.tell("faults", [fault])

    job = await seen_through(stage, await submitted(stage, ids))

    assert outcomes(stage, job)["failed_refused"] == {ids[1]}
    assert len(outcomes(stage, job)["deleted"]) == COUNT - 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "throttle", "retry_after": 1},
        {"kind": "lost_before"},
        {"kind": "garbage", "body": "list"},
        {"kind": "garbage", "body": "empty"},
        {"kind": "refuse"},
    ],
    ids=str,
)
async def test_a_proof_whose_pages_cannot_be_read_waits_for_them(
    stage: Stage, fault: dict[str, Any]
) -> None:
    ids = await seeded(stage, "silent_partial")
    await stage.tell("refused", ORGANIZATION, [ids[1], ids[9]])
    job = await planned(stage, ids)
    await stage.tell("faults", [{**fault, "match": PAGE, "first_n": 1}])

    job = await seen_through(stage, job.id)

    assert outcomes(stage, job)["failed_refused"] == {ids[1], ids[9]}


async def test_reads_that_fail_delay_the_canary_and_no_more(stage: Stage) -> None:
    ids = await seeded(stage)
    fault = {"kind": "error_before", "match": READ, "every_n": 2, "count": 5}
    await stage.tell("faults", [fault])

    job = await seen_through(stage, await submitted(stage, ids))

    assert outcomes(stage, job) == {"deleted": set(ids)}


async def test_a_status_that_the_list_hides_is_not_taken_for_gone(stage: Stage) -> None:
    ids = await seeded(stage, "silent_partial")
    done = [{"project_id": id_, "status": "completed"} for id_ in ids]
    await stage.tell("projects", ORGANIZATION, done)
    await stage.tell("organization", ORGANIZATION, token=TOKEN, hidden_status="completed")
    await stage.tell("refused", ORGANIZATION, [ids[1], ids[9]])

    job = await seen_through(stage, await submitted(stage, (), filters=("status=completed",)))

    assert outcomes(stage, job)["failed_refused"] == {ids[1], ids[9]}
    assert set(await stage.left()) == {ids[1], ids[9]}


async def test_where_a_list_of_every_status_is_refused_each_project_is_read(stage: Stage) -> None:
    ids = await seeded(stage, "silent_partial")
    await stage.tell("refused", ORGANIZATION, [ids[9]])
    job_id = await submitted(stage, ids)
    job = await stage.planned(job_id)
    await stage.tell("faults", [{"kind": "refuse", "status": 400, "code": 2, "match": PAGE}])
    confirm(stage, job)

    ended = await seen_through(stage, job_id)

    assert outcomes(stage, ended)["failed_refused"] == {ids[9]}
    assert set(await stage.left()) == {ids[9]}


async def test_a_bulk_delete_that_is_refused_half_way_leaves_no_call_uncounted(
    stage: Stage,
) -> None:
    ids = await seeded(stage, count=40)
    refusal = {"kind": "refuse", "match": CHUNK, "status": 400, "code": 2, "every_n": 4}
    await stage.tell("latency", 0.05, 0.04)
    await stage.tell("faults", [{**refusal, "count": 1}])
    job = await planned(stage, ids)

    again = await work_on(stage, job.id, HALTS)

    assert (again.state, again.bulk.stage) == (JobState.AWAITING_CONFIRMATION, Bulk.OFF)
    open_ = {i.seen.target.external_id for i in stage.items(again) if i.outcome is None}
    assert open_ == set(await stage.left()) != set()
    assert again.plan.items == len(open_)
    await seen_through(stage, job.id)


# --- what the provider does besides -------------------------------------------


@pytest.mark.parametrize("mode", ["one_more", "everything"])
async def test_a_bulk_delete_that_takes_a_neighbour_pauses_the_job(
    stage: Stage, mode: str
) -> None:
    ids = await seeded(stage, mode)
    job = await planned(stage, ids)

    paused = await work_on(stage, job.id, HALTS)

    assert paused.state is JobState.PAUSED
    assert paused.waiting_on is not None
    assert TOO_MUCH in paused.waiting_on.sentence
    chunks = [row for row in await stage.deletions() if len(row["ids"] or ()) > 1]
    assert len(chunks) == 1


async def test_a_canary_without_a_neighbour_is_taken_elsewhere(stage: Stage) -> None:
    ids = await seeded(stage)
    job_id = await submitted(stage, ids)
    gone: set[str] = set()

    def take_neighbours(number: int, name: str) -> None:  # noqa: ARG001  it is told what is written
        job = stage.desk.jobs.get(job_id)
        if job.bulk.witnesses and not gone:
            near = [i for i in stage.items(job) if i.id in job.bulk.witnesses]
            gone.update(item.seen.target.external_id for item in near)
            for id_ in gone:
                stage.control.remove(ORGANIZATION, id_)

    job = await seen_through(stage, job_id, Wreck(hook=take_neighbours))

    assert len(gone) == 2
    assert outcomes(stage, job)["already_absent"] == gone
    assert outcomes(stage, job)["deleted"] == set(ids) - gone


# --- a person, a dead holder, a rule that comes late --------------------------


async def test_a_lost_canary_is_looked_at_before_a_plan_without_chunks_is_made(
    stage: Stage,
) -> None:
    ids = await seeded(stage, "off")
    job_id = await submitted(stage, ids)

    def is_refusal(number: int, name: str) -> None:
        if name == "commit" and stage.desk.jobs.get(job_id).bulk.refusal and not wreck.at:
            wreck.at = number

    wreck = Wreck(hook=is_refusal)
    job = await work_on(stage, job_id, HALTS, wreck=wreck)
    confirm(stage, job)
    again = await work_on(stage, job_id, HALTS, wreck=wreck)

    assert wreck.seen == "commit"
    assert again.state is JobState.AWAITING_CONFIRMATION
    stage.desk.jobs.change(job_id, control.cancel(actor="ada"))
    ended = await seen_through(stage, job_id)
    assert outcomes(stage, ended) == {"unprocessed": set(ids)}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [14, 19, 24, 29, 33])
async def test_a_holder_that_dies_at_any_write_leaves_nothing_undone_or_untrue(
    stage: Stage, number: int, *, after: bool
) -> None:
    ids = await seeded(stage, "silent_partial")
    await stage.tell("refused", ORGANIZATION, [ids[2], ids[7]])
    wreck = Wreck(at=number, after=after)

    job = await seen_through(stage, await submitted(stage, ids), wreck)

    assert wreck.seen
    refused = {ids[2], ids[7]}
    assert outcomes(stage, job) == {"failed_refused": refused, "deleted": set(ids) - refused}


@pytest.mark.parametrize("number", [13, 16, 20, 25])
async def test_a_cancelled_job_says_what_is_gone_and_what_is_left(
    stage: Stage, number: int
) -> None:
    ids = await seeded(stage, "silent_partial")
    job_id = await submitted(stage, ids)

    def stop(written: int, name: str) -> None:  # noqa: ARG001  it is told what is written
        if written == number:
            stage.desk.jobs.change(job_id, control.cancel(actor="eve"))

    job = await seen_through(stage, job_id, Wreck(hook=stop))

    assert job.state is JobState.CANCELLED
    assert set(await stage.left()) == outcomes(stage, job).get("unprocessed", set())


async def test_projects_that_come_under_a_protection_after_the_plan_are_spared(
    stage: Stage,
) -> None:
    ids = await seeded(stage)
    job = await planned(stage, ids)
    tools = stage.tools_of("acme")
    kept = frozenset(ids[4:7])
    facts = replace(tools.facts, protection=Protection(ids=kept))
    stage.tools["acme"] = replace(tools, facts=facts)

    job = await seen_through(stage, job.id)

    assert outcomes(stage, job) == {"skipped_protected": kept, "deleted": set(ids) - kept}


async def test_jobs_of_one_account_go_by_chunks_side_by_side(stage: Stage) -> None:
    ids = await seeded(stage, "silent_partial", count=45)
    await stage.tell("refused", ORGANIZATION, [ids[7], ids[22]])
    parts = [ids[:15], ids[15:30], ids[30:]]
    jobs = [await submitted(stage, part, yes=True) for part in parts]

    for job_id, part in zip(jobs, parts, strict=True):
        job = await seen_through(stage, job_id)
        refused = set(part) & {ids[7], ids[22]}
        assert outcomes(stage, job).get("failed_refused", set()) == refused
        assert outcomes(stage, job)["deleted"] == set(part) - refused


# --- others at work -----------------------------------------------------------


async def test_a_rival_makes_no_project_gone_that_lives(stage: Stage) -> None:
    ids = await seeded(stage, "silent_partial", count=60)
    await stage.tell("refused", ORGANIZATION, ids[::10])
    others = await stage.tell(
        "seed", ORGANIZATION, projects=1500, first_id=70_000_000, created_step=3
    )
    job = await planned(stage, ids)
    much = {"rate": 300, "seconds": 30, "back_seconds": 40_000_000, "ids": others}
    await stage.tell("rival", ORGANIZATION, **much)

    job = await seen_through(stage, job.id)

    await stage.tell("stop_rival", ORGANIZATION)
    assert outcomes(stage, job)["failed_refused"] == set(ids[::10])
    assert outcomes(stage, job)["deleted"] == set(ids) - set(ids[::10])
