"""Logs: one line per fact, JSON off a terminal, never a secret."""

import logging
import sys
from typing import Any

import structlog

_SECRET_KEYS = frozenset({"authorization", "token", "refresh_token", "client_secret", "password"})
_LOUD = ("httpx", "httpcore", "aiohttp", "asyncio", "kombu", "celery", "amqp")


def configure(level: str) -> None:
    """Set up logging for this process; libraries speak up from WARNING on."""
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_secrets,
    ]
    render: Any = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        render = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*chain, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # a worker sets its level after modules have loggers
    )
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)


def logger(name: str) -> Any:  # noqa: ANN401  structlog's own bound logger
    """A logger whose lines carry `source=name`."""
    return structlog.get_logger(source=name)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)


def _without_secrets(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    return {key: "[secret]" if key.lower() in _SECRET_KEYS else event[key] for key in event}


configure("warning")  # until a process says otherwise: stdout belongs to data
