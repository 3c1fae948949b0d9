"""Zoho Books over HTTP: who may ask, what is asked, what is done; v4 unless told otherwise."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote

from worker.sandbox.dialect import Answer, Call, Effect, Outcome, Route, Situation, Verb
from worker.sandbox.limits import Meter
from worker.sandbox.rules import BulkMode, Refused
from worker.sandbox.state import Kind, Organization, World
from worker.sandbox.zoho_bodies import (
    comment_list,
    envelope,
    organization_list,
    project_detail,
    project_list,
)
from worker.sandbox.zoho_bulk import delete, refusal, split
from worker.sandbox.zoho_lists import Lists
from worker.sandbox.zoho_versions import ANY, V4, Version

NOT_IDS = frozenset({"", "timer"})  # an empty segment, and a resource of its own
TIMER_WORDS = ["projects", "timer"]
ABSENT = 1002
AUTHORIZATION = "Zoho-oauthtoken "
SCOPES: Mapping[Verb, str] = {
    Verb.LIST: "READ",
    Verb.DETAIL: "READ",
    Verb.COMMENTS: "READ",
    Verb.DELETE: "DELETE",
    Verb.BULK: "DELETE",
    Verb.TIMER: "DELETE",
    Verb.ORGANIZATIONS: "SETTINGS",
}
# Where a bulk delete is not offered at all, in one way or another.
NOT_OFFERED: Mapping[BulkMode, Situation] = {
    BulkMode.OFF: Situation.BAD_METHOD,
    BulkMode.UNKNOWN_URL: Situation.UNKNOWN_URL,
    BulkMode.UNKNOWN_PARAMETER: Situation.BAD_PARAMETER,
}


def _ok(body: bytes) -> Answer:
    return Answer(status=200, code=0, body=body)


def _successes(version: Version) -> Mapping[Kind, Outcome]:
    return MappingProxyType(
        {
            kind: Outcome(effect=Effect.DELETED, answer=_ok(envelope(0, words)))
            for kind, words in version.deleted.items()
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ZohoBooks:
    """The dialect; prefix, organisation parameter and words differ between versions."""

    prefix: str = "/books/v4"
    organization_param: str = "organization-id"
    version: Version = V4
    lists: Lists = field(default_factory=Lists)
    successes: Mapping[Kind, Outcome] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "successes", _successes(self.version))

    def claims(self, path: str) -> bool:
        return path.startswith(self.prefix + "/")

    def route(self, method: str, path: str) -> Route:
        words = path[len(self.prefix) :].split("/")[1:]
        if words == TIMER_WORDS:
            ids, shape = [], tuple(words)
        else:
            ids = [unquote(word) if "%" in word else word for word in words[1::2]]
            shape = tuple(ANY if index % 2 else word for index, word in enumerate(words))
        methods = None if NOT_IDS.intersection(ids) else self.version.shapes.get(shape)
        if methods is None:
            return Route(refusal=self.say(Situation.UNKNOWN_URL))
        found = methods.get(method)
        if found is None:
            return Route(refusal=self.say(Situation.BAD_METHOD))
        verb, kind = found
        own_id = ids.pop() if ids and len(words) % 2 == 0 else None
        return Route(verb=verb, kind=kind, id=own_id, parent_id=ids[-1] if ids else None)

    def organization_id(self, call: Call) -> str | None:
        return call.params.get(self.organization_param)

    def admit(self, world: World, call: Call, route: Route) -> Organization | Answer:
        organization = world.organizations.get(call.params.get(self.organization_param, ""))
        if organization is None or organization.truto is not None:
            return self.say(Situation.BAD_ORGANIZATION)
        if caller(organization, call) is None:
            return self.say(Situation.BAD_TOKEN)
        if route.verb is not None and SCOPES[route.verb] not in organization.rules.scopes:
            return self.say(Situation.NO_SCOPE)
        return organization

    def meters(self, _world: World, organization: Organization, _call: Call) -> tuple[Meter, ...]:
        return (organization.meter,)

    def quota(self, organization: Organization) -> tuple[tuple[str, str], ...]:
        if not organization.rules.quota_headers:
            return ()
        limit, used, reset = organization.meter.day_left(time.time())
        return (
            ("X-Rate-Limit-Limit", str(limit)),
            ("X-Rate-Limit-Remaining", str(max(0, limit - used))),
            ("X-Rate-Limit-Reset", str(reset)),
        )

    def ids(self, organization: Organization, call: Call) -> tuple[str, ...]:
        given = call.params.get(organization.bulk.parameter, "")
        return tuple(id_ for id_ in given.split(",") if id_)

    def act(self, organization: Organization, call: Call, route: Route, now: float) -> Outcome:
        if route.refusal is not None or route.verb is None or route.kind is None:
            return _nothing(route.refusal or self.say(Situation.UNKNOWN_URL))
        if route.verb is Verb.DELETE:
            return self._delete(organization, route, now)
        if route.verb is Verb.BULK:
            return self._delete_many(organization, route, now)
        if route.verb is Verb.TIMER:
            return self._stop_timer(organization, call)
        organization.lay_ghosts(now)
        if route.verb is Verb.ORGANIZATIONS:
            return Outcome(effect=Effect.READ, answer=_ok(organization_list(organization)))
        if route.verb is Verb.LIST:
            return self._list(organization, call)
        if route.verb is Verb.COMMENTS and not organization.rules.comments_listed:
            return _nothing(self.say(Situation.UNKNOWN_URL))
        return self._look(organization, route)

    def say(
        self,
        situation: Situation,
        *,
        status: int | None = None,
        code: int | None = None,
        text: str | None = None,
    ) -> Answer:
        usual_status, usual_code, usual_text = self.version.said[situation]
        said = usual_code if code is None else code
        body = envelope(said, usual_text if text is None else text)
        return Answer(status=status or usual_status, code=said, body=body)

    def _list(self, organization: Organization, call: Call) -> Outcome:
        try:
            projects, context = self.lists.page(organization, call.params)
        except ValueError:
            return _nothing(self.say(Situation.BAD_PARAMETER))
        body = project_list(projects, context, is_flat=self.version.is_flat)
        return Outcome(effect=Effect.READ, answer=_ok(body))

    def _look(self, organization: Organization, route: Route) -> Outcome:
        is_comments = route.verb is Verb.COMMENTS
        project = organization.seen((route.parent_id if is_comments else route.id) or "")
        if project is None:
            return self._absent(organization, Kind.PROJECT)
        if is_comments:
            body = comment_list(organization, project)
        else:
            body = project_detail(organization, project, is_flat=self.version.is_flat)
        return Outcome(effect=Effect.READ, answer=_ok(body))

    def _delete(self, organization: Organization, route: Route, now: float) -> Outcome:
        kind, id_ = route.kind or Kind.PROJECT, route.id or ""
        refused = organization.refused.get((kind, id_)) if organization.refused else None
        if refused is not None and organization.living(kind, id_, route.parent_id):
            return self._refuse(refused)
        missing = organization.delete(kind, id_, route.parent_id, now)
        return self.successes[kind] if missing is None else self._absent(organization, missing)

    def _delete_many(self, organization: Organization, route: Route, now: float) -> Outcome:
        rules, ids = organization.bulk, route.ids or ()
        if rules.mode in NOT_OFFERED:
            code = rules.unknown_code if rules.mode is BulkMode.UNKNOWN_PARAMETER else None
            return _nothing(self.say(NOT_OFFERED[rules.mode], code=code))
        if not ids:
            return _nothing(self.say(Situation.BAD_PARAMETER, code=rules.unknown_code))
        if len(ids) > rules.cap:
            return _nothing(self.say(Situation.TOO_MANY_IDS))
        chunk = split(organization, ids)
        if chunk.absent and rules.absent == "refused":
            return self._absent(organization, Kind.PROJECT)
        if chunk.refused and rules.mode is BulkMode.ATOMIC:
            return self._refuse(organization.refused[Kind.PROJECT, chunk.refused[0]])
        return delete(organization, ids, chunk, self.version.said[Situation.REFUSED], now)

    def _stop_timer(self, organization: Organization, call: Call) -> Outcome:
        who = caller(organization, call) or ""
        if who in organization.timers:
            organization.timers.remove(who)
            return self.successes[Kind.TIMER]
        rules = organization.rules
        body = envelope(rules.no_timer_code, rules.no_timer_text)
        return _nothing(Answer(status=rules.no_timer_status, code=rules.no_timer_code, body=body))

    def _refuse(self, refused: Refused) -> Outcome:
        status, code, text = refusal(refused, self.version.said[Situation.REFUSED])
        return _nothing(self.say(Situation.REFUSED, status=status, code=code, text=text))

    def _absent(self, organization: Organization, kind: Kind) -> Outcome:
        text = self.version.absent.format(kind=kind, Kind=kind.capitalize())
        body = envelope(ABSENT, text)
        return _nothing(Answer(status=organization.rules.absent_status, code=ABSENT, body=body))


def caller(organization: Organization, call: Call) -> str | None:
    """Who calls: the organisation's fixed token, or the refresh token behind the one given."""
    if not call.authorization.startswith(AUTHORIZATION):
        return None
    token = call.authorization.removeprefix(AUTHORIZATION)
    if token == organization.rules.token and not organization.oauth.governs(organization.id):
        return token
    return organization.oauth.caller(token, organization.id, time.time())


def _nothing(answer: Answer) -> Outcome:
    return Outcome(effect=Effect.NONE, answer=answer)
