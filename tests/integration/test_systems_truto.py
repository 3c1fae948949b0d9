"""Truto from the first call to the last: cursors, options, statuses, and what it does not show."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.integration.stage import CRM, TOKEN, Stage, on_stage
from worker.domain.errors import InvalidInput
from worker.domain.states import JobState

pytestmark = pytest.mark.enable_socket

FORMATS = ["unified", "raw", "normalized", "stream", "debug"]


@pytest.fixture
async def pipeliner(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    async with on_stage(sqlite_url, tmp_path, crm="pipeliner") as set_up:
        yield set_up


@pytest.mark.parametrize("word", FORMATS)
async def test_a_deletion_is_understood_in_every_format(stage: Stage, word: str) -> None:
    ids = await stage.tell("seed", CRM, projects=5, status=["open", "closed"])
    options = (
        f"truto_response_format={word}",
        "truto_ignore_remote_data=true",
        "truto_exclude_fields=name,status",
        "remote_query.embed=team",
    )

    job = await stage.run(ids, account="crm", provider_options=options)

    assert stage.outcomes(job) == {("project", "deleted"): 5}
    assert await stage.left(CRM) == {}
    query = (await stage.deletions())[0]["query"]
    assert unquote(query) == (
        f"integrated_account_id={CRM}&truto_response_format={word}&truto_ignore_remote_data=true"
        "&truto_exclude_fields[]=name&truto_exclude_fields[]=status&remote_query[embed]=team"
    )


async def test_pages_without_projects_do_not_end_a_listing(stage: Stage) -> None:
    await stage.tell("truto", CRM, token=TOKEN, provider="capsule", empty_pages=[1, 3])
    ids = await stage.tell("seed", CRM, projects=320, status=["open", "closed"])

    job = await stage.run(filters=("status=closed",), account="crm")

    assert job.state is JobState.SUCCEEDED
    assert stage.selected(job) == set(ids[1::2])
    assert set(await stage.left(CRM)) == set(ids[::2])


async def test_portable_filters_are_held_against_what_the_list_shows(stage: Stage) -> None:
    ids = await stage.tell("seed", CRM, projects=6, created_step=86_400, status=["open"])

    job = await stage.run(filters=("created_before=2025-01-09",), account="crm")

    assert stage.selected(job) == set(ids[:3])


async def test_the_statuses_are_those_of_the_provider_behind(pipeliner: Stage) -> None:
    stage = pipeliner
    ids = await stage.tell("seed", CRM, projects=4, status=["completed", "in progress"])

    with pytest.raises(InvalidInput, match="closed"):
        stage.submit(filters=("status=closed",), account="crm")
    job = await stage.run(filters=("status=in progress",), account="crm")

    assert stage.selected(job) == set(ids[1::2])


async def test_a_plan_says_what_truto_does_not_show(stage: Stage) -> None:
    ids = await stage.tell("seed", CRM, projects=2, tasks=3, status=["open"])

    job = await stage.run([*ids, "no-such-project"], account="crm")

    assert {finding.code for finding in job.plan.findings} == {"blind", "not_listed"}
    assert stage.outcomes(job) == {("project", "deleted"): 2, ("project", "already_absent"): 1}


async def test_options_that_there_are_not_keep_no_job(stage: Stage) -> None:
    with pytest.raises(InvalidInput, match="truto_response"):
        stage.submit(["1"], account="crm", provider_options=("truto_response=raw",))
    with pytest.raises(InvalidInput, match="no options"):
        stage.submit(["1"], cascade=("none",), provider_options=("truto_response_format=raw",))
    with pytest.raises(InvalidInput, match="no timer"):
        stage.submit(["1"], account="crm", stop_timer=True)

    assert not stage.desk.jobs.recent()
