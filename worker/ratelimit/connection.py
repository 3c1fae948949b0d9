"""How Redis is spoken to: at once, or not at all."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer

TIMEOUT = timedelta(seconds=2)


def connect(url: str, *, timeout: timedelta = TIMEOUT) -> Redis:
    """A client that tries once, and connects when it is first used.

    Takes redis://, rediss://, unix://PATH?db=N and Celery's redis+socket://PATH?virtual_host=N.
    """
    seconds = timeout.total_seconds()
    return Redis.from_url(
        redis_url(url),
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
    )


async def silence_of(url: str) -> str:
    """Why nobody answers there, in a word; empty if somebody does, whatever is said."""
    client = connect(url)
    try:
        await client.info("server")
    except (NoConnection, NoAnswer) as error:  # a wrong password is one of the first
        return type(error).__name__
    except RedisError:
        return ""
    finally:
        await client.aclose()
    return ""


def redis_url(url: str) -> str:
    """`url` as redis-py spells it; it has no name of its own for Celery's sockets."""
    parts = urlsplit(url)
    if parts.scheme != "redis+socket":
        return url
    names = {"virtual_host": "db"}
    query = [(names.get(key, key), value.lstrip("/")) for key, value in parse_qsl(parts.query)]
    path = f"unix://{parts.netloc}{parts.path}"
    return f"{path}?{urlencode(query)}" if query else path
