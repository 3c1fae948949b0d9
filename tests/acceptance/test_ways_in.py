"""Other ways in than a terminal: another service's Celery app; and a machine nobody works on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.conftest import a_site
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, a_stack
from tests.acceptance.waiting import eventually
from tests.acceptance.warm import Warm
from worker import embedded


@pytest.fixture(params=[Kind.POSTGRES, Kind.SQLITE], ids=str)
def idle_site(request: pytest.FixtureRequest, tmp_path: Path, warm: Warm | None) -> Iterator[Site]:
    """An account on a deployment without any worker."""
    with a_stack(request.param, tmp_path, warm=warm) as stack:
        yield from a_site(stack)


def test_without_a_worker_a_job_is_kept_and_said_so_within_seconds(
    idle_site: Site, full: bool
) -> None:
    told = idle_site.submit(["42"], "--cascade", "all", code=9)

    assert told.seconds < (5 if full else 30)  # short runs share the machine with other tests
    assert "bulkdel up" in told.stderr
    assert told.json["state"] == "planning"
    assert idle_site.show(told.json)["counts"]["open"] == 1
    assert idle_site.ledger() == []


def test_another_service_submits_by_message_on_the_default_queue(site: Site) -> None:
    key = f"message-{site.account}"
    request = {
        "account": site.account,
        "ids": site.seed(2, tasks=1),
        "reason": "from elsewhere",
        "cascade": ["all"],
        "key": key,
        "yes": True,
    }

    _send(site, request)
    _send(site, request)

    job = eventually(
        lambda: (
            ran.json if (ran := site.stack.run("show", "--key", key, "--json")).code == 0 else None
        ),
        within=30,
        what="the job of the message",
    )
    ended = site.ended(job, within=60)
    assert ended["state"] == "succeeded"
    assert ended["actor"].startswith("task:")
    assert len(site.stack.run("jobs", "--account", site.account, "--json").lines) == 1
    site.judge(job)


def test_a_message_that_is_no_request_harms_nobody(site: Site) -> None:
    _send(site, {"account": site.account, "ids": ["../users/7"], "key": "k", "reason": "r"})
    _send(site, {"what": "is this"})

    told = site.submit(site.seed(1), "--cascade", "all", "--yes", "--wait=1m").json

    assert told["state"] == "succeeded"
    assert len(site.stack.run("jobs", "--account", site.account, "--json").lines) == 1


def _send(site: Site, request: dict[str, Any]) -> None:
    with Celery("elsewhere", broker=_broker(site)) as other:
        other.send_task("bulkdel.submit", args=[request], ignore_result=True)


def _broker(site: Site) -> str:
    given = site.stack.env.get("BULKDEL_REDIS_URL")
    if given is not None:
        return given
    server = embedded.find(site.stack.home / ".bulkdel")
    assert server is not None
    return server.url
