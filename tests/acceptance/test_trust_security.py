"""TRUST: workers speak TLS to servers they know, and may do no more there than they need."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from tests.acceptance.conftest import a_site
from tests.acceptance.secured import Secured, a_secured_stack
from tests.acceptance.site import Site
from tests.acceptance.warm import Warm
from tests.chaos.network import TlsFiles
from worker.app import make_app

pytestmark = [pytest.mark.number("trust-4"), pytest.mark.xdist_group("secured")]

NOT_REACHED = 9
WORKERS = 2
TOLERATED = {"config|get"}
"""What the doctor asks where it may, and does without where it may not."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, warm: Warm | None) -> Iterator[Secured]:
    home = tmp_path_factory.mktemp("secured")
    with a_secured_stack(home, warm) as made:
        made.stack.start_workers(WORKERS)
        yield made


@pytest.fixture
def site(secured: Secured) -> Iterator[Site]:
    yield from a_site(secured.stack)


def test_a_job_runs_over_tls_with_the_least_rights(secured: Secured, site: Site) -> None:
    with secured.redis.client() as redis:
        redis.acl_log_reset()  # what other tests tried
    job = site.planned(site.seed(10, tasks=2))

    site.confirm(job, wait="1m")

    site.judge_as_told(job)
    site.stack.run("doctor").ended(0)
    with secured.redis.client() as redis:
        refused = {str(one["object"]) for one in redis.acl_log()}
    assert refused <= TOLERATED


def test_workers_are_asked_and_answer_whatever_the_database_of_the_queue(secured: Secured) -> None:
    app = make_app(secured.stack.env)

    with app.connection() as broker:
        answered = app.control.ping(timeout=10, limit=WORKERS, connection=broker)

    assert len(answered or ()) == WORKERS


@pytest.mark.parametrize("database", [0, 15])
def test_the_queue_may_be_in_any_database(secured: Secured, database: int) -> None:
    url = secured.redis.address("broker", database=database)
    channel = f"/{database}.celery.pidbox"

    with Redis.from_url(url) as redis, redis.pubsub() as listening:
        listening.psubscribe(channel)
        assert listening.get_message(timeout=10) is not None
        assert redis.publish(channel, "x") == 1


@pytest.mark.number(full=True)  # a lease has to end
def test_a_worker_that_dies_is_followed_with_the_least_rights(site: Site) -> None:
    site.configure('limits = { windows = [[1000000, "60s"]], per_day = 1000000, in_flight = 2 }')
    site.stack.control.latency(0.1)
    job = site.planned(site.seed(10, tasks=2))
    site.confirm(job)

    site.stack.kill_workers()
    site.stack.start_workers(2)

    site.ended(job, within=90)
    site.judge(job)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of somebody else, who claims the same address."""
    return TlsFiles.make(tmp_path_factory.mktemp("stranger")).certificate


@pytest.mark.parametrize("wrong", ["another certificate", "another name", "no TLS"])
@pytest.mark.parametrize("server", ["database", "redis", "broker"])
def test_a_server_that_is_not_the_one_meant_is_not_spoken_to(
    secured: Secured, stranger: Path, server: str, wrong: str
) -> None:
    trusts = stranger if wrong == "another certificate" else None
    url = {
        "database": secured.postgres.address("work", trusts=trusts),
        "redis": secured.redis.address("gate", trusts=trusts),
        "broker": secured.redis.address("broker", trusts=trusts),
    }[server]
    if wrong == "another name":
        url = url.replace("127.0.0.1", "localhost")
    if wrong == "no TLS":
        url = url.replace("verify-full", "disable")
        if url.startswith("rediss"):
            url = url.replace("rediss://", "redis://").partition("?")[0]

    if server == "broker":
        with pytest.raises(OperationalError), Connection(url) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=10)
    else:
        assert f"missing  {server}" in _doctor(secured, f"BULKDEL_{server.upper()}_URL", url)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("gate", ["LRANGE", "celery", "0", "-1"]),
        ("gate", ["LPUSH", "celery", "x"]),
        ("gate", ["GET", "anything"]),
        ("gate", ["PUBLISH", "/0.celery.pidbox", "x"]),
        ("broker", ["GET", "{bulkdel:x}:acme:book"]),
        ("broker", ["DEL", "{bulkdel:x}:acme:book"]),
        *((user, ["FLUSHALL"]) for user in ("gate", "broker")),
        *((user, ["KEYS", "*"]) for user in ("gate", "broker")),
        *((user, ["CONFIG", "SET", "dir", "."]) for user in ("gate", "broker")),
        *((user, ["ACL", "LIST"]) for user in ("gate", "broker")),
        *((user, ["SHUTDOWN"]) for user in ("gate", "broker")),
    ],
    ids=str,
)
def test_a_user_of_redis_may_not_do_what_it_does_not_need(
    secured: Secured, user: str, words: list[str]
) -> None:
    with Redis.from_url(secured.redis.address(user)) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*words)


def test_nobody_without_a_password_is_let_in(secured: Secured) -> None:
    url = secured.redis.address("gate")
    nobody = f"rediss://{url.partition('@')[2]}"

    with Redis.from_url(nobody) as redis, pytest.raises(AuthenticationError):
        redis.ping()


def _doctor(secured: Secured, name: str, url: str) -> str:
    """What the doctor says with another address; that it can do its work is the same to it."""
    stack = secured.stack
    before = dict(stack.env)
    stack.env[name] = url
    try:
        return stack.run("doctor").ended(NOT_REACHED).stdout
    finally:
        stack.env.update(before)
