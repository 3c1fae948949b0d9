"""Truto's unified API over HTTP: integrated accounts, their projects, and five ways to answer."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from worker.sandbox.dialect import Answer, Call, Effect, Outcome, Route, Situation, Verb
from worker.sandbox.limits import Meter
from worker.sandbox.rules import TrutoProvider, TrutoRules, TrutoState
from worker.sandbox.state import Kind, Organization, World
from worker.sandbox.truto_bodies import Object, compact, error, trimmed, unified
from worker.sandbox.truto_lists import page, pairs_of

BEARER = "Bearer "
ACCOUNT_PARAM = "integrated_account_id"
NO_CONTENT = 204
REFUSED_STATUS = 422
ROOTS = ("/unified/", "/integrated-account/")
RETRY_AFTER = (("Retry-After", "10"),)
SCOPES: Mapping[Verb, str] = {Verb.DELETE: "DELETE"}
NOTHING_THERE = "could not find resource"

SAID: Mapping[Situation, tuple[int, str]] = {
    Situation.UNKNOWN_URL: (404, "Route not found"),
    Situation.BAD_METHOD: (405, "Method not supported"),
    Situation.BAD_ORGANIZATION: (404, "Integrated account not found"),
    Situation.BAD_PARAMETER: (400, "Invalid query parameter"),
    Situation.TOO_MANY_IDS: (400, "Too many ids"),
    Situation.BAD_TOKEN: (401, "Invalid API token"),
    Situation.NO_SCOPE: (403, "Missing scopes"),
    Situation.WINDOW_FULL: (429, "Rate limit exceeded"),
    Situation.DAY_SPENT: (429, "The provider's quota is spent"),
    Situation.CROWDED: (429, "Too many requests at once"),
    Situation.BLOCKED: (429, "Too many requests: blocked for some time"),
    Situation.BROKEN: (500, "Internal server error"),
    Situation.REFUSED: (REFUSED_STATUS, "This record cannot be deleted"),
}
THROTTLED = frozenset({Situation.WINDOW_FULL, Situation.CROWDED, Situation.DAY_SPENT})
REMOTE = frozenset({Situation.REFUSED, Situation.DAY_SPENT})
# What an account that does not stand well answers to everything, or to a delete alone.
BLOCKED = (503, "The integrated account is blocked")
READ_ONLY = (405, "Sandbox accounts are read-only")
CONSENT_GONE = (401, "The access token is expired or revoked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truto:
    """The dialect; with no prefix it is found by its first word."""

    prefix: str = ""

    def claims(self, path: str) -> bool:
        return path.startswith(tuple(self.prefix + root for root in ROOTS))

    def route(self, method: str, path: str) -> Route:
        match [unquote(word) for word in path.removeprefix(self.prefix).split("/")[1:]]:
            case ["unified", "crm", "projects"]:
                verbs = {"GET": Verb.LIST}
                id_ = None
            case ["unified", "crm", "projects", str(id_)] if id_:
                verbs = {"GET": Verb.DETAIL, "DELETE": Verb.DELETE}
            case ["integrated-account", str(id_), "capabilities"] if id_:
                verbs = {"GET": Verb.CAPABILITIES}
            case _:
                return Route(refusal=self.say(Situation.UNKNOWN_URL))
        if method not in verbs:
            return Route(refusal=self.say(Situation.BAD_METHOD))
        return Route(verb=verbs[method], kind=Kind.PROJECT, id=id_)

    def organization_id(self, call: Call) -> str | None:
        return call.params.get(ACCOUNT_PARAM)

    def admit(self, world: World, call: Call, route: Route) -> Organization | Answer:
        token = call.authorization.removeprefix(BEARER)
        accounts = [one for one in world.organizations.values() if one.truto is not None]
        is_known = any(one.rules.token == token for one in accounts)
        if not call.authorization.startswith(BEARER) or not is_known:
            return self.say(Situation.BAD_TOKEN)
        if route.refusal is not None:
            return route.refusal
        is_by_path = route.verb is Verb.CAPABILITIES
        account_id = route.id if is_by_path else call.params.get(ACCOUNT_PARAM)
        if not account_id:
            return self.say(Situation.BAD_PARAMETER, text=f"{ACCOUNT_PARAM} is required")
        account = world.organizations.get(account_id)
        if account is None or account.truto is None or account.rules.token != token:
            return self.say(Situation.BAD_ORGANIZATION)
        if SCOPES.get(route.verb or Verb.LIST, "READ") not in account.rules.scopes:
            return self.say(Situation.NO_SCOPE)
        return account

    def ids(self, _organization: Organization, _call: Call) -> tuple[str, ...]:
        return ()

    def meters(self, world: World, organization: Organization, _call: Call) -> tuple[Meter, ...]:
        return (world.token_meter(organization.rules.token), organization.meter)

    def quota(self, organization: Organization) -> tuple[tuple[str, str], ...]:
        rules = organization.truto
        if rules is None or not rules.quota_headers:
            return ()
        left = organization.meter.window_left(time.time())
        if left is None:
            return ()
        limit, seconds, remaining, reset = left
        return (
            ("ratelimit-limit", f"{limit};w={seconds:g}"),
            ("ratelimit-remaining", str(remaining)),
            ("ratelimit-reset", str(math.ceil(reset))),
        )

    def act(self, organization: Organization, call: Call, route: Route, now: float) -> Outcome:
        rules = organization.truto
        if rules is None or route.verb is None:
            return _nothing(self.say(Situation.UNKNOWN_URL))
        if route.verb is Verb.CAPABILITIES:
            return _capabilities(rules)
        trouble = _trouble(rules, route)
        if trouble is not None:
            return _nothing(trouble)
        organization.lay_ghosts(now)
        if route.verb is Verb.DELETE:
            return self._delete(organization, call, route, now)
        if route.verb is Verb.LIST:
            return self._list(organization, rules, call)
        project = organization.seen(route.id or "")
        if project is None:
            return _nothing(_absent(rules))
        shown = trimmed(unified(project, rules), pairs_of(call.query))
        return Outcome(effect=Effect.READ, answer=_ok(shown))

    def say(
        self,
        situation: Situation,
        *,
        status: int | None = None,
        code: int | None = None,  # noqa: ARG002 - Truto has a status and no codes
        text: str | None = None,
    ) -> Answer:
        usual_status, usual_text = SAID[situation]
        said, message = status or usual_status, usual_text if text is None else text
        body = error(said, message, rules=TrutoRules() if situation in REMOTE else None)
        headers = RETRY_AFTER if situation in THROTTLED else ()
        return Answer(status=said, code=None, body=body, headers=headers)

    def _list(self, organization: Organization, rules: TrutoRules, call: Call) -> Outcome:
        pairs = pairs_of(call.query)
        try:
            found = page(organization, pairs)
        except (ValueError, KeyError) as wrong:
            return _nothing(self.say(Situation.BAD_PARAMETER, text=f"Invalid value: {wrong}"))
        body = {
            "result": [trimmed(unified(project, rules), pairs) for project in found.projects],
            "next_cursor": None if found.after is None else found.after.cursor(),
            "prev_cursor": None if found.before is None else found.before.cursor(),
            "result_count": len(found.projects),
        }
        return Outcome(effect=Effect.READ, answer=_ok(body))

    def _delete(self, organization: Organization, call: Call, route: Route, now: float) -> Outcome:
        rules, id_ = organization.truto or TrutoRules(), route.id or ""
        write = FORMATS.get(call.params.get("truto_response_format", "unified"))
        if write is None:
            text = "Invalid truto_response_format"
            return _nothing(self.say(Situation.BAD_PARAMETER, text=text))
        if id_ not in organization.projects:
            return _nothing(_absent(rules))
        refused = organization.refused.get((Kind.PROJECT, id_))
        if refused is not None:
            status, text = SAID[Situation.REFUSED]
            return _nothing(_remote(refused.status or status, refused.text or text, rules))
        organization.delete(Kind.PROJECT, id_, None, now)
        return Outcome(effect=Effect.DELETED, answer=write(call, id_, rules))


def _trouble(rules: TrutoRules, route: Route) -> Answer | None:
    if rules.state is TrutoState.BLOCKED:
        status, text = BLOCKED
        return Answer(status=status, code=None, body=error(status, text))
    if rules.state is TrutoState.REAUTH:
        return _remote(*CONSENT_GONE, rules)
    is_delete = route.verb is Verb.DELETE
    if is_delete and (rules.state is TrutoState.SANDBOX or "delete" not in rules.capabilities):
        status, text = (
            READ_ONLY if rules.state is TrutoState.SANDBOX else SAID[Situation.BAD_METHOD]
        )
        return Answer(status=status, code=None, body=error(status, text))
    return None


def _unified(call: Call, id_: str, rules: TrutoRules) -> Answer:
    return _ok(_result(call, id_, rules))


def _normalized(call: Call, id_: str, _rules: TrutoRules) -> Answer:
    return _ok(trimmed({"id": id_}, pairs_of(call.query)))


def _raw(_call: Call, id_: str, rules: TrutoRules) -> Answer:
    remote = _remote_body(id_, rules)
    if remote is None:
        return Answer(status=NO_CONTENT, code=None, body=b"")
    return _ok(remote)


def _stream(call: Call, id_: str, rules: TrutoRules) -> Answer:
    return replace(_raw(call, id_, rules), content_type="application/octet-stream")


def _debug(call: Call, id_: str, rules: TrutoRules) -> Answer:
    authorization = {"Authorization": f"Bearer {rules.remote_secret}"}
    options: Object = {"method": "DELETE", "headers": authorization}
    remote_query = [pair for pair in pairs_of(call.query) if pair[0].startswith("remote_query[")]
    fetched: Object = {
        "requestUrl": f"{REMOTE_URLS[rules.provider]}/{id_}",
        "requestOptions": {**options, "query": dict(remote_query)},
        "data": _remote_body(id_, rules),
        "responseHeaders": {"content-type": "application/json", "x-request-id": f"r-{id_}"},
    }
    debug = None if rules.debug_null else fetched
    return _ok({"result": _result(call, id_, rules), "debug": debug})


Write = Callable[[Call, str, TrutoRules], Answer]
FORMATS: Mapping[str, Write] = {
    "unified": _unified,
    "raw": _raw,
    "normalized": _normalized,
    "stream": _stream,
    "debug": _debug,
}
REMOTE_URLS: Mapping[TrutoProvider, str] = {
    TrutoProvider.CAPSULE: "https://api.capsulecrm.com/api/v2/kases",
    TrutoProvider.PIPELINER: "https://eu-central.api.pipelinersales.com/entities/Projects",
}


def _remote_body(id_: str, rules: TrutoRules) -> Object | None:
    """What the provider itself says of a delete that worked."""
    if rules.provider is TrutoProvider.CAPSULE:
        return None
    return {"success": True, "data": {"id": id_, "is_deleted": True}}


def _result(call: Call, id_: str, rules: TrutoRules) -> Object:
    result: Object = {"id": id_}
    remote = _remote_body(id_, rules)
    if rules.remote_data and remote is not None:
        result["remote_data"] = remote
    return trimmed(result, pairs_of(call.query))


def _capabilities(rules: TrutoRules) -> Outcome:
    row: Object = {"type": "unified", "unified_model": "crm", "resource": "projects"}
    body = {"result": [{**row, "methods": list(rules.capabilities)}]}
    return Outcome(effect=Effect.READ, answer=_ok(body))


def _ok(body: Object) -> Answer:
    return Answer(status=200, code=None, body=compact(body))


def _absent(rules: TrutoRules) -> Answer:
    return _remote(404, NOTHING_THERE, rules)


def _remote(status: int, text: str, rules: TrutoRules) -> Answer:
    return Answer(status=status, code=None, body=error(status, text, rules=rules))


def _nothing(answer: Answer) -> Outcome:
    return Outcome(effect=Effect.NONE, answer=answer)
