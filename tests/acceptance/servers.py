"""A database and a Redis of a test's own, on servers that others use too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql
from redis import Redis

from tests.acceptance.waiting import eventually
from tests.services import need_postgres, need_redis

MARK = "bulkdel-tests"
"""The key that says which test process a Redis database belongs to."""


@contextmanager
def own_postgres() -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    server, name = need_postgres(), f"bulkdel_accept_{uuid4().hex[:12]}"
    _on_server(server, "CREATE DATABASE {}", name)
    try:
        yield f"{server}/{name}"
    finally:
        _on_server(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@contextmanager
def own_redis() -> Iterator[str]:
    """The URL of an empty Redis database, emptied afterwards.

    Celery's queue has the same name everywhere, so two deployments must not share one.
    """
    url = eventually(lambda: _taken(need_redis()), within=120, what="a Redis database nobody uses")
    try:
        yield url
    finally:
        with Redis.from_url(url) as redis:
            redis.flushdb()


def _taken(server: str) -> str | None:
    """The URL of a database that is ours now; None while others use all of them."""
    for number in range(1, 16):
        url = urlsplit(server)._replace(path=f"/{number}").geturl()
        with Redis.from_url(url) as redis:
            if _is_free(redis):
                return url
    return None


def _is_free(redis: "Redis") -> bool:
    """Take an empty database, or one that a test process left behind which is gone."""
    owner = redis.get(MARK)
    if owner is not None and not Path(f"/proc/{int(owner)}").exists():
        redis.flushdb()
    if redis.dbsize():
        return False
    return bool(redis.set(MARK, os.getpid(), nx=True))


def _on_server(server: str, statement: LiteralString, name: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=5) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
