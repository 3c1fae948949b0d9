import asyncio
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from worker.sandbox.faults import FaultKind, Match, Rule
from worker.sandbox.ledger import Entry
from worker.sandbox.server import Sandbox

Ask = Callable[..., Awaitable[tuple[int, Any]]]

pytestmark = pytest.mark.enable_socket


def deletes(kind: str, **particulars: Any) -> Rule:  # noqa: ANN401 - whatever the rule takes
    return Rule(kind=FaultKind(kind), match=Match(method="DELETE"), **particulars)


def is_there(sandbox: Sandbox) -> bool:
    return "100" in sandbox.world.organization("1").projects


def only_entry(sandbox: Sandbox) -> Entry:
    [entry] = sandbox.ledger.since(0, 10)
    return entry


@pytest.mark.parametrize(
    "rule, status, code, remains",
    [
        (deletes("error_before"), 500, 1000, True),
        (deletes("error_after"), 500, 1000, False),
        (deletes("refuse"), 400, 1025, True),
        (deletes("refuse", code=4711, text="Invoices first."), 400, 4711, True),
        (deletes("throttle"), 429, 44, True),
        (deletes("throttle", code=43), 429, 43, True),
        (deletes("throttle_day"), 429, 45, True),
        (deletes("unauthorised"), 401, 14, True),
    ],
)
async def test_a_fault_answers_in_the_words_of_the_provider(
    ask: Ask, sandbox: Sandbox, rule: Rule, status: int, code: int, *, remains: bool
) -> None:
    sandbox.provider.faults.set([rule])

    answer = await ask("DELETE", "/projects/100")

    assert (answer[0], answer[1]["code"], is_there(sandbox)) == (status, code, remains)
    entry = only_entry(sandbox)
    assert (entry.fault, entry.status, entry.code) == (rule.kind.value, status, code)
    assert entry.effect == ("none" if remains else "deleted")
    assert entry.answered is True


@pytest.mark.parametrize(
    "given, header", [(30, "30"), (0.5, "0.5"), ("soon", "soon"), (None, None)]
)
async def test_retry_after_is_sent_as_given(
    sandbox: Sandbox, wire: aiohttp.ClientSession, given: float | str | None, header: str | None
) -> None:
    sandbox.provider.faults.set([deletes("throttle", retry_after=given)])

    async with wire.delete(f"{sandbox.url}/projects/100?organization-id=1") as answer:
        assert answer.headers.get("Retry-After") == header


async def test_a_time_to_come_is_sent_as_a_date(
    sandbox: Sandbox, wire: aiohttp.ClientSession
) -> None:
    sandbox.provider.faults.set([deletes("throttle", retry_after="date+90")])

    async with wire.delete(f"{sandbox.url}/projects/100?organization-id=1") as answer:
        named, said = (
            parsedate_to_datetime(answer.headers[name]) for name in ("Retry-After", "Date")
        )
    assert 89 <= (named - said).total_seconds() <= 91


@pytest.mark.parametrize("kind, remains", [("lost_before", True), ("lost_after", False)])
@pytest.mark.parametrize("reset", [True, False])
async def test_a_lost_answer_leaves_only_the_ledger_to_tell(
    ask: Ask, sandbox: Sandbox, kind: str, *, remains: bool, reset: bool
) -> None:
    sandbox.provider.faults.set([deletes(kind, reset=reset)])

    with pytest.raises(aiohttp.ClientConnectionError):
        await ask("DELETE", "/projects/100")

    entry = only_entry(sandbox)
    assert is_there(sandbox) is remains
    assert (entry.answered, entry.status, entry.ended is not None) == (False, None, True)
    assert sandbox.world.organization("1").meter.flying == 0


@pytest.mark.parametrize(
    "rule, content_type, remains",
    [
        (deletes("garbage"), "text/html", False),
        (deletes("garbage", when="before"), "text/html", True),
        (deletes("garbage", body="broken"), "application/json", False),
        (deletes("garbage", body="list"), "application/json", False),
        (deletes("wrong_type"), "text/plain", False),
        (deletes("wrong_type", when="before"), "text/plain", True),
    ],
)
async def test_rubbish_comes_with_status_200(
    sandbox: Sandbox, wire: aiohttp.ClientSession, rule: Rule, content_type: str, *, remains: bool
) -> None:
    sandbox.provider.faults.set([rule])

    async with wire.delete(f"{sandbox.url}/projects/100?organization-id=1") as answer:
        assert (answer.status, answer.content_type) == (200, content_type)

    assert is_there(sandbox) is remains


