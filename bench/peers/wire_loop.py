"""The limit of our client: a loop on our own wire, nothing kept. Arguments as for httpx_loop."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from worker.providers.wire import Wire

OK = 200


async def delete_all(wire: Wire, base_url: str, organization: str, ids: Iterator[int]) -> None:
    """Delete one after another what the others leave."""
    headers = (("Authorization", "Zoho-oauthtoken peer"), ("Accept", "application/json"))
    url = urlsplit(base_url)
    origin = f"{url.scheme}://{url.netloc}"
    for number in ids:
        target = f"{url.path}/projects/{number}?organization-id={organization}"
        answer = await wire.exchange("DELETE", origin, target, headers)
        if answer.status_code != OK:
            raise RuntimeError(f"HTTP {answer.status_code}")


async def main(base_url: str, organization: str, first: int, count: int, in_flight: int) -> None:
    """Delete `count` projects, `in_flight` at a time."""
    ids = iter(range(first, first + count))
    wire = Wire(connections=in_flight, deadline=timedelta(seconds=15))
    loops = (delete_all(wire, base_url, organization, ids) for _ in range(in_flight))
    await asyncio.gather(*loops)
    await wire.aclose()


if __name__ == "__main__":
    _, base_url, organization, *numbers = sys.argv
    first, count, in_flight = (int(number) for number in numbers)
    asyncio.run(main(base_url, organization, first, count, in_flight))
