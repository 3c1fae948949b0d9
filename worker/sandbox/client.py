"""A small client of the sandbox's control, for tests and demonstrations."""

import http.client
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

Reply = dict[str, Any]


class ControlRefused(Exception):
    """The control did not do as it was told; its words are the message."""


class Control:
    """Sets and reads a running sandbox; any URL of it will do. Blocks, and keeps no connection."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None or parts.port is None:
            raise ValueError(f"not the URL of a sandbox: {url!r}")
        self._host, self._port, self._timeout = parts.hostname, parts.port, timeout

    def health(self) -> bool:
        """True if the sandbox answers."""
        try:
            return bool(self._json("GET", "health")["ok"])
        except OSError:
            return False

    def seed(self, organization_id: str, **amounts: object) -> list[str]:
        """Make projects (projects=200, tasks=3, …); what is returned is their ids."""
        made = self._json("POST", "seed", {"organization_id": organization_id, **amounts})
        return list(made["project_ids"])

    def organization(self, organization_id: str, **rules: object) -> None:
        """Set an organisation's rules (token, scopes, absent_status, comments_listed)."""
        self._json("POST", "organizations", {"organization_id": organization_id, **rules})

    def projects(self, organization_id: str, projects: Iterable[Mapping[str, object]]) -> None:
        """Make projects by hand, or change what is given of those that live."""
        payload = {"organization_id": organization_id, "projects": list(projects)}
        self._json("POST", "projects", payload)

    def remove(
        self,
        organization_id: str,
        id_: str,
        *,
        kind: str = "project",
        parent_id: str | None = None,
    ) -> bool:
        """Delete as somebody else would, past the ledger; False if it was not there."""
        payload = {"organization_id": organization_id, "id": id_, "kind": kind}
        done = self._json("POST", "remove", {**payload, "parent_id": parent_id})
        return bool(done["removed"])

    def faults(self, rules: Iterable[Mapping[str, object]], seed: int | None = None) -> None:
        """Replace the fault rules; none clears them."""
        self._json("POST", "faults", {"rules": list(rules), "seed": seed})

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self._json("DELETE", "faults")

    def limits(self, organization_id: str, **limits: object) -> None:
        """Set limits (windows=[[100, 60]], per_day=1000, in_flight=5, …)."""
        self._json("POST", "limits", {"organization_id": organization_id, **limits})

    def latency(self, seconds: float, jitter: float = 0.0) -> None:
        """Set how long a call takes."""
        self._json("POST", "latency", {"seconds": seconds, "jitter": jitter})

    def ledger(self, since: int = 0) -> list[Reply]:
        """What happened after entry `since`; an entry still unanswered has `ended` None."""
        lines = self._send("GET", f"ledger?{urlencode({'since': since})}").splitlines()
        return [json.loads(line) for line in lines]

    def state(self, organization_id: str) -> dict[str, dict[str, list[str]]]:
        """The living projects by id, each with the ids of its children by kind."""
        query = urlencode({"organization_id": organization_id})
        projects: dict[str, dict[str, list[str]]] = self._json("GET", f"state?{query}")["projects"]
        return projects

    def stats(self) -> Reply:
        """Counts of what happened, and what every organisation's meter saw."""
        return self._json("GET", "stats")

    def _json(self, method: str, name: str, payload: Mapping[str, object] | None = None) -> Reply:
        answer: Reply = json.loads(self._send(method, name, payload))
        return answer

    def _send(self, method: str, name: str, payload: Mapping[str, object] | None = None) -> bytes:
        body = None if payload is None else json.dumps(payload).encode()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(method, f"/_sandbox/{name}", body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ControlRefused(f"{response.status}: {answer.decode(errors='replace')[:500]}")
        return answer
