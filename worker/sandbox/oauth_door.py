"""The token endpoint of Zoho: a form goes in, an access token or a word of refusal comes out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from worker.sandbox.dialect import Answer, Call, Effect, Outcome, Route, Situation, Verb
from worker.sandbox.limits import Meter
from worker.sandbox.oauth import Denial, Holder, OAuth
from worker.sandbox.state import Organization, World

ERRORS: Mapping[Situation, tuple[int, str]] = {
    Situation.UNKNOWN_URL: (404, "not_found"),
    Situation.BAD_METHOD: (405, "method_not_allowed"),
    Situation.BAD_TOKEN: (401, "invalid_client"),
    Situation.BROKEN: (500, "internal_error"),
    Situation.WINDOW_FULL: (200, str(Denial.TOO_OFTEN)),
    Situation.REFUSED: (200, str(Denial.CODE)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZohoAccounts:
    """The dialect of the accounts server; it has no limits but those of the grant itself."""

    prefix: str = "/oauth/v2"

    def claims(self, path: str) -> bool:
        return path.startswith(self.prefix + "/")

    def route(self, method: str, path: str) -> Route:
        if path != f"{self.prefix}/token":
            return Route(refusal=self.say(Situation.UNKNOWN_URL))
        if method != "POST":
            return Route(refusal=self.say(Situation.BAD_METHOD))
        return Route(verb=Verb.REFRESH)

    def organization_id(self, _call: Call) -> str | None:
        return None

    def admit(self, world: World, call: Call, route: Route) -> Organization | Answer:
        if route.refusal is not None:
            return route.refusal
        if (call.form or {}).get("grant_type") != "refresh_token":
            return _error(400, Denial.GRANT_TYPE)
        holder = _holder(world.oauth, call)
        if isinstance(holder, Denial):
            return _error(200, holder)
        return world.organization(holder.grant.organization_ids[0])

    def ids(self, _organization: Organization, _call: Call) -> tuple[str, ...]:
        return ()

    def meters(self, _world: World, _organization: Organization, _call: Call) -> tuple[Meter, ...]:
        return ()

    def quota(self, _organization: Organization) -> tuple[tuple[str, str], ...]:
        return ()

    def act(self, organization: Organization, call: Call, _route: Route, now: float) -> Outcome:
        holder = _holder(organization.oauth, call)
        given = holder if isinstance(holder, Denial) else holder.refresh(now)
        if isinstance(holder, Denial) or isinstance(given, Denial):
            status = 200 if isinstance(holder, Denial) else holder.grant.error_status
            return Outcome(effect=Effect.NONE, answer=_error(status, str(given)))
        lifetime = holder.grant.lifetime
        body = {
            "access_token": given,
            "api_domain": holder.grant.api_domain,
            "token_type": "Bearer",
            "expires_in": int(lifetime) if lifetime.is_integer() else lifetime,
        }
        answer = Answer(status=200, code=None, body=json.dumps(body).encode())
        return Outcome(effect=Effect.GRANTED, answer=answer)

    def say(
        self,
        situation: Situation,
        *,
        status: int | None = None,
        code: int | None = None,  # noqa: ARG002 - this endpoint has words and no codes
        text: str | None = None,
    ) -> Answer:
        usual_status, word = ERRORS.get(situation, ERRORS[Situation.BROKEN])
        return _error(status or usual_status, text or word)


def _holder(oauth: OAuth, call: Call) -> Holder | Denial:
    form = call.form or {}
    return oauth.holder(
        form.get("client_id", ""), form.get("client_secret", ""), form.get("refresh_token", "")
    )


def _error(status: int, word: str) -> Answer:
    return Answer(status=status, code=None, body=json.dumps({"error": word}).encode())
