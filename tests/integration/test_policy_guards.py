"""A policy's own guard: above it a run waits for a person, and deletes nothing by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.stage import ORGANIZATION, TOKEN, Stage, on_stage
from worker.domain.plan import FindingLevel
from worker.domain.states import JobState
from worker.policies import PolicyDesk
from worker.ports import Job

pytestmark = [pytest.mark.number("operate-3"), pytest.mark.enable_socket]

POLICY = """
[policies.clean]
account = "acme"
schedule = "0 3 1 1 *"
select = { status = "active" }
cascade = ["none"]
confirm = "auto"
guard = { GUARD }
"""


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    more = POLICY.replace("GUARD", request.param)
    async with on_stage(sqlite_url, tmp_path, more=more) as stage:
        yield stage


async def a_run(stage: Stage, projects: int) -> Job:
    """A run of the policy over that many new projects, as far as it goes by itself."""
    await stage.tell("seed", ORGANIZATION, projects=projects)
    job = PolicyDesk(stage.desk).run("clean").job
    return await stage.planned(job.id)


def asks(job: Job) -> set[str]:
    return {f.code for f in job.plan.findings if f.level is FindingLevel.ASK}


@pytest.mark.parametrize("stage", ["max_items = 3, max_percent = 100"], indirect=True)
async def test_at_its_limit_a_policy_confirms_itself_and_above_it_a_person_decides(
    stage: Stage,
) -> None:
    within = await a_run(stage, 3)
    await stage.finished(within.id)
    above = await a_run(stage, 4)

    assert len(await stage.deletions()) == 3
    assert above.state is JobState.AWAITING_CONFIRMATION
    assert asks(above) == {"max_items"}
    stage.desk.confirm(above.id, word=above.plan.word)
    assert (await stage.finished(above.id)).state is JobState.SUCCEEDED
    assert len(await stage.deletions()) == 7


@pytest.mark.parametrize("stage", ["max_percent = 50"], indirect=True)
async def test_a_share_of_all_projects_is_counted_for_a_policy(stage: Stage) -> None:
    job = await a_run(stage, 4)

    assert asks(job) == {"max_percent"}
    assert await stage.deletions() == []


@pytest.mark.parametrize("stage", ["max_times_median = 2"], indirect=True)
async def test_a_run_is_held_against_the_median_of_those_before(stage: Stage) -> None:
    for projects in (2, 3, 2):
        usual = await a_run(stage, projects)
        await stage.finished(usual.id)

    large = await a_run(stage, 5)

    assert asks(large) == {"max_times_median"}
    assert len(await stage.deletions()) == 7
