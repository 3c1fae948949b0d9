"""Jobs of one account share it, those that come later too."""

from typing import Any

import pytest

from tests.integration.stage import ORGANIZATION, Stage
from worker.domain.calls import Action, Answer, Call
from worker.domain.states import JobState
from worker.ports import Provider
from worker.services import control
from worker.wiring import confirm_rules

pytestmark = pytest.mark.enable_socket


class Watched:
    """A provider that has a person act in the middle of a slice."""

    def __init__(self, inner: Provider, after: int, act: Any) -> None:  # noqa: ANN401  a callable
        self._inner, self._left, self._act = inner, after, act

    async def perform(self, call: Call) -> Answer:
        self._left -= call.action is Action.DELETE
        if self._left == 0:
            self._act()
        return await self._inner.perform(call)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_a_small_job_does_not_wait_for_the_slice_of_a_large_one(stage: Stage) -> None:
    ids: list[str] = await stage.tell("seed", ORGANIZATION, projects=150)
    large = stage.submit(ids[:140], cascade=("none",))
    small = stage.submit(ids[140:], cascade=("none",))
    for job_id in (large, small):
        await stage.planned(job_id)

    def confirm(job_id: str) -> None:
        job = stage.desk.jobs.get(job_id)
        rules = confirm_rules(stage.desk.config.account(job.account))
        decide = control.confirm(rules, actor="ada", word=job.plan.word, yes=False)
        stage.desk.jobs.change(job_id, decide)

    tools = stage.tools_of("acme")
    stage.tools["acme"] = stage.with_provider(
        tools, Watched(tools.provider, 30, lambda: confirm(small))
    )
    confirm(large)

    assert (await stage.finished(large)).state is JobState.SUCCEEDED
    assert (await stage.finished(small)).state is JobState.SUCCEEDED
    order = [row["id"] for row in await stage.deletions()]
    last = max(order.index(one) for one in ids[140:])
    assert last < 30 + 2 * 20 + 3 * 10  # two waves in flight, and three times its own number