async def test_an_oversize_answer_is_as_long_as_asked(
    sandbox: Sandbox, wire: aiohttp.ClientSession
) -> None:
    sandbox.provider.faults.set([deletes("oversize", size=300_000)])

    async with wire.delete(f"{sandbox.url}/projects/100?organization-id=1") as answer:
        assert len(await answer.read()) > 300_000

    assert is_there(sandbox) is False


async def test_a_redirect_does_nothing_but_point_elsewhere(
    sandbox: Sandbox, wire: aiohttp.ClientSession
) -> None:
    sandbox.provider.faults.set([deletes("redirect", location="/signin")])

    url = f"{sandbox.url}/projects/100?organization-id=1"
    async with wire.delete(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/signin")

    assert is_there(sandbox) is True


@pytest.mark.parametrize("when, remains", [("before", True), ("after", False)])
async def test_a_slow_call_is_seen_in_flight(
    ask: Ask, sandbox: Sandbox, when: str, *, remains: bool
) -> None:
    sandbox.provider.faults.set([deletes("slow", seconds=0.2, when=when)])

    calling = asyncio.ensure_future(ask("DELETE", "/projects/100"))
    await asyncio.sleep(0.1)  # half of the delay we asked for: there is no event to wait for
    was_there, in_flight = is_there(sandbox), sandbox.world.organization("1").meter.flying
    status, _ = await calling

    assert (was_there, in_flight, status) == (remains, 1, 200)
    assert is_there(sandbox) is False


async def test_a_caller_that_hangs_up_does_not_stop_the_deletion(
    sandbox: Sandbox, wire: aiohttp.ClientSession
) -> None:
    sandbox.provider.faults.set([deletes("slow", seconds=1, when="before")])

    with pytest.raises(TimeoutError):
        await wire.delete(
            f"{sandbox.url}/projects/100?organization-id=1",
            timeout=aiohttp.ClientTimeout(total=0.5),
        )
    await asyncio.sleep(1)  # longer than what is left of the delay we asked for

    entry = only_entry(sandbox)
    assert (entry.effect, entry.answered) == ("deleted", False)
    assert sandbox.world.organization("1").meter.flying == 0


async def test_a_deleted_project_may_stay_visible_for_a_while(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.provider.faults.set([deletes("still_visible", seconds=0.2)])

    deleted = await ask("DELETE", "/projects/100")
    seen = await ask("GET", "/projects/100")
    _, listed = await ask("GET", "/projects")
    again = await ask("DELETE", "/projects/100")
    await asyncio.sleep(0.25)  # longer than the visibility we asked for
    later = await ask("GET", "/projects/100")

    assert (deleted[0], seen[0], again[0], later[0]) == (200, 200, 404, 404)
    assert next(row["project_id"] for row in listed["projects"]) == "100"


async def test_a_deleted_child_may_stay_visible_for_a_while(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.provider.faults.set([deletes("still_visible", seconds=30)])
    _, before = await ask("GET", "/projects/100/comments")
    comment_id = before["comments"][0]["comment_id"]

    await ask("DELETE", f"/projects/100/comments/{comment_id}")

    _, after = await ask("GET", "/projects/100/comments")
    assert len(after["comments"]) == len(before["comments"])
    assert comment_id not in sandbox.world.organization("1").projects["100"].children["comment"]  # type: ignore[index] # a kind is its own word


async def test_latency_is_spent_on_both_sides_of_the_effect(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.provider.latency = type(sandbox.provider.latency)(seconds=0.1)

    await ask("DELETE", "/projects/100")

    entry = only_entry(sandbox)
    assert entry.ended is not None
    assert entry.at - entry.started >= 0.04
    assert entry.ended - entry.at >= 0.04
