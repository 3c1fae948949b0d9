"""Whether a broker of its own answers: a RabbitMQ, which is the one that is meant, or a Redis."""

import asyncio
import errno
import socket
import ssl
from contextlib import ExitStack
from urllib.parse import urlsplit

from worker.config.broker import AMQP_PORTS, amqp_tls
from worker.config.settings import Settings
from worker.ratelimit.connection import silence_of
from worker.services.doctor_facts import Fault

ANSWERS_WITHIN = 5.0
GREETING, GREETED = b"AMQP\x00\x00\x09\x01", b"\x01"
"""Of AMQP 0-9-1: whoever asks says which words it knows, and gets a first frame of them."""
REDIS = frozenset({"redis", "rediss", "redis+socket"})
CORRECT = "start it, or correct BULKDEL_BROKER_URL"


def broker_fault(settings: Settings) -> Fault | None:
    """Whether a broker of its own can be knocked at; that of the limits is looked at elsewhere."""
    url = settings.broker_url or ""
    parts = urlsplit(url)
    if parts.scheme in REDIS and url != settings.redis_url:
        return _redis_fault(url)
    if parts.scheme not in AMQP_PORTS:
        return None
    try:
        context = _known_by(url)
    except OSError as error:  # what OpenSSL says of a file is one, too
        return Fault(
            what=f"a certificate of BULKDEL_BROKER_URL cannot be read: {_why(error)}",
            fix="correct ssl_ca_certs, ssl_certfile or ssl_keyfile in it",
        )
    try:
        _greet((parts.hostname or "localhost", parts.port or AMQP_PORTS[parts.scheme]), context)
    except ssl.SSLCertVerificationError as error:
        return Fault(
            what=f"the broker is not the one meant: {error.verify_message}",
            fix="correct ssl_ca_certs or the name in BULKDEL_BROKER_URL, or its certificate",
        )
    except (OSError, ValueError) as error:
        return Fault(what=f"the broker does not answer: {_why(error)}", fix=CORRECT)
    return None


def _redis_fault(url: str) -> Fault | None:
    try:
        why = asyncio.run(silence_of(url))
    except ValueError:  # options that Celery alone understands: it says itself what it thinks
        return None
    return Fault(what=f"the broker does not answer: {why}", fix=CORRECT) if why else None


def _known_by(url: str) -> ssl.SSLContext | None:
    """What its certificate is held against; None for a broker without TLS."""
    said = amqp_tls(url)
    if said is None:
        return None
    files = {name: str(path) for name, path in said.items() if name.endswith("file")}
    trusted = said.get("ca_certs")
    context = ssl.create_default_context(cafile=None if trusted is None else str(trusted))
    if "certfile" in files:
        context.load_cert_chain(**files)
    return context


def _greet(place: tuple[str, int], context: ssl.SSLContext | None) -> None:
    """Raise OSError unless what is there speaks as a RabbitMQ; an open port alone does not."""
    with ExitStack() as ending:
        there = ending.enter_context(socket.create_connection(place, timeout=ANSWERS_WITHIN))
        if context is not None:
            there = ending.enter_context(context.wrap_socket(there, server_hostname=place[0]))
        there.sendall(GREETING)
        if there.recv(1) != GREETED:
            raise OSError(errno.EPROTO, "it is no RabbitMQ, or wants TLS (amqps://)")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'broken off').lower().replace('_', ' ')}"
    return getattr(error, "strerror", None) or type(error).__name__
