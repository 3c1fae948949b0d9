"""A RabbitMQ behind TLS: what its address says of it, in the words that Celery's client takes.

That client hands the `ssl_…` of an amqps address to a function that knows none of these names,
and asks for no name in the server's certificate unless it is told which.
"""

import ssl
from urllib.parse import parse_qsl, urlencode, urlsplit

from worker.config.values import did_you_mean

AMQP_PORTS = {"amqp": 5672, "pyamqp": 5672, "amqps": 5671}
SECURED = "amqps"
_SAID = "ssl_"
_FILES = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}
_CHECKED = "ssl_cert_reqs"


def amqp_tls(url: str) -> dict[str, object] | None:
    """How the server of an amqps address is known: always by its certificate and its name.

    None for any other address. Raises ValueError for what cannot be said there.
    """
    parts = urlsplit(url)
    if parts.scheme != SECURED:
        return None
    said = {name: value for name, value in parse_qsl(parts.query) if name.startswith(_SAID)}
    if said.pop(_CHECKED, "required") not in {"required", "CERT_REQUIRED"}:
        message = f"{_CHECKED} is always required: a server that is not known could be anybody"
        raise ValueError(message)
    for name in said.keys() - _FILES.keys():
        message = f"an amqps address has no {name}{did_you_mean(name, [*_FILES, _CHECKED])}"
        raise ValueError(message)
    files = {_FILES[name]: path for name, path in said.items()}
    return {
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": parts.hostname or "localhost",
        **files,
    }


def without_tls(url: str) -> str:
    """An amqps address without what `amqp_tls` says in other words; any other as it is."""
    parts = urlsplit(url)
    if parts.scheme != SECURED:
        return url
    rest = [(name, value) for name, value in parse_qsl(parts.query) if name[:4] != _SAID]
    return parts._replace(query=urlencode(rest)).geturl()
