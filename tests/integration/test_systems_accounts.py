"""Accounts of all kinds in one job store: their projects have the same ids, and nothing mixes."""

import asyncio

import pytest

from tests.integration.stage import CRM, OLD, ORGANIZATION, Stage
from worker.domain.states import JobState

pytestmark = pytest.mark.enable_socket

WHERE = {"acme": ORGANIZATION, "old": OLD, "crm": CRM}


async def test_the_same_ids_in_three_accounts_are_three_sets_of_projects(stage: Stage) -> None:
    for organization in WHERE.values():
        await stage.tell("seed", organization, projects=40, first_id=100_000)
    ids = list(await stage.left())
    wanted = {"acme": ids[:10], "old": ids[5:20], "crm": ids[30:]}
    cascades = {"acme": ("none",), "old": ("all",), "crm": None}

    jobs = await asyncio.gather(
        *(stage.run(wanted[name], account=name, cascade=cascades[name]) for name in WHERE)
    )

    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    for job in jobs:
        assert stage.outcomes(job) == {("project", "deleted"): len(wanted[job.account])}
        left = await stage.left(WHERE[job.account])
        assert set(ids) - set(left) == set(wanted[job.account])
    paths = {row["path"].split("/projects")[0] for row in await stage.deletions()}
    assert len(paths) == 3
