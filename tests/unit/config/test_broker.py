"""What an amqps address says of TLS."""

import ssl

import pytest

from worker.app import make_app
from worker.config.broker import amqp_tls, without_tls
from worker.config.settings import Settings
from worker.domain.errors import InvalidInput

PLACE = "amqps://bulkdel:secret@rabbit.internal:5671//"


def test_a_rabbitmq_behind_tls_is_always_known_by_certificate_and_name() -> None:
    assert amqp_tls(PLACE) == {
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": "rabbit.internal",
    }


def test_an_address_names_the_authority_and_our_own_certificate() -> None:
    said = "ssl_cert_reqs=required&ssl_ca_certs=%2Fca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"

    told = amqp_tls(f"{PLACE}?{said}&heartbeat=30")

    assert told is not None
    files = {name: told[name] for name in ("ca_certs", "certfile", "keyfile")}
    assert files == {"ca_certs": "/ca.pem", "certfile": "/c.pem", "keyfile": "/k.pem"}
    assert without_tls(f"{PLACE}?{said}&heartbeat=30") == f"{PLACE}?heartbeat=30"


@pytest.mark.parametrize(
    "url",
    ["", "amqp://b//", "redis://r:6379/0", "rediss://r/0?ssl_cert_reqs=required&ssl_ca_certs=/c"],
)
def test_other_addresses_are_left_as_they_are(url: str) -> None:
    assert amqp_tls(url) is None
    assert without_tls(url) == url


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("ssl_cert_reqs=none", "always required"),
        ("ssl_ca_cert=/ca.pem", "did you mean `ssl_ca_certs`"),
        ("ssl_check_hostname=false", "has no ssl_check_hostname"),
    ],
)
def test_a_rabbitmq_behind_tls_cannot_be_left_unknown(said: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        Settings.load({"BULKDEL_BROKER_URL": f"{PLACE}?{said}"})

    assert "secret" not in f"{refused.value.what} {refused.value.fix}"


def test_celery_is_told_of_tls_in_its_own_words() -> None:
    environ = {"BULKDEL_REDIS_URL": "redis://r", "BULKDEL_BROKER_URL": f"{PLACE}?ssl_ca_certs=/ca"}

    app = make_app(environ)

    assert app.conf.broker_url == PLACE
    assert app.conf.broker_use_ssl["ca_certs"] == "/ca"
    assert make_app({"BULKDEL_REDIS_URL": "redis://r"}).conf.broker_use_ssl is False
