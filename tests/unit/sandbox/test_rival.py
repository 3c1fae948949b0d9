import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.sandbox.client import ControlRefused

Tell = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.enable_socket


async def ended(tell: Tell) -> dict[str, Any]:
    for _ in range(200):
        deeds: dict[str, Any] = await tell("rival_deeds", "1")
        if not deeds["running"]:
            return deeds
        await asyncio.sleep(0.02)  # the rival works by the clock
    raise AssertionError("the rival never ends")


async def test_a_rival_deletes_and_makes_and_is_in_no_ledger(tell: Tell) -> None:
    await tell("rival", "1", rate=1000, seconds=5, at_most=40)

    done = await ended(tell)

    deleted = {deed["id"] for deed in done["deeds"] if deed["action"] == "deleted"}
    created = {deed["id"] for deed in done["deeds"] if deed["action"] == "created"}
    assert len(done["deeds"]) == 40
    assert deleted
    assert created
    assert set(await tell("state", "1")) == {"100", "101", "102", "103", "104"} - deleted | (
        created - deleted
    )
    assert await tell("ledger") == []
    assert (await tell("stats"))["calls"] == 0


async def test_a_rival_deletes_only_what_it_may(tell: Tell) -> None:
    await tell("rival", "1", rate=1000, seconds=5, at_most=10, deletes=1, ids=["100", "999"])

    done = await ended(tell)

    assert [deed["id"] for deed in done["deeds"]] == ["100"]
    assert len(await tell("state", "1")) == 4


async def test_a_rivals_projects_push_in_among_the_others(tell: Tell) -> None:
    day = 86_400.0
    await tell("rival", "1", rate=1000, seconds=5, at_most=20, deletes=0, back_seconds=9999 * day)

    await ended(tell)

    older = await tell("select", "1", {"created_time_millis_less_than": "1577836800000"})
    assert older


async def test_a_rival_is_stopped_and_there_is_one_at_a_time(tell: Tell) -> None:
    await tell("rival", "1", rate=1, seconds=600)

    with pytest.raises(ControlRefused, match="at work"):
        await tell("rival", "1")
    await tell("stop_rival", "1")

    assert (await ended(tell))["running"] is False
    await tell("rival", "1", rate=1000, seconds=1, at_most=1)
