"""A small client of the sandbox's control, for tests and demonstrations."""

import http.client
import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

Reply = dict[str, Any]


class ControlRefused(Exception):
    """The control did not do as it was told; its words are the message."""


class Control:
    """Sets and reads a running sandbox; any URL of it will do. Blocks, and keeps no connection.

    A chunk in which one project is refused, and the rest silently deleted:

        control.seed("1", projects=10_000, first_id=100, token="t")
        control.bulk("1", mode="silent_partial", cap=25)
        control.refused("1", ["107"], text="Invoices first.")

    Tokens that live 20 seconds, then a consent taken back and given anew:

        control.oauth(["1"], client_id="c", client_secret="s", refresh_token="r", lifetime=20)
        control.revoke("r")
        control.oauth(["1"], client_id="c", client_secret="s", refresh_token="r2", lifetime=20)

    An integrated account behind Truto, and somebody else at work in it:

        control.truto("62f44730-…", token="t", provider="pipeliner", empty_pages=[2])
        control.seed("62f44730-…", projects=500, first_id=100, status=["in progress"])
        control.rival("62f44730-…", rate=20, seconds=30)
    """

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
        """Set an organisation's rules (token, scopes, absent_status, hidden_status, …)."""
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

    def bulk(self, organization_id: str, **rules: object) -> None:
        """Set how a bulk delete ends (mode="atomic"); what is not given becomes the default.

        Also: parameter="project_ids", cap=25, unknown_code=2 or 4, absent="ignored" or "refused",
        info_key. The modes are those of `worker.sandbox.rules.BulkMode`.
        """
        self._json("POST", "bulk", {"organization_id": organization_id, **rules})

    def refused(
        self, organization_id: str, ids: Iterable[str], kind: str = "project", **refusal: object
    ) -> None:
        """Let a business rule protect these and no others of the kind (status, code, text)."""
        payload = {"organization_id": organization_id, "ids": list(ids), "kind": kind}
        self._json("POST", "refused", {**payload, "refusal": refusal})

    def timer(
        self, organization_id: str, *, running: bool = True, token: str | None = None
    ) -> None:
        """Let a caller's timer run, or not; without a token, that of the organisation's caller."""
        payload = {"organization_id": organization_id, "running": running, "token": token}
        self._json("POST", "timer", payload)

    def oauth(self, organization_ids: Iterable[str], **grant: object) -> None:
        """Register a grant, by its client_id, client_secret and refresh_token.

        Also: lifetime=3600 (seconds), live_tokens=15, refreshes=10 in window=600 (seconds),
        api_domain, error_status=200, keep_static=False. The fixed token of the organisations is
        good no longer, unless it is kept.
        """
        self._json("POST", "oauth", {"organization_ids": list(organization_ids), **grant})

    def revoke(self, refresh_token: str, *, tokens_too: bool = True) -> None:
        """Kill a refresh token, and with it the access tokens it gave unless told otherwise."""
        payload = {"refresh_token": refresh_token, "tokens_too": tokens_too}
        self._json("POST", "oauth/revoke", payload)

    def expire(self, refresh_token: str | None = None) -> int:
        """End every access token (of one refresh token) now; what is returned is how many."""
        done = self._json("POST", "oauth/expire", {"refresh_token": refresh_token})
        return int(done["expired"])

    def grants(self) -> list[Reply]:
        """Of every grant: refreshes, refreshed_at, peak (the most in one window), live, denied."""
        return list(self._json("GET", "oauth")["grants"])

    def select(
        self,
        organization_id: str,
        filters: Mapping[str, str | Sequence[str]] = MappingProxyType({}),
    ) -> list[str]:
        """The ids of the living projects the provider's own filters choose."""
        payload = {"organization_id": organization_id, "filters": dict(filters)}
        return list(self._json("POST", "select", payload)["ids"])

    def truto(self, integrated_account_id: str, **rules: object) -> None:
        """Make an integrated account, or set it anew: provider="capsule" or "pipeliner".

        Also: token, state="active", "blocked", "sandbox" or "reauth", capabilities,
        empty_pages=[1, 3], empty_message, error_insight, remote_data, debug_null, quota_headers,
        remote_secret. Its projects, limits, refusals and faults are set as those of an
        organisation of this id.
        """
        self._json("POST", "truto", {"organization_id": integrated_account_id, **rules})

    def purse(self, token: str, **limits: object) -> None:
        """Set the limits of an API token over all its accounts (windows=[[500, 10]], …)."""
        self._json("POST", "purses", {"token": token, **limits})

    def rival(self, organization_id: str, **rivalry: object) -> None:
        """Let somebody else delete and make projects for a while: rate=20 a second, seconds=10.

        Also: deletes=0.5 (the share that deletes), ids (all it may delete; else anything), names,
        back_seconds (how old its projects pretend to be at most), at_most (deeds), seed.
        """
        self._json("POST", "rival", {"organization_id": organization_id, **rivalry})

    def stop_rival(self, organization_id: str) -> None:
        """End the rival of an organisation."""
        self._json("POST", "rival/stop", {"organization_id": organization_id})

    def rival_deeds(self, organization_id: str) -> Reply:
        """Whether a rival is `running`, and its `deeds` (at, after_seq, action, id) in order."""
        query = urlencode({"organization_id": organization_id})
        return self._json("GET", f"rival?{query}")

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
