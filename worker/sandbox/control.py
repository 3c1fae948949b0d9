"""The sandbox's own door under /_sandbox: what a test or a demonstration may set and look up."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from worker.sandbox.doors import Doors
from worker.sandbox.faults import Rule
from worker.sandbox.ledger import Ledger
from worker.sandbox.limits import Limits
from worker.sandbox.provider import Latency, Provider
from worker.sandbox.rival import Rivals
from worker.sandbox.rules import STRICT
from worker.sandbox.seeding import GivenProject, Seed, put, sow
from worker.sandbox.state import DEFAULT_TOKEN, Kind, Organization

PREFIX = "/_sandbox"
CHUNK = 1000  # ledger entries written at once, so that a long ledger does not hold up the provider


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class SetOrganization:
    """An organisation's own rules; what is not given becomes the default."""

    organization_id: str
    token: str = DEFAULT_TOKEN
    scopes: frozenset[str] = frozenset({"READ", "DELETE", "SETTINGS"})
    absent_status: Annotated[int, Field(ge=400, le=499)] = 404
    comments_listed: bool = True
    hidden_status: str = ""
    no_timer_status: Annotated[int, Field(ge=400, le=499)] = 400
    no_timer_code: int = 1002
    no_timer_text: str = "There is no timer running."
    quota_headers: bool = False


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class SetProjects:
    """Projects by hand."""

    organization_id: str
    projects: tuple[GivenProject, ...]


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Remove:
    """Something somebody else deletes: no call of ours, so it is in no ledger."""

    organization_id: str
    id: str
    kind: Kind = Kind.PROJECT
    parent_id: str | None = None


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class SetFaults:
    """The rules that replace those in force."""

    rules: tuple[Rule, ...]
    seed: int | None = None


OBJECT = TypeAdapter(dict[str, Any])
SEED = TypeAdapter(Seed)
ORGANIZATION = TypeAdapter(SetOrganization)
PROJECTS = TypeAdapter(SetProjects)
REMOVE = TypeAdapter(Remove)
FAULTS = TypeAdapter(SetFaults)
LIMITS = TypeAdapter(Limits)
LATENCY = TypeAdapter(Latency)

Done = dict[str, Any]
Post = Callable[[Any], Done]


class Control:
    """Reads and sets what the provider works with; its calls are in no ledger."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._ledger: Ledger = provider.ledger
        self.rivals = Rivals(provider.ledger)
        self._doors = Doors(provider, self.rivals)
        self._posts: Mapping[str, Post] = {
            "seed": self._seed,
            "organizations": self._set_organization,
            "projects": self._set_projects,
            "remove": self._remove,
            "faults": self._set_faults,
            "limits": self._set_limits,
            "latency": self._set_latency,
            **self._doors.posts,
        }
        self._gets: Mapping[str, Callable[[Mapping[str, str]], Done]] = {
            "health": lambda _: {"ok": True},
            "stats": lambda _: self.stats(),
            "state": self._state,
            "faults": lambda _: {"faults": self._provider.faults.stats()},
            **self._doors.gets,
        }
        self._streams: Mapping[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
            "ledger": self._send_ledger
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one control request: 400 for a bad one, 404 for an unknown one."""
        name = request.path.removeprefix(PREFIX).strip("/")
        try:
            if request.method == "POST" and name in self._posts:
                return web.json_response(self._posts[name](json.loads(await request.read())))
            if request.method == "GET" and name in self._gets:
                return web.json_response(self._gets[name](request.query))
            if request.method == "GET" and name in self._streams:
                return await self._streams[name](request)
        except (ValidationError, ValueError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        if request.method == "DELETE" and name == "faults":
            return web.json_response(self._set_faults({"rules": []}))
        return web.json_response({"error": f"no {request.method} {name!r} here"}, status=404)

    def stats(self) -> Done:
        """Counts of the ledger, and for every organisation what its meter saw."""
        organizations = {
            id_: {"projects": len(organization.projects), **organization.meter.stats()}
            for id_, organization in self._provider.world.organizations.items()
        }
        return {
            **self._ledger.stats(),
            "faults": self._provider.faults.stats(),
            "organizations": organizations,
            "purses": self._doors.purses(),
            "oauth": self._provider.world.oauth.stats(time.time()),
        }

    def _organization(self, organization_id: str) -> Organization:
        return self._provider.world.organization(organization_id)

    def _seed(self, payload: object) -> Done:
        seed = SEED.validate_python(payload)
        organization = self._organization(seed.organization_id)
        return {"project_ids": sow(organization, seed)}

    def _set_organization(self, payload: object) -> Done:
        given = ORGANIZATION.validate_python(payload)
        organization = self._organization(given.organization_id)
        organization.rules = replace(
            organization.rules,
            token=given.token,
            scopes=given.scopes,
            absent_status=given.absent_status,
            comments_listed=given.comments_listed,
            hidden_status=given.hidden_status,
            no_timer_status=given.no_timer_status,
            no_timer_code=given.no_timer_code,
            no_timer_text=given.no_timer_text,
            quota_headers=given.quota_headers,
        )
        return {"organization_id": organization.id}

    def _set_projects(self, payload: object) -> Done:
        given = PROJECTS.validate_python(payload)
        organization = self._organization(given.organization_id)
        for project in given.projects:
            put(organization, project, time.time())
        return {"project_ids": [project.project_id for project in given.projects]}

    def _remove(self, payload: object) -> Done:
        given = REMOVE.validate_python(payload)
        organization = self._organization(given.organization_id)
        missing = organization.delete(given.kind, given.id, given.parent_id, time.time())
        return {"removed": missing is None}

    def _set_faults(self, payload: object) -> Done:
        given = FAULTS.validate_python(payload)
        self._provider.faults.set(given.rules, given.seed)
        return {"rules": len(given.rules)}

    def _set_limits(self, payload: object) -> Done:
        rest = OBJECT.validate_python(payload)
        organization_id = str(rest.pop("organization_id"))
        limits = LIMITS.validate_python(rest)
        meter = self._organization(organization_id).meter
        meter.set(limits)
        return meter.stats()

    def _set_latency(self, payload: object) -> Done:
        self._provider.latency = LATENCY.validate_python(payload)
        return {"seconds": self._provider.latency.seconds}

    def _state(self, query: Mapping[str, str]) -> Done:
        organization_id = query["organization_id"]
        organization = self._provider.world.organizations[organization_id]
        projects = {
            project.id: {f"{kind}s": list(ids) for kind, ids in project.children.items()}
            for project in organization.projects.values()
        }
        return {"organization_id": organization_id, "projects": projects}

    async def _send_ledger(self, request: web.BaseRequest) -> web.StreamResponse:
        since = int(request.query.get("since", "0"))
        last = self._ledger.next_seq - 1
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        await response.prepare(request)
        while since < last and (batch := self._ledger.since(since, CHUNK)):
            lines = [entry.line() for entry in batch if entry.seq <= last]
            await response.write("".join(lines).encode())
            since = batch[-1].seq
        await response.write_eof()
        return response
