"""TRUST, point 5: hostile ids, names and texts reach nothing but the call that is meant."""

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from tests.acceptance.hostile import Liar, ids, lying, texts
from tests.acceptance.room import Room, Rooms
from worker.domain.calls import PROJECT, Action, Call, Target
from worker.domain.catalogue import is_id
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Verdict
from worker.ports import Job
from worker.providers.dialect import Dialect
from worker.providers.http import HttpProvider
from worker.providers.requests import Connection
from worker.providers.truto import CAPSULE, PIPELINER, UNIFIED
from worker.providers.zoho_books import V3, V4

pytestmark = [pytest.mark.number("trust-5"), pytest.mark.timeout(1200)]

FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
SEED = 20261122
DIALECTS = {"v4": V4, "v3": V3, "unified": UNIFIED, "capsule": CAPSULE, "pipeliner": PIPELINER}


@pytest.fixture
def number(full: bool) -> int:
    """How many texts are made of each sort."""
    return 5_000 if full else 300


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_an_id_makes_the_exact_call_or_none(dialect: Dialect, number: int) -> None:
    parents = ids(number, SEED + 1)
    async with lying([], []) as liar:
        provider = HttpProvider(_connection(dialect, liar.url))
        for external_id, parent in zip(ids(number, SEED), parents, strict=True):
            for kind in (dialect.catalogue.project, *dialect.catalogue.children):
                target = Target(
                    kind=kind.name,
                    external_id=external_id,
                    parent_external_id="" if kind.name == PROJECT else parent,
                )
                await _is_exact_or_nothing(provider, dialect, target, liar)
        await provider.aclose()
        assert len(liar.lines) == 0


async def _is_exact_or_nothing(
    provider: HttpProvider, dialect: Dialect, target: Target, liar: Liar
) -> None:
    answer = await provider.perform(Call(action=Action.DELETE, targets=(target,)))
    seen, liar.lines[:] = liar.lines[:], []
    if not _may_be_asked_for(dialect, target):
        assert (seen, answer.verdict) == ([], Verdict.INVALID), (target, seen)
        return
    (line,) = seen
    method, path, version = line.split(b" ")
    meant = dialect.deletes[target.kind].format(
        id=target.external_id,
        parent=target.parent_external_id,
        project=target.parent_external_id or target.external_id,
    )
    assert (method, version) == (b"DELETE", b"HTTP/1.1")
    assert unquote_to_bytes(path.partition(b"?")[0]).decode() == meant


def _may_be_asked_for(dialect: Dialect, target: Target) -> bool:
    kind = dialect.catalogue.kind(target.kind)
    is_good = is_id(kind, target.external_id) and target.external_id not in {".", ".."}
    project = dialect.catalogue.project
    return is_good and (target.kind == PROJECT or is_id(project, target.parent_external_id))


def _connection(dialect: Dialect, url: str) -> Connection:
    return Connection(
        name="a",
        base_url=url,
        dialect=dialect,
        selector_value="10234695",
        token=lambda: "t",
        in_flight=5,
        deadline=timedelta(seconds=20),
    )


async def test_what_is_no_id_is_no_job(room: Rooms, tmp_path: Path, number: int) -> None:
    bad = [one for one in ids(number, SEED) if one.strip() and not one.strip().isdecimal()]
    async with room() as made:
        for position, external_id in enumerate(bad):
            with pytest.raises(InvalidInput) as error:
                made.stage.submit([external_id], cascade=("none",))
            _is_harmless_on_a_terminal(error.value.what)
            if position % 100 == 0:
                file = tmp_path / "ids.txt"
                file.write_text(f"460000000000001\n{external_id}\n", "utf-8", "surrogatepass")
                words = ("--account", "acme", "--ids-file", str(file), "--reason", "x")
                code, said = await made.say("submit", *words, "--cascade", "none", "--yes")
                assert code == 2, said
                _is_harmless_on_a_terminal(said)
        assert await made.stage.tell("ledger") == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A job against a provider that says hostile texts, as it ended."""

    room: Room
    job: Job
    liar: Liar


async def test_names_and_texts_of_a_provider_fire_nowhere(
    room: Rooms, tmp_path: Path, number: int
) -> None:
    names = [name or "no name" for name in texts(number, SEED)]
    said = texts(number, SEED + 1)
    async with lying(names, said) as liar, room(_BREAKERS_OFF) as made:
        config = tmp_path / "bulkdel.toml"
        sandbox = made.stage.sandbox.url
        config.write_text(config.read_text("utf-8").replace(f'"{sandbox}"', f'"{liar.url}/v4"'))
        job = await made.run(await made.plan([liar.id_of(n) for n in range(number)]))
        ended = Ended(room=made, job=job, liar=liar)

        _each_was_asked_for_once(ended, number)
        await _nothing_fires_on_a_terminal(ended)
        await _nothing_fires_in_files(ended, tmp_path / "report", number)


_BREAKERS_OFF = """
dialect = "v4"
canary = { above = 1000000 }
"""


def _each_was_asked_for_once(ended: Ended, number: int) -> None:
    made = Counter(line for line in ended.liar.lines if not line.startswith(b"GET "))
    query = b"?organization-id=10234695 HTTP/1.1"
    wanted = {
        b"DELETE /v4/projects/" + ended.liar.id_of(n).encode() + query: 1 for n in range(number)
    }
    assert made == wanted
    assert ended.job.state == "partially_succeeded"


async def _nothing_fires_on_a_terminal(ended: Ended) -> None:
    room, job = ended.room, ended.job.id
    first = ended.room.stage.items(ended.job)[0].id
    for words in (
        *(("plan", job, "--items"), ("plan", job), ("show", job), ("explain", job)),
        *(("explain", str(first)), ("report", job), ("jobs",), ("audit", "--job", job)),
        *(("audit", "verify", job), ("audit", "certificate", job)),
    ):
        code, said = await room.say(*words)
        assert code in {0, 2}, said
        _is_harmless_on_a_terminal(said)
        if words[0] != "explain":
            assert code == 0, (words, said)
        _, as_json = await room.say(*words, "--json")
        assert as_json.isascii()
        _is_harmless_on_a_terminal(as_json)


async def _nothing_fires_in_files(ended: Ended, folder: Path, number: int) -> None:
    room, job = ended.room, ended.job.id
    code, said = await room.say("report", job, "--to", str(folder))
    assert code == 0, said
    tables = _texts(folder, "*.csv")
    _, tables["audit"] = await room.say("audit", "--job", job, "--format", "csv")
    lines = _texts(folder, "*.json*")
    _, lines["audit"] = await room.say("audit", "--job", job, "--format", "jsonl")

    rows = sum(_rows_that_fire_nothing(text) for text in tables.values())
    assert rows > 2 * number
    for text in lines.values():
        assert text.isascii()
        _is_harmless_on_a_terminal(text)
    read = [json.loads(line) for line in lines["audit"].splitlines()]
    assert len(read) > number


def _texts(folder: Path, pattern: str) -> dict[str, str]:
    return {path.name: path.read_bytes().decode() for path in folder.glob(pattern)}


def _rows_that_fire_nothing(text: str) -> int:
    """How many rows a table has; none of its cells is a formula, or moves a terminal."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(FORMULA), repr(cell)
        assert cell.isprintable(), repr(cell)
    return len(rows) - 1


def _is_harmless_on_a_terminal(said: str) -> None:
    odd = {char for char in said if not char.isprintable()} - {"\n"}
    assert odd == set(), odd
