"""Logs: one line per fact, JSON off a terminal, never a secret."""

import logging
import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import structlog

from worker.domain.audit import Entry, Event

_SECRET_KEYS = frozenset({"authorization", "token", "refresh_token", "client_secret", "password"})
_LOUD = ("httpx", "httpcore", "aiohttp", "asyncio", "kombu", "celery", "amqp")


def configure(level: str) -> None:
    """Set up logging for this process; libraries speak up from WARNING on."""
    structlog.configure(
        processors=[*_chain(), structlog.processors.format_exc_info, _renderer()],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # a worker sets its level after modules have loggers
    )
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)


def adopt_libraries() -> None:
    """Let what libraries log be lines like ours: one event, whose `message` is theirs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_chain(), _of_a_library],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _renderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


LEVELS = {
    Event.CALL: "debug",  # one of thousands, as each item that is settled without one
    Event.ITEM_SETTLED: "debug",
    Event.CALL_LATE: "warning",
    Event.ATTEMPT_LOST: "warning",
    Event.ACCOUNT_PARKED: "error",
}
"""How loud an audit entry is as a line of the log; all others are `info`."""


def bound(**names: str) -> AbstractContextManager[None]:
    """Lines written in here, and in what is begun in here, carry these names."""
    return structlog.contextvars.bound_contextvars(**names)


def tell(entries: Iterable[Entry]) -> None:
    """Log what was just committed to the audit log, a line each: the ids and how it came out."""
    log = logger("audit")
    for entry in entries:
        facts = {
            "job": entry.job_id,
            "account": entry.account,
            "item": entry.item_id,
            "attempt": entry.attempt,
            "kind": entry.kind,
            "external_id": entry.external_id,
            "verdict": entry.verdict,
            "outcome": entry.outcome,
            "http_status": entry.http_status,
            "moved_to": entry.detail.get("to"),
        }
        there = {name: fact for name, fact in facts.items() if fact not in {None, ""}}
        getattr(log, LEVELS.get(entry.event, "info"))(entry.event.value, **there)


def logger(name: str) -> Any:  # noqa: ANN401  structlog's own bound logger
    """A logger whose lines carry `source=name`."""
    return structlog.get_logger(source=name)


def _chain() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_secrets,
    ]


def _renderer() -> Any:  # noqa: ANN401  one of structlog's two
    if sys.stderr.isatty():
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return structlog.dev.ConsoleRenderer(colors=not plain)
    return structlog.processors.JSONRenderer()


def _of_a_library(_logger: object, _method: str, event: Any) -> dict[str, Any]:  # noqa: ANN401  structlog's
    record: logging.LogRecord = event["_record"]
    return {**event, "event": "library.said", "source": record.name, "message": event["event"]}


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)


def _without_secrets(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    return {key: "[secret]" if key.lower() in _SECRET_KEYS else event[key] for key in event}


configure("warning")  # until a process says otherwise: stdout belongs to data
