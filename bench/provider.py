"""A lean provider: one process that answers as Zoho Books does, so cheaply that it is no limit.

It keeps no more than ids, times and sliding windows, and judges every call when it arrives:
what it counts is what a row of the bench says. `python -m bench.provider` prints its URL.
"""

import asyncio
import json
import sys
from collections import deque
from dataclasses import dataclass, field
from math import ceil
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, unquote

BASE = 10**17
"""Ids of an organisation are BASE + 1, BASE + 2 and so on."""
V4 = "/books/v4"
DELETED = json.dumps({"code": 0, "message": "The project has been deleted."}).encode()
ABSENT = json.dumps({"code": 1002, "message": "Project does not exist."}).encode()
THROTTLED = json.dumps({"code": 44, "message": "For security reasons you are blocked."}).encode()
UNKNOWN = json.dumps({"code": 5, "message": "Invalid URL Passed"}).encode()
REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests"}

Reply = tuple[int, bytes, int]  # status, body, Retry-After in seconds or 0


@dataclass(slots=True)
class Organization:
    """What one account's calls meet."""

    projects: int
    calls: int = 0  # allowed in any window; 0: as many as come
    per: float = 60.0
    latency: float = 0.0
    rival: float = 0.0  # share of the window that somebody else takes
    gone: set[int] = field(default_factory=set)
    times: list[float] = field(default_factory=list)  # of calls served, ours alone
    refused: list[float] = field(default_factory=list)
    rivals: list[float] = field(default_factory=list)  # calls served, the rival's
    bulk: int = 0  # calls that deleted several at once
    worst: int = 0  # most calls seen in one sliding window
    window: deque[float] = field(default_factory=deque)
    living: list[int] | None = None

    def wait(self, now: float) -> int:
        """Take a place in the window; or the whole seconds until there is one."""
        if not self.calls:
            return 0
        while self.window and self.window[0] <= now - self.per:
            self.window.popleft()
        if len(self.window) >= self.calls:
            return max(1, ceil(self.window[0] + self.per - now))
        self.window.append(now)
        self.worst = max(self.worst, len(self.window))
        return 0

    def delete(self, number: int) -> bool:
        if not 0 < number <= self.projects or number in self.gone:
            return False
        self.gone.add(number)
        self.living = None
        return True

    def page(self, page: int, size: int) -> tuple[list[int], bool]:
        if not self.gone:
            first = (page - 1) * size + 1
            last = min(first + size - 1, self.projects)
            return list(range(first, last + 1)), last < self.projects
        if self.living is None:
            self.living = [n for n in range(1, self.projects + 1) if n not in self.gone]
        start = (page - 1) * size
        return self.living[start : start + size], start + size < len(self.living)


class Books:
    """All organisations, and the answers to what is asked of them."""

    def __init__(self) -> None:
        self.organizations: dict[str, Organization] = {}

    def answer(self, method: bytes, target: str) -> tuple[Reply, float]:
        """The reply, and after how many seconds it leaves."""
        path, _, query = target.partition("?")
        whose = _first(query, "organization-id")
        there = self.organizations.get(whose)
        if there is None or not path.startswith(V4):
            return (404, UNKNOWN, 0), 0.0
        now = monotonic()
        wait = there.wait(now)
        if wait:
            there.refused.append(now)
            return (429, THROTTLED, wait), there.latency
        there.times.append(now)
        return self._served(there, method, path.removeprefix(V4), query), there.latency

    def _served(self, there: Organization, method: bytes, path: str, query: str) -> Reply:
        number = _number(path)
        if method == b"DELETE" and number:
            return (200, DELETED, 0) if there.delete(number) else (404, ABSENT, 0)
        if method == b"DELETE":
            asked = parse_qs(query)
            ids = unquote(asked["project_ids"][0]).split(",")
            there.bulk += 1
            for one in ids:
                there.delete(int(one) - BASE)
            return 200, DELETED, 0
        if number:
            if not 0 < number <= there.projects or number in there.gone:
                return 404, ABSENT, 0
            project = {**_shown(number), "tasks": [], "users": [], "documents": []}
            return 200, _body(project=project), 0
        if path == "/projects":
            return 200, _listing(there, query), 0
        return 200, _body(comments=[]), 0


