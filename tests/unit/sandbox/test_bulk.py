from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.sandbox.server import Sandbox

Ask = Callable[..., Awaitable[tuple[int, Any]]]
Tell = Callable[..., Awaitable[Any]]
ORG = "organization-id=1"
DELETED = {"code": 0, "message": "The projects have been deleted."}
REFUSAL = {"code": 1025, "text": "Invoices first."}

pytestmark = pytest.mark.enable_socket


def left(sandbox: Sandbox) -> list[str]:
    return list(sandbox.world.organization("1").projects)


async def chunk(ask: Ask, ids: str, parameter: str = "project_ids") -> tuple[int, Any]:
    return await ask("DELETE", "/projects", f"{ORG}&{parameter}={ids}")


async def test_every_id_of_a_chunk_is_deleted_and_the_ledger_names_them(
    ask: Ask, sandbox: Sandbox, tell: Tell
) -> None:
    await tell("bulk", "1", mode="ok")

    answer = await chunk(ask, "100,101")

    assert answer == (200, DELETED)
    assert left(sandbox) == ["102", "103", "104"]
    [row] = await tell("ledger")
    assert (row["id"], row["ids"], row["deleted_ids"]) == (None, ["100", "101"], ["100", "101"])
    assert (row["effect"], row["kind"]) == ("deleted", "project")
    assert (await tell("stats"))["deleted"] == {"project": 2}


@pytest.mark.parametrize(
    "rules, status, code",
    [
        ({}, 405, 37),
        ({"mode": "off"}, 405, 37),
        ({"mode": "unknown_url"}, 404, 5),
        ({"mode": "unknown_parameter"}, 400, 2),
        ({"mode": "unknown_parameter", "unknown_code": 4}, 400, 4),
        ({"mode": "ok", "parameter": "ids"}, 400, 2),
        ({"mode": "ok", "cap": 1}, 400, 4),
    ],
)
async def test_a_call_that_is_refused_as_such_deletes_nothing(
    ask: Ask, sandbox: Sandbox, tell: Tell, rules: dict[str, object], status: int, code: int
) -> None:
    await tell("bulk", "1", **rules)

    answer = await chunk(ask, "100,101")

    assert (answer[0], answer[1]["code"]) == (status, code)
    assert len(left(sandbox)) == 5
    [row] = await tell("ledger")
    assert (row["effect"], row["deleted_ids"]) == ("none", [])


async def test_the_parameter_is_called_as_it_is_set(ask: Ask, tell: Tell) -> None:
    await tell("bulk", "1", mode="ok", parameter="ids")

    assert await chunk(ask, "100", "ids") == (200, DELETED)


async def test_a_comma_may_be_encoded(ask: Ask, sandbox: Sandbox, tell: Tell) -> None:
    await tell("bulk", "1", mode="ok")

    await chunk(ask, "100%2C101")

    assert left(sandbox) == ["102", "103", "104"]


async def test_a_chunk_may_be_deleted_in_part_and_its_answer_lost(
    ask: Ask, sandbox: Sandbox, tell: Tell
) -> None:
    await tell("bulk", "1", mode="first_only")
    await tell("faults", [{"kind": "error_after", "match": {"method": "DELETE"}, "status": 504}])

    status, _ = await chunk(ask, "100,101")

    assert (status, left(sandbox)) == (504, ["101", "102", "103", "104"])


@pytest.mark.parametrize("ids", ["", ",", ",,"])
async def test_no_ids_are_never_all(ask: Ask, sandbox: Sandbox, tell: Tell, ids: str) -> None:
    await tell("bulk", "1", mode="ok")

    status, _ = await chunk(ask, ids)

    assert (status, len(left(sandbox))) == (400, 5)


async def test_one_refused_id_refuses_the_whole_chunk(
    ask: Ask, sandbox: Sandbox, tell: Tell
) -> None:
    await tell("bulk", "1", mode="atomic")
    await tell("refused", "1", ["101"], **REFUSAL)

    refused = await chunk(ask, "100,101")
    good = await chunk(ask, "100,102")

    assert refused == (400, {"code": 1025, "message": "Invoices first."})
    assert good == (200, DELETED)
    assert left(sandbox) == ["101", "103", "104"]


