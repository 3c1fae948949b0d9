"""A bad line between the worker and the sandbox: TLS, and what can go wrong on the way."""

import asyncio
import gzip
import ipaddress
import random
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BOMB_SIZE = 128 << 20
BOMB_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    b"Connection: close\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A certificate for 127.0.0.1 that signs itself, and its key."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, home: Path) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drill")])
        now = datetime.now(UTC)  # noqa: TID251  a certificate is of today
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        files = cls(certificate=home / "drill.pem", key=home / "drill.key")
        files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        unlocked = serialization.NoEncryption()
        pem = serialization.Encoding.PEM
        text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unlocked)
        files.key.write_bytes(text)
        return files


@dataclass(slots=True)
class Network:
    """A listener with TLS that passes requests on; a share of them meets trouble."""

    upstream: tuple[str, int]
    url: str = ""
    trouble: str = ""  # reset, drip, bomb; "" is a good line
    share: float = 0.0
    hits: int = 0
    _inner: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _generation: int = 0
    _dice: random.Random = field(default_factory=lambda: random.Random(7))

    @classmethod
    @contextmanager
    def between(cls, base_url: str, tls: TlsFiles) -> Iterator["Network"]:
        """A line to the sandbox at this URL; its own `url` begins with https."""
        place = urlsplit(base_url)
        network = cls((str(place.hostname), int(place.port or 0)))
        ready, loop = threading.Event(), network._loop

        def serve() -> None:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(network._listen(tls, place.path))
            ready.set()
            loop.run_forever()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        ready.wait(10)
        try:
            yield network
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)

    def makes(self, trouble: str, share: float, seed: int) -> None:
        """From now on a share of the connections or requests meets this trouble."""
        self.trouble, self.share, self.hits = trouble, share, 0
        self._dice = random.Random(seed)

    def drop(self) -> None:
        """Close every connection there is after its next answer, so that new ones are made.

        Not at once: a call on its way would get lost where no ledger sees it.
        """
        self._generation += 1

    def clears(self) -> None:
        """A good line again."""
        self.trouble = ""

    def _strikes(self, trouble: str) -> bool:
        struck = self.trouble == trouble and self._dice.random() < self.share
        self.hits += struck
        return struck

    async def _listen(self, tls: TlsFiles, path: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        inner = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self._inner = inner.sockets[0].getsockname()[1]
        outer = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        self.url = f"https://127.0.0.1:{outer.sockets[0].getsockname()[1]}{path}"

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the bytes on to the TLS side, or hang up once the handshake has begun."""
        hello = await reader.read(1)
        if self._strikes("reset"):
            own = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._inner)
        to_writer.write(hello)
        await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made_in = self._generation
        with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            while head := await _head_of(reader):
                answer = await self._forward(head)
                if self._strikes("drip"):
                    await _drip(writer, answer)
                    break
                if self._strikes("bomb"):
                    await _explode(writer)
                    break
                is_last = made_in != self._generation
                writer.write(_the_last(answer) if is_last else answer)
                await writer.drain()
                if is_last:
                    break
        writer.close()

    async def _forward(self, head: bytes) -> bytes:
        """The sandbox's answer to one request; a DELETE and a GET have no body."""
        reader, writer = await asyncio.open_connection(*self.upstream)
        writer.write(head)
        answered = await _head_of(reader)
        body = await reader.readexactly(_length_of(answered))
        writer.close()
        return answered + body


def _the_last(answer: bytes) -> bytes:
    """An answer after which the connection is closed, as it says."""
    status, _, rest = answer.partition(b"\r\n")
    return status + b"\r\nConnection: close\r\n" + rest


async def _head_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""


def _length_of(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _drip(writer: asyncio.StreamWriter, answer: bytes) -> None:
    for byte in answer:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(1)


async def _explode(writer: asyncio.StreamWriter) -> None:
    """A little on the wire that would be very much if somebody unpacked it."""
    bomb = _bomb()
    writer.write(BOMB_HEAD + f"Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)
    await writer.drain()


@cache
def _bomb() -> bytes:
    return gzip.compress(b'{"code":0,"message":"' + bytes(BOMB_SIZE))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
