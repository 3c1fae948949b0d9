"""The queue in Redis may hold anything: what is no message is dropped, the rest arrives."""

import gc
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection, Consumer, Queue
from redis import Redis

from tests.services import need_redis
from worker.messages import drop_unreadable

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WHOLE: dict[str, object] = {"body": "W10=", "headers": {}, "properties": {"delivery_tag": "t"}}
NOT_BASE64 = {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "base64"}
ENTRIES: tuple[object, ...] = (
    None,
    7,
    "text",
    [],
    {},
    {"body": 1, "headers": {}},
    {**WHOLE, "properties": {}},
    {**WHOLE, "properties": {"delivery_tag": [], "delivery_info": {}}},
    {**WHOLE, "body": None},
    {**WHOLE, "headers": 7},
    {**WHOLE, "body": "not base64", "properties": NOT_BASE64},
)
UNREADABLE = [b"\x00\xff", b"{", *(json.dumps(entry).encode() for entry in ENTRIES)]


@pytest.fixture
def queue() -> Iterator[Queue]:
    name = f"bulkdel-test-{uuid4().hex}"
    yield Queue(name, routing_key=name)
    with Redis.from_url(need_redis()) as redis:
        redis.delete(name, f"_kombu.binding.{name}")


def test_what_is_no_message_is_dropped_and_the_next_message_arrives(queue: Queue) -> None:
    drop_unreadable()
    got: list[object] = []
    with Connection(need_redis()) as connection, Redis.from_url(need_redis()) as redis:
        redis.lpush(queue.name, *UNREADABLE)
        connection.SimpleQueue(queue.name).put(["acme"], serializer="json")
        with Consumer(connection, queue, callbacks=[lambda body, _: got.append(body)]):
            while not got:
                connection.drain_events(timeout=5)
    gc.collect()  # kombu leaves a socket to it, which is not what this test is about

    assert got == [["acme"]]


def test_a_lost_connection_is_closed_twice_with_messages_in_hand(queue: Queue) -> None:
    drop_unreadable()
    connection = Connection(need_redis())
    connection.SimpleQueue(queue.name).put(["acme"], serializer="json")
    channel: Any = connection.default_channel
    assert queue(channel).get() is not None  # and it is not acked
    # As Celery does it: what is forgotten first is asked for its address when the channel closes.
    channel._disconnect_pools()
    connection.transport.client = None

    channel.close()

    assert channel.closed
    gc.collect()
