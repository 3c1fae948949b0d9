"""What is SQL of its own for filters, cleanup and the timer, on PostgreSQL."""

from pathlib import Path

import pytest

from tests.integration.stage import ORGANIZATION, TOKEN, on_stage
from worker.domain.states import JobState

pytestmark = [pytest.mark.enable_socket, pytest.mark.integration]


async def test_a_cleanup_by_filters_with_a_timer(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    async with on_stage(postgresql_url, tmp_path) as stage:
        ids = await stage.tell(
            "seed",
            ORGANIZATION,
            projects=450,
            tasks=1,
            users=2,
            current_user=True,
            status=["active"] * 99 + ["inactive"],
        )
        await stage.tell("timer", ORGANIZATION)

        job = await stage.run(
            filters=("status=inactive",), cascade=("all",), keep_projects=True, stop_timer=True
        )

        assert job.state is JobState.SUCCEEDED
        assert stage.outcomes(job) == {
            ("timer", "deleted"): 1,
            ("task", "deleted"): 4,
            ("user", "deleted"): 4,
        }
        assert job.plan.kept == {"project": 4, "user": 4}
        assert (await stage.deletions())[0]["kind"] == "timer"
        assert set(await stage.left()) == set(ids)

        job = await stage.run(filters=("status=inactive",), cascade=("none",))

        assert stage.outcomes(job) == {("project", "deleted"): 4}
