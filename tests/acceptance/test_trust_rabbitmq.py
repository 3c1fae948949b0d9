"""TRUST: a RabbitMQ behind TLS is known by its certificate and its name, or not spoken to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Queue
from kombu.exceptions import OperationalError

from tests.acceptance.commands import run
from tests.acceptance.conftest import a_site
from tests.acceptance.secured import SecuredRabbit, secured_rabbit
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, Stack, a_stack
from tests.acceptance.warm import Warm
from tests.chaos.network import TlsFiles
from worker.app import make_app

pytestmark = [pytest.mark.number("trust-4"), pytest.mark.xdist_group("secured")]

WORKERS = 2
WRONG = {
    "another certificate": "the broker is not the one meant: self",
    "another name": "the broker is not the one meant: Hostname mismatch",
    "no TLS": "the broker does not answer: it is no RabbitMQ, or wants TLS (amqps://)",
}
"""What is wrong with an address, and what is said of it."""
NOT_REACHED, UNSAFE = 9, 5


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredRabbit]:
    home = tmp_path_factory.mktemp("rabbit")
    server = secured_rabbit(home, TlsFiles.make(home))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def stack(
    rabbit: SecuredRabbit, tmp_path_factory: pytest.TempPathFactory, warm: Warm | None
) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("over-amqps")
    settings = {"BULKDEL_BROKER_URL": rabbit.url}
    with a_stack(Kind.POSTGRES, home, settings=settings, warm=warm) as made:
        made.start_workers(WORKERS)
        yield made


@pytest.fixture
def site(stack: Stack) -> Iterator[Site]:
    yield from a_site(stack)


def test_a_job_runs_over_tls_to_rabbitmq(stack: Stack, site: Site) -> None:
    job = site.planned(site.seed(10, tasks=2))

    site.confirm(job, wait="2m")

    site.judge_as_told(job)
    assert "broker" not in stack.run("doctor").stdout
    with make_app(stack.env).connection() as broker:
        queue: Any = Queue("celery").bind(broker.channel()).queue_declare(passive=True)
    assert queue.consumer_count == WORKERS


@pytest.mark.parametrize("wrong", WRONG)
def test_a_rabbitmq_that_is_not_the_one_meant_is_not_spoken_to(
    rabbit: SecuredRabbit, stack: Stack, tmp_path: Path, wrong: str
) -> None:
    app = make_app(stack.env | {"BULKDEL_BROKER_URL": _address(rabbit, tmp_path, wrong)})

    with app.connection() as broker, pytest.raises(OperationalError):
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=10)


@pytest.mark.parametrize("wrong", WRONG)
def test_the_doctor_says_what_is_wrong_with_a_rabbitmq(
    rabbit: SecuredRabbit, stack: Stack, tmp_path: Path, wrong: str
) -> None:
    said = _said(stack, "doctor", _address(rabbit, tmp_path, wrong))

    assert f"missing broker: {WRONG[wrong]}" in said
    assert "BULKDEL_BROKER_URL" in said
    assert rabbit.password not in said


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_nothing_is_started_with_a_rabbitmq_that_is_not_the_one_meant(
    rabbit: SecuredRabbit, stack: Stack, tmp_path: Path, command: str
) -> None:
    said = _said(stack, command, _address(rabbit, tmp_path, "another certificate"))

    assert WRONG["another certificate"] in said
    assert rabbit.password not in said


def _said(stack: Stack, command: str, url: str) -> str:
    """What a command says that cannot use this broker; the doctor may find more that is unsafe."""
    env = stack.env | {"BULKDEL_BROKER_URL": url}
    ended = run([command], env=env, cwd=stack.home, warm=stack.warm).ended(NOT_REACHED, UNSAFE)
    return " ".join((ended.stdout + ended.stderr).split())


def _address(rabbit: SecuredRabbit, folder: Path, wrong: str) -> str:
    """An address with which something is wrong; a stranger claims the same place."""
    stranger = TlsFiles.make(folder).certificate
    return {
        "another certificate": rabbit.address(trusts=stranger),
        "another name": rabbit.url.replace("127.0.0.1", "localhost"),
        "no TLS": rabbit.url.replace("amqps://", "amqp://").partition("?")[0],
    }[wrong]
