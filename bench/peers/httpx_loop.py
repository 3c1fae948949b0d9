"""The least one can write: a loop on httpx, a fixed number of calls in flight, nothing kept.

`httpx_loop.py BASE_URL ORGANIZATION FIRST COUNT IN_FLIGHT`, ids counted from FIRST.
"""

import asyncio
import sys
from collections.abc import Iterator

import httpx


async def delete_all(client: httpx.AsyncClient, ids: Iterator[int]) -> None:
    """Delete one after another what the others leave."""
    for number in ids:
        answer = await client.delete(f"/projects/{number}")
        answer.raise_for_status()


async def main(base_url: str, organization: str, first: int, count: int, in_flight: int) -> None:
    """Delete `count` projects, `in_flight` at a time, over one pooled client."""
    ids = iter(range(first, first + count))
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(
        base_url=base_url,
        params={"organization-id": organization},
        headers={"Authorization": "Zoho-oauthtoken peer"},
        timeout=15.0,
        limits=limits,
    ) as client:
        await asyncio.gather(*(delete_all(client, ids) for _ in range(in_flight)))


if __name__ == "__main__":
    _, base_url, organization, *numbers = sys.argv
    first, count, in_flight = (int(number) for number in numbers)
    asyncio.run(main(base_url, organization, first, count, in_flight))
