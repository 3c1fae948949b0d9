import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from worker.sandbox.client import Control, ControlRefused
from worker.sandbox.server import NotLoopback, Options, Sandbox

Ask = Callable[..., Awaitable[tuple[int, Any]]]

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def control(sandbox: Sandbox) -> Control:
    return Control(sandbox.url)


@pytest.fixture
def dead_port() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


async def test_projects_are_sown_given_and_removed_while_running(control: Control) -> None:
    def steps() -> tuple[list[str], bool, bool]:
        sown = control.seed("3", projects=2, tasks=1, token="t3")
        control.projects("3", [{"project_id": "9", "tasks": [{"id": "10"}, {"id": "11"}]}])
        removed = control.remove("3", "10", kind="task", parent_id="9")
        return sown, removed, control.remove("3", "nobody")

    sown, removed, nobody = await asyncio.to_thread(steps)

    state = await asyncio.to_thread(control.state, "3")
    assert list(state) == [*sown, "9"]
    assert state["9"] == {"tasks": ["11"], "users": [], "documents": [], "comments": []}
    assert (removed, nobody) == (True, False)


async def test_the_ledger_is_read_on_from_where_one_stopped(control: Control, ask: Ask) -> None:
    await ask("GET", "/projects")
    await ask("DELETE", "/projects/100")

    rows = await asyncio.to_thread(control.ledger)
    rest = await asyncio.to_thread(control.ledger, rows[0]["seq"])

    assert [(row["method"], row["effect"], row["id"]) for row in rows] == [
        ("GET", "read", None),
        ("DELETE", "deleted", "100"),
    ]
    assert rest == rows[1:]
    assert rows[1]["started"] <= rows[1]["at"] <= rows[1]["ended"]


async def test_a_ledger_of_thousands_is_read_whole(control: Control, sandbox: Sandbox) -> None:
    amount = 2500
    await asyncio.to_thread(control.seed, "2", projects=amount, token="t")
    headers = {"Authorization": "Zoho-oauthtoken t"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for id_ in list(sandbox.world.organization("2").projects):
            async with session.delete(f"{sandbox.url}/projects/{id_}?organization-id=2") as answer:
                assert answer.status == 200

    rows = await asyncio.to_thread(control.ledger)

    assert [row["seq"] for row in rows] == list(range(1, amount + 1))


async def test_faults_are_set_and_cleared(control: Control, ask: Ask) -> None:
    rule = {"kind": "refuse", "match": {"ids": ["100"]}, "text": "Invoices first."}
    await asyncio.to_thread(control.faults, [rule], 7)
    refused = await ask("DELETE", "/projects/100")
    other = await ask("DELETE", "/projects/101")
    await asyncio.to_thread(control.clear_faults)
    after = await ask("DELETE", "/projects/100")

    assert refused == (400, {"code": 1025, "message": "Invoices first."})
    assert (other[0], after[0]) == (200, 200)


@pytest.mark.parametrize(
    "limits, code",
    [({"windows": [[2, 60]]}, 44), ({"per_day": 2}, 45), ({"per_day": 5, "day_used": 3}, 45)],
)
async def test_limits_are_kept_and_violations_counted(
    control: Control, ask: Ask, limits: dict[str, Any], code: int
) -> None:
    await asyncio.to_thread(lambda: control.limits("1", **limits))

    answers = [await ask("GET", "/projects/100") for _ in range(3)]

    assert [status for status, _ in answers] == [200, 200, 429]
    assert answers[-1][1]["code"] == code
    over = (await asyncio.to_thread(control.stats))["organizations"]["1"]["over"]
    assert sum(over.values()) == 1


async def test_too_many_at_once_are_refused(control: Control, ask: Ask) -> None:
    await asyncio.to_thread(lambda: control.limits("1", in_flight=2))
    await asyncio.to_thread(control.latency, 0.2)

    answers = await asyncio.gather(*(ask("GET", f"/projects/{id_}") for id_ in (100, 101, 102)))

    assert sorted(status for status, _ in answers) == [200, 200, 429]
    assert [body["code"] for status, body in answers if status == 429] == [1070]
    stats = await asyncio.to_thread(control.stats)
    assert stats["organizations"]["1"]["in_flight"] == {"limit": 2, "now": 0, "peak": 3}


async def test_a_blocked_organisation_is_told_for_how_long(
    control: Control, sandbox: Sandbox, wire: aiohttp.ClientSession, ask: Ask
) -> None:
    await asyncio.to_thread(lambda: control.limits("1", windows=[[1, 60]], penalty_after=1))
    await ask("GET", "/projects/100")
    await ask("GET", "/projects/100")

    async with wire.get(f"{sandbox.url}/projects/100?organization-id=1") as answer:
        body = await answer.json()

    assert (answer.status, body["code"], answer.headers["Retry-After"]) == (429, 43, "3600")


async def test_rules_of_an_organisation_are_set(control: Control, ask: Ask) -> None:
    await asyncio.to_thread(lambda: control.organization("1", token="new", absent_status=400))

    assert (await ask("GET", "/projects/100"))[0] == 401
    assert (await ask("GET", "/projects/999", token="new"))[0] == 400


async def test_control_calls_are_in_no_ledger_and_under_no_limit(
    control: Control, ask: Ask
) -> None:
    await asyncio.to_thread(lambda: control.limits("1", windows=[[1, 60]]))
    await asyncio.to_thread(control.health)
    await asyncio.to_thread(control.state, "1")

    status, _ = await ask("GET", "/projects/100")

    stats = await asyncio.to_thread(control.stats)
    assert status == 200
    assert (stats["calls"], stats["by_method"]) == (1, {"GET": 1})
    assert (stats["by_effect"], stats["by_status"]) == ({"read": 1}, {"200": 1})


@pytest.mark.parametrize(
    "name, payload",
    [
        ("seed", {"projects": 1}),
        ("seed", {"organization_id": "1", "nonsense": 1}),
        ("faults", {"rules": [{"kind": "nonsense"}]}),
        ("limits", {"organization_id": "1", "windows": [[0, 1]]}),
        ("limits", []),
        ("latency", {"seconds": -1}),
        ("nonsense", {}),
    ],
)
async def test_nonsense_is_refused_in_words(control: Control, name: str, payload: Any) -> None:  # noqa: ANN401 - nonsense
    with pytest.raises(ControlRefused, match=r"40[04]"):
        await asyncio.to_thread(control._json, "POST", name, payload)


async def test_an_organisation_nobody_knows_has_no_state(control: Control) -> None:
    with pytest.raises(ControlRefused):
        await asyncio.to_thread(control.state, "nobody")


def test_nothing_listening_is_not_healthy(dead_port: int) -> None:
    assert Control(f"http://127.0.0.1:{dead_port}").health() is False


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "http://127.0.0.1", "nonsense"])
def test_a_url_of_no_sandbox_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL"):
        Control(url)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])  # noqa: S104 - refused is what it is
def test_a_host_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(NotLoopback):
        Sandbox(Options(host=host))
