from collections.abc import Awaitable, Callable
from typing import Any

import pytest

Ask = Callable[..., Awaitable[tuple[int, Any]]]
Tell = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.enable_socket


async def test_the_callers_timer_is_stopped_once(ask: Ask, tell: Tell) -> None:
    await tell("timer", "1")

    first = await ask("DELETE", "/projects/timer")
    again = await ask("DELETE", "/projects/timer")

    assert first == (200, {"code": 0, "message": "Timer has been deleted."})
    assert again == (400, {"code": 1002, "message": "There is no timer running."})
    rows = await tell("ledger")
    assert [(row["kind"], row["effect"], row["id"]) for row in rows] == [
        ("timer", "deleted", None),
        ("timer", "none", None),
    ]


async def test_a_timer_of_somebody_else_is_left_alone(ask: Ask, tell: Tell) -> None:
    await tell("timer", "1", token="somebody-else")

    assert (await ask("DELETE", "/projects/timer"))[0] == 400


async def test_a_timer_stopped_by_hand_does_not_run(ask: Ask, tell: Tell) -> None:
    await tell("timer", "1")
    await tell("timer", "1", running=False)

    assert (await ask("DELETE", "/projects/timer"))[0] == 400


async def test_what_is_said_when_no_timer_runs_is_a_setting(ask: Ask, tell: Tell) -> None:
    said = {"no_timer_status": 404, "no_timer_code": 4711, "no_timer_text": "Nothing runs."}
    await tell("organization", "1", **said)

    assert await ask("DELETE", "/projects/timer") == (
        404,
        {"code": 4711, "message": "Nothing runs."},
    )
