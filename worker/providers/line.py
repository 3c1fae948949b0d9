"""One request and its reply, as a provider's calls need them."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

try:
    USER_AGENT: Final = f"bulkdel/{importlib.metadata.version('bulkdel')}"
except importlib.metadata.PackageNotFoundError:
    USER_AGENT: Final = "bulkdel/0"  # type: ignore[misc] # a tree that was never installed


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `headers` are read by name in any case; `raw` is what was on the wire."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    raw: Sequence[tuple[bytes, bytes]] = ()


class Line(Protocol):
    """Sends a request once; raises the errors of `wire`."""

    async def exchange(
        self, method: str, origin: str, target: str, headers: Sequence[tuple[str, str]]
    ) -> Reply:
        """The reply, whatever its status; `origin` is scheme and host, `target` the rest."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...