class Door(asyncio.Protocol):
    """One kept connection, one request after another."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a TCP server makes transports

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the interface's own
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            line, _, headers = head.partition(b"\r\n")
            method, target, _ = line.split(b" ", 2)
            length = _length(headers) if method == b"POST" else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._reply(method, target.decode("ascii"), body)

    def _reply(self, method: bytes, target: str, body: bytes) -> None:
        if target.startswith("/control/"):
            said = json.dumps(control(self._books, target, body)).encode()
            self._write((200, said, 0))
            return
        reply, latency = self._books.answer(method, target)
        if latency:
            asyncio.get_running_loop().call_later(latency, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        status, body, wait = reply
        later = f"Retry-After: {wait}\r\n" if wait else ""
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"{later}Content-Length: {len(body)}\r\n\r\n"
        )
        if self._transport is not None:
            self._transport.write(head.encode("ascii") + body)


def control(books: Books, target: str, body: bytes) -> Any:  # noqa: ANN401  JSON
    """What the bench says and asks: `/control/set` and `/control/seen`."""
    asked = json.loads(body or b"{}")
    if target == "/control/set":
        for name, fields in asked.items():
            books.organizations[name] = Organization(**fields)
            if fields.get("rival"):
                asyncio.get_running_loop().call_soon(_rival, books.organizations[name])
        return {}
    names = asked.get("organizations") or list(books.organizations)
    return {"now": monotonic(), **{n: _seen(books.organizations[n], asked) for n in names}}


def _seen(there: Organization, asked: dict[str, Any]) -> dict[str, Any]:
    start, end = asked.get("since", 0.0), asked.get("until", float("inf"))
    inside = [at for at in there.times if start <= at < end]
    return {
        "calls": len(inside),
        "first": inside[0] if inside else 0.0,
        "last": inside[-1] if inside else 0.0,
        "refused": sum(start <= at < end for at in there.refused),
        "rivals": sum(start <= at < end for at in there.rivals),
        "gone": len(there.gone),
        "bulk": there.bulk,
        "worst": there.worst,
    }


def _rival(there: Organization) -> None:
    """Somebody else's calls, evenly spread; one that finds no place is gone."""
    now = monotonic()
    if not there.wait(now):
        there.rivals.append(now)
    every = there.per / (there.calls * there.rival)
    asyncio.get_running_loop().call_later(every, _rival, there)


def _listing(there: Organization, query: str) -> bytes:
    asked = parse_qs(query)
    page, size = int(asked["page"][0]), int(asked["per_page"][0])
    numbers, more = there.page(page, size)
    context = {"page": page, "per_page": size, "has_more_page": more}
    return _body(projects=[_shown(number) for number in numbers], page_context=context)


def _shown(number: int) -> dict[str, Any]:
    return {
        "project_id": str(BASE + number),
        "project_name": f"Project {number}",
        "status": "active",
        "created_time": "2025-08-06T10:05:43+0530",
    }


def _body(**payload: object) -> bytes:
    said = {"code": 0, "message": "success", **payload}
    return json.dumps(said, separators=(",", ":")).encode()


def _number(path: str) -> int:
    _, _, last = path.rpartition("/projects/")
    return int(last) - BASE if last.isdigit() else 0


def _first(query: str, name: str) -> str:
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return value
    return ""


def _length(headers: bytes) -> int:
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve() -> None:
    """Answer until the end; the URL is the first line on stdout."""
    books = Books()
    server = await asyncio.get_running_loop().create_server(
        lambda: Door(books), "127.0.0.1", 0, backlog=1024
    )
    host, port = server.sockets[0].getsockname()[:2]
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
