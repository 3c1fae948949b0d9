"""A broker that answers is one that speaks as a RabbitMQ."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker import embedded
from worker.cli.doctor_broker import broker_fault
from worker.config.settings import Settings


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_certificate_that_cannot_be_read_is_said() -> None:
    fault = broker_fault(Settings(broker_url="amqps://127.0.0.1:1//?ssl_ca_certs=/not/there.pem"))

    assert fault is not None
    assert fault.what == (
        "a certificate of BULKDEL_BROKER_URL cannot be read: No such file or directory"
    )
    assert "ssl_ca_certs" in fault.fix


@pytest.mark.enable_socket
def test_an_open_port_alone_is_no_rabbitmq(monkeypatch: pytest.MonkeyPatch, stranger: int) -> None:
    monkeypatch.setattr("worker.cli.doctor_broker.ANSWERS_WITHIN", 0.05)

    fault = broker_fault(Settings(broker_url=f"amqp://127.0.0.1:{stranger}//"))

    assert fault is not None
    assert fault.what == "the broker does not answer: TimeoutError"


def test_a_broker_that_is_the_redis_of_the_limits_is_looked_at_elsewhere() -> None:
    url = "redis://127.0.0.1:1/0"

    assert broker_fault(Settings(broker_url=url, redis_url=url)) is None
    assert broker_fault(Settings(redis_url=url)) is None


@pytest.mark.enable_socket
def test_a_redis_that_is_the_broker_alone_has_to_answer() -> None:
    fault = broker_fault(
        Settings(broker_url="redis://:pw@127.0.0.1:1/1", redis_url="redis://127.0.0.1:1/0")
    )

    assert fault is not None
    assert fault.what == "the broker does not answer: ConnectionError"
    assert "BULKDEL_BROKER_URL" in fault.fix


def test_a_redis_that_answers_is_a_broker(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        place = server.redis_url.partition("://")[2].partition("?")[0]

        assert broker_fault(Settings(broker_url=f"redis+socket://{place}")) is None


def test_what_celery_alone_understands_is_left_to_it() -> None:
    url = "rediss://127.0.0.1:1/0?ssl_cert_reqs=CERT_OF_SOME_KIND"

    assert broker_fault(Settings(broker_url=url)) is None
