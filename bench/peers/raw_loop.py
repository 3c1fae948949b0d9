"""What the lean provider can do alone: DELETEs over plain sockets, as fast as they are answered.

Arguments as for httpx_loop. It understands no more of HTTP than this one server says.
"""

import asyncio
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit


async def delete_all(base_url: str, organization: str, ids: Iterator[int]) -> None:
    """Delete one after another what the others leave, over one connection."""
    url = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    for number in ids:
        target = f"{url.path}/projects/{number}?organization-id={organization}"
        writer.write(f"DELETE {target} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


async def main(base_url: str, organization: str, first: int, count: int, in_flight: int) -> None:
    """Delete `count` projects, `in_flight` at a time."""
    ids = iter(range(first, first + count))
    await asyncio.gather(*(delete_all(base_url, organization, ids) for _ in range(in_flight)))


if __name__ == "__main__":
    _, base_url, organization, *numbers = sys.argv
    first, count, in_flight = (int(number) for number in numbers)
    asyncio.run(main(base_url, organization, first, count, in_flight))
