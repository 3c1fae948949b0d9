"""The queue in Redis: neither an entry that is no message nor a lost connection ends a worker.

Kombu takes any entry for JSON of its own making. One that is not ends the whole worker, although
anybody who may write to the queue can put it there; and a doorbell that is lost does no harm.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from kombu import transport
from kombu.transport import TRANSPORT_ALIASES, redis

from worker.telemetry import logger

log = logger("messages")


class QoS(redis.QoS):
    """What was taken out of the queue and is not done."""

    def restore_unacked_once(self, stderr: Any = None) -> None:  # noqa: ANN401  as kombu has it
        """Put it back; where Redis cannot be asked it is put back later, by its time.

        Celery closes a lost connection twice. Kombu then asks for the address of a connection it
        has forgotten, and the error is none of those that Celery survives: the worker ended.
        """
        try:
            super().restore_unacked_once(stderr)
        except Exception as error:  # noqa: BLE001  doorbells may be lost: nothing is worth an end
            log.warning("messages.not_restored", error=type(error).__name__)


class Channel(redis.Channel):
    """A channel that goes on after an entry nobody can read, and closes whatever became of it."""

    QoS = QoS  # type: ignore[mutable-override]  # as kombu has it

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401  as kombu has it
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # not in the stubs
        except ValueError as error:  # no UTF-8, no JSON, no base64; the entry is out of the queue
            log.warning("message.unreadable", error=type(error).__name__)
            return True


class Transport(redis.Transport):
    """Kombu's transport for Redis, with such channels."""

    Channel = Channel  # type: ignore[mutable-override]  # as kombu has it

    def _deliver(self, message: Any, queue: str | None) -> None:  # noqa: ANN401  as kombu has it
        if not _is_message(message):
            log.warning("message.unreadable", error="not a message")
            return
        super()._deliver(message, queue)


def _is_message(entry: object) -> bool:
    """Whether kombu can make a message of it; what Celery makes of that is Celery's to refuse."""
    if not isinstance(entry, Mapping):
        return False
    properties, body = entry.get("properties"), entry.get("body")
    return (
        isinstance(properties, Mapping)
        and isinstance(properties.get("delivery_tag"), str)
        and isinstance(properties.get("delivery_info"), Mapping)
        and isinstance(body, str)
        and isinstance(entry.get("headers"), Mapping)
    )


def drop_unreadable(aliases: MutableMapping[str, str] = TRANSPORT_ALIASES) -> None:
    """From now on connections to Redis that kombu opens in this process use this transport."""
    ours = f"{__name__}:{Transport.__name__}"
    aliases.update({"redis": ours, "rediss": ours})
    for name in ("redis", "rediss"):  # kombu keeps what it has looked up once
        transport._transport_cache.pop(name, None)  # type: ignore[attr-defined]  # noqa: SLF001  no other way