@pytest.mark.parametrize(
    "mode, said",
    [
        ("silent_partial", {}),
        (
            "named_partial",
            {
                "info": {
                    "email_errors_info": [{"message": "Invoices first.", "ids": ["101"]}],
                    "code": 4083,
                }
            },
        ),
        (
            "skipped_info",
            {"skippedInfo": [{"projectId": ["101"], "code": 1025, "message": "Invoices first."}]},
        ),
    ],
)
async def test_refused_ids_are_left_and_said_as_the_mode_says(
    ask: Ask, sandbox: Sandbox, tell: Tell, mode: str, said: dict[str, object]
) -> None:
    await tell("bulk", "1", mode=mode)
    await tell("refused", "1", ["101"], **REFUSAL)

    answer = await chunk(ask, "100,101,102")

    assert answer == (200, {**DELETED, **said})
    assert left(sandbox) == ["101", "103", "104"]
    [row] = await tell("ledger")
    assert row["deleted_ids"] == ["100", "102"]


@pytest.mark.parametrize("mode, gone", [("ignore", []), ("first_only", ["100"])])
async def test_a_success_may_be_a_lie(
    ask: Ask, sandbox: Sandbox, tell: Tell, mode: str, gone: list[str]
) -> None:
    await tell("bulk", "1", mode=mode)

    answer = await chunk(ask, "100,101")

    assert answer == (200, DELETED)
    assert len(left(sandbox)) == 5 - len(gone)
    [row] = await tell("ledger")
    assert row["deleted_ids"] == gone
    assert row["effect"] == ("deleted" if gone else "none")


@pytest.mark.parametrize("absent, expected, remain", [("ignored", 200, 4), ("refused", 404, 5)])
async def test_what_an_absent_id_does_to_its_chunk_is_a_setting(
    ask: Ask, sandbox: Sandbox, tell: Tell, absent: str, expected: int, remain: int
) -> None:
    await tell("bulk", "1", mode="ok", absent=absent)

    status, body = await chunk(ask, "100,999")

    assert (status, len(left(sandbox))) == (expected, remain)
    assert body["code"] == (0 if expected == 200 else 1002)


async def test_a_refused_id_is_refused_alone_too_until_it_is_let_go(ask: Ask, tell: Tell) -> None:
    await tell("refused", "1", ["100"], status=409, **REFUSAL)
    refused = await ask("DELETE", "/projects/100")
    other = await ask("DELETE", "/projects/101")
    await tell("refused", "1", [])
    after = await ask("DELETE", "/projects/100")

    assert refused == (409, {"code": 1025, "message": "Invoices first."})
    assert (other[0], after[0]) == (200, 200)


async def test_a_refused_child_leaves_its_project_alone(
    ask: Ask, sandbox: Sandbox, tell: Tell
) -> None:
    [task, *_] = sandbox.world.organization("1").projects["100"].children["task"]  # type: ignore[index] # a kind is its own word
    await tell("refused", "1", [task], kind="task")

    refused = await ask("DELETE", f"/projects/100/tasks/{task}")
    project = await ask("DELETE", "/projects/100")

    assert (refused[0], refused[1]["code"], project[0]) == (400, 1025, 200)


async def test_faults_find_a_chunk_by_any_of_its_ids(
    ask: Ask, sandbox: Sandbox, tell: Tell
) -> None:
    await tell("bulk", "1", mode="ok")
    await tell("faults", [{"kind": "error_after", "match": {"ids": ["101"]}}])

    hit = await chunk(ask, "100,101")
    other = await chunk(ask, "102")

    assert (hit[0], other[0]) == (500, 200)
    assert left(sandbox) == ["103", "104"]
    rows = await tell("ledger")
    assert [(row["fault"], row["deleted_ids"]) for row in rows] == [
        ("error_after", ["100", "101"]),
        (None, ["102"]),
    ]


async def test_a_deleted_chunk_may_stay_visible(ask: Ask, tell: Tell) -> None:
    await tell("bulk", "1", mode="ok")
    rule = {"kind": "still_visible", "match": {"method": "DELETE"}, "seconds": 60}
    await tell("faults", [rule])

    await chunk(ask, "100,101")

    assert (await ask("GET", "/projects/100"))[0] == 200
    assert (await ask("GET", "/projects/101"))[0] == 200
    assert list(await tell("state", "1")) == ["102", "103", "104"]


async def test_a_bulk_delete_needs_the_scope(ask: Ask, tell: Tell) -> None:
    await tell("bulk", "1", mode="ok")
    await tell("organization", "1", scopes=["READ"])

    status, body = await chunk(ask, "100")

    assert (status, body["code"]) == (401, 57)
