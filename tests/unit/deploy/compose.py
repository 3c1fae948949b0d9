"""docker-compose.yml as the tests read it."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "docker-compose.yml"

Service = dict[str, Any]


def read() -> dict[str, Any]:
    """The whole file, anchors and merges resolved."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def services() -> dict[str, Service]:
    """The services by name."""
    found: dict[str, Service] = read()["services"]
    return found


def words(service: Service, what: str = "command") -> list[str]:
    """A command, as a list with Compose's `$$` read as `$`."""
    return [str(word).replace("$$", "$") for word in service[what]]
