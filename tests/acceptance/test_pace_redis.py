"""PACE 3: a Redis that loses everything lets no call through that it would not have let before."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.acceptance.conftest import a_site
from tests.acceptance.pace import Limits, passed, pause
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, a_stack
from tests.acceptance.waiting import eventually
from tests.chaos.servers import OwnRedis
from tests.services import need_redis

pytestmark = [pytest.mark.number("pace-3"), pytest.mark.timeout(1800)]

LIMITS = Limits(windows=[(12, 1), (100, 10)], in_flight=5)
GOES_ON_WITHIN = 5.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis of the test's own that keeps nothing."""
    need_redis()
    server = OwnRedis(tmp_path)
    server.keeps = False
    server.start()
    yield server
    server.kill()


@pytest.fixture
def site(redis: OwnRedis, tmp_path: Path) -> Iterator[Site]:
    """An account on a deployment whose limits and queue that Redis keeps."""
    with a_stack(Kind.POSTGRES, tmp_path) as stack:
        stack.env["BULKDEL_REDIS_URL"] = redis.url
        stack.start_workers(2)
        yield from a_site(stack)


def flush(redis: OwnRedis, _: float) -> None:
    with redis.client() as client:
        client.flushall()


def restart(redis: OwnRedis, gone: float) -> None:
    redis.kill(signal.SIGKILL)
    Event().wait(gone)
    redis.start()


def test_a_redis_that_loses_everything_passes_no_limit(
    site: Site, redis: OwnRedis, full: bool
) -> None:
    strikes = [(flush, 0.0), (restart, 1.0)] + [(flush, 0.0), (restart, 20.0)] * (2 * full)
    LIMITS.set(site)
    site.stack.control.latency(0.1, jitter=0.1)
    job = site.planned(site.seed(120 * len(strikes)), "--cascade", "none")
    site.confirm(job)

    pauses = []
    for number, (strike, gone) in enumerate(strikes, start=1):
        wanted = 100 * number
        eventually(lambda n=wanted: len(site.deletions()) > n, within=300, what=f"{wanted} calls")  # type: ignore[misc]  # a default for the loop's variable
        strike(redis, gone)
        at = time.time()
        eventually(lambda at=at: pause(site, at) < 60, within=60, what="a call")  # type: ignore[misc]  # the same
        pauses.append(pause(site, at))
    ended = site.ended(job, within=600)

    assert passed(site, LIMITS) == []
    assert max(pauses) <= GOES_ON_WITHIN, pauses
    assert ended["state"] == "succeeded"
    site.judge(job)
