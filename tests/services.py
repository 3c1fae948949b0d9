"""Where the servers are that integration tests talk to, and what a missing one means."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A server a test may need: where it is looked for, unless the variable says otherwise."""

    name: str
    variable: str
    url: str


POSTGRES = Service(
    name="PostgreSQL",
    variable="BULKDEL_TEST_POSTGRES",
    url="postgresql://postgres@127.0.0.1:5432",
)
REDIS = Service(name="Redis", variable="BULKDEL_TEST_REDIS_URL", url="redis://127.0.0.1:6379/0")
RABBITMQ = Service(
    name="RabbitMQ",
    variable="BULKDEL_TEST_RABBITMQ_URL",
    url="amqp://guest:guest@127.0.0.1:5672//",
)


def need_postgres() -> str:
    """The server of PostgreSQL, no database named; without it tests are skipped, or fail in CI."""
    return _need(POSTGRES)


def need_redis() -> str:
    """The URL of Redis; without it the test is skipped, or fails in CI."""
    return _need(REDIS)


def need_rabbitmq() -> str:
    """The URL of RabbitMQ; without it the test is skipped, or fails in CI."""
    return _need(RABBITMQ)


def is_ci() -> bool:
    """Whether a machine runs the tests, so that nobody would see what was skipped."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def _need(service: Service) -> str:
    url = os.environ.get(service.variable, service.url)
    if _answers(url):
        return url
    place = urlsplit(url)
    reason = (
        f"no {service.name} at {place.hostname}:{place.port} ({service.variable} may name one)"
    )
    if is_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@cache
def _answers(url: str) -> bool:
    place = urlsplit(url)
    if place.hostname is None or place.port is None:
        pytest.fail(f"cannot look for a server without a host and a port: {url}", pytrace=False)
    try:
        socket.create_connection((place.hostname, place.port), timeout=2).close()
    except OSError:
        return False
    return True
