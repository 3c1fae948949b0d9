"""Acceptance point systems-6: Truto's five formats and every option, and nothing that leaks."""

import http.client
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from sqlalchemy import MetaData, create_engine

from tests.acceptance.conftest import ON_SERVICES, a_site
from tests.acceptance.site import Site
from tests.acceptance.stack import TOKEN, Stack
from tests.acceptance.systems import REMOTE_SECRET, truto
from tests.leaks import writings

pytestmark = [pytest.mark.number("systems-6"), ON_SERVICES, pytest.mark.timeout(3000)]

FORMATS = ("unified", "raw", "normalized", "stream", "debug")
OPTIONS = (
    "--provider-option truto_ignore_remote_data=true "
    "--provider-option truto_exclude_fields=id,name,owner "
    "--provider-option 'remote_query.embed=team, milestone & more' "
    "--provider-option 'remote_query.filter[status]=50% übrig'"
)
SENT = (
    "integrated_account_id={account}"
    "&truto_response_format={word}"
    "&truto_ignore_remote_data=true"
    "&truto_exclude_fields[]=id&truto_exclude_fields[]=name&truto_exclude_fields[]=owner"
    "&remote_query[embed]=team,%20milestone%20%26%20more"
    "&remote_query[filter][status]=50%25%20%C3%BCbrig"
)
"""Every query of these deletions, byte by byte."""


@pytest.fixture(params=["capsule", "pipeliner"])
def crm(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Site]:
    """An integrated account, with one or the other provider behind it."""
    yield from a_site(stack, truto(request.param))


def test_every_format_deletes_with_every_option_and_keeps_no_secret(crm: Site, full: bool) -> None:
    projects = 500 if full else 20
    crm.configure("auto_confirm_max = 1000")
    jobs = []
    for word in FORMATS:
        ids = crm.seed(projects)
        before = len(crm.deletions())
        given = ("--provider-option", f"truto_response_format={word}", *shlex.split(OPTIONS))
        ended = crm.submit(ids, *given, "--yes", "--wait=30m").json
        assert ended["state"] == "succeeded"
        assert ended["counts"]["by_outcome"] == {"deleted": projects}
        calls = crm.deletions()[before:]
        assert len(calls) == projects
        sent = SENT.format(account=crm.organization, word=word)
        assert {row["query"] for row in calls} == {sent}
        assert {row["path"] for row in calls} == {f"/unified/crm/projects/{id_}" for id_ in ids}
        jobs.append(ended)

    crm.judge(*jobs)
    assert crm.stack.control.state(crm.organization) == {}
    assert REMOTE_SECRET in _answer_to_a_person(crm)
    kept = _everything_kept(crm, jobs[-1]["id"])
    found = [
        (where, written)
        for where, text in kept.items()
        for written in (*writings(REMOTE_SECRET), *writings(TOKEN))
        if written.encode() in text
    ]
    assert found == []


def _answer_to_a_person(site: Site) -> str:
    """What one deletion in the format `debug` shows: the secret is in it."""
    (id_,) = site.seed(1)
    connection = http.client.HTTPConnection(urlsplit(site.stack.origin).netloc)
    query = f"integrated_account_id={site.organization}&truto_response_format=debug"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    connection.request("DELETE", f"/unified/crm/projects/{id_}?{query}", headers=headers)
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


def _everything_kept(site: Site, job_id: str) -> dict[str, bytes]:
    """Logs, database, Redis and every report of a job, by where they were found."""
    stack = site.stack
    kept = {log.name: log.read_bytes() for log in stack.home.glob("*.log")}
    kept |= _database(stack) | _redis(stack)
    for words in (
        f"show {job_id} --json",
        f"plan {job_id} --items --json",
        f"report {job_id}",
        f"report {job_id} --json",
        f"explain {job_id} --json",
        f"audit --job {job_id} --format jsonl",
        f"audit --job {job_id} --format csv",
    ):
        ran = stack.run(*words.split()).ended(0)
        assert len(ran.stdout) > 100
        kept[words] = f"{ran.stdout}{ran.stderr}".encode()
    return kept


def _database(stack: Stack) -> dict[str, bytes]:
    """Every row of every table."""
    engine, tables = create_engine(stack.database_url), MetaData()
    try:
        tables.reflect(engine)
        with engine.connect() as connection:
            kept = {
                f"table {table.name}": repr(connection.execute(table.select()).all()).encode()
                for table in tables.sorted_tables
            }
    finally:
        engine.dispose()
    assert {"table items", "table audit_entries"} <= kept.keys()
    return kept


def _redis(stack: Stack) -> dict[str, bytes]:
    """Every key and what it holds."""
    with Redis.from_url(stack.env["BULKDEL_REDIS_URL"]) as redis:
        kept = {f"key {key!r}": key + _value(redis, key) for key in redis.scan_iter()}
    assert kept
    return kept


def _value(redis: Redis, key: bytes) -> bytes:
    match redis.type(key):
        case b"string":
            return repr(redis.get(key)).encode()
        case b"hash":
            return repr(redis.hgetall(key)).encode()
        case b"list":
            return repr(redis.lrange(key, 0, -1)).encode()
        case b"set":
            return repr(redis.smembers(key)).encode()
        case _:
            return repr(redis.zrange(key, 0, -1)).encode()
