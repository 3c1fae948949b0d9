"""A broker that answers is one that speaks as a RabbitMQ."""

import socket
from collections.abc import Iterator

import pytest

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


def test_a_broker_that_is_a_redis_is_looked_at_elsewhere() -> None:
    assert broker_fault(Settings(broker_url="redis://127.0.0.1:1/0")) is None
