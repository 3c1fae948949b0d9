"""What the control takes about bulk deletes, timers, tokens, filters, Truto and rivals."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass as checked

from worker.sandbox import truto_lists, zoho_lists
from worker.sandbox.limits import Limits
from worker.sandbox.oauth import Grant
from worker.sandbox.provider import Provider
from worker.sandbox.rival import Rivalry, Rivals
from worker.sandbox.rules import STRICT, BulkRules, Refused, TrutoRules
from worker.sandbox.state import Kind, Organization

ACCOUNT_LIMITS = Limits(windows=((50, 10.0),))  # of one integrated account

Done = dict[str, Any]
Post = Callable[[Any], Done]
Get = Callable[[Mapping[str, str]], Done]


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class SetRefused:
    """The objects of one kind a business rule protects; they replace those it did before."""

    organization_id: str
    ids: frozenset[str]
    kind: Kind = Kind.PROJECT
    refusal: Refused = Refused()


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class SetTimer:
    """Whether the timer of a caller runs: of a token, else of the newest grant or fixed token."""

    organization_id: str
    running: bool = True
    token: str | None = None


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Revoke:
    """A refresh token that is dead from now on, and whether its access tokens are."""

    refresh_token: str
    tokens_too: bool = True


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Expire:
    """The access tokens that end now: of one refresh token, or all."""

    refresh_token: str | None = None


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Select:
    """Which projects the filters of the provider choose."""

    organization_id: str
    filters: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Stop:
    """The organisation whose rival ends."""

    organization_id: str


OBJECT = TypeAdapter(dict[str, Any])
BULK = TypeAdapter(BulkRules)
TRUTO = TypeAdapter(TrutoRules)
GRANT = TypeAdapter(Grant)
LIMITS = TypeAdapter(Limits)
RIVALRY = TypeAdapter(Rivalry)
REFUSED = TypeAdapter(SetRefused)
TIMER = TypeAdapter(SetTimer)
REVOKE = TypeAdapter(Revoke)
EXPIRE = TypeAdapter(Expire)
SELECT = TypeAdapter(Select)
STOP = TypeAdapter(Stop)


class Doors:
    """The posts and gets of the control that go beyond projects, faults and limits."""

    def __init__(self, provider: Provider, rivals: Rivals) -> None:
        self._provider = provider
        self._rivals = rivals
        self.posts: Mapping[str, Post] = {
            "bulk": self._set_bulk,
            "refused": self._set_refused,
            "timer": self._set_timer,
            "oauth": self._register,
            "oauth/revoke": self._revoke,
            "oauth/expire": self._expire,
            "select": self._select,
            "truto": self._set_truto,
            "purses": self._set_purse,
            "rival": self._start_rival,
            "rival/stop": self._stop_rival,
        }
        self.gets: Mapping[str, Get] = {
            "oauth": lambda _: {"grants": self._provider.world.oauth.stats(time.time())},
            "purses": lambda _: {"purses": self.purses()},
            "rival": lambda query: self._rivals.deeds(query["organization_id"]),
        }

    def purses(self) -> Done:
        """What the meter of every API token saw."""
        meters = self._provider.world.token_meters
        return {token: meter.stats() for token, meter in meters.items()}

    def _organization(self, organization_id: str) -> Organization:
        return self._provider.world.organization(organization_id)

    def _set_bulk(self, payload: object) -> Done:
        organization_id, rest = _split(payload)
        rules = BULK.validate_python(rest)
        self._organization(organization_id).bulk = rules
        return {"mode": str(rules.mode)}

    def _set_refused(self, payload: object) -> Done:
        given = REFUSED.validate_python(payload)
        organization = self._organization(given.organization_id)
        others = {key: one for key, one in organization.refused.items() if key[0] != given.kind}
        ours = {(given.kind, id_): given.refusal for id_ in given.ids}
        organization.refused = {**others, **ours}
        return {"refused": len(organization.refused)}

    def _set_timer(self, payload: object) -> Done:
        given = TIMER.validate_python(payload)
        organization = self._organization(given.organization_id)
        usual = [organization.rules.token, *organization.oauth.callers(organization.id)]
        token = given.token or usual[-1]
        caller = organization.oauth.caller(token, organization.id, time.time()) or token
        if given.running:
            organization.timers.add(caller)
        else:
            organization.timers.discard(caller)
        return {"running": len(organization.timers)}

    def _register(self, payload: object) -> Done:
        grant = GRANT.validate_python(payload)
        for organization_id in grant.organization_ids:
            self._organization(organization_id)
        self._provider.world.oauth.register(grant)
        return {"organization_ids": list(grant.organization_ids)}

    def _revoke(self, payload: object) -> Done:
        given = REVOKE.validate_python(payload)
        self._provider.world.oauth.revoke(given.refresh_token, tokens_too=given.tokens_too)
        return {"revoked": True}

    def _expire(self, payload: object) -> Done:
        given = EXPIRE.validate_python(payload)
        return {"expired": self._provider.world.oauth.expire(given.refresh_token)}

    def _select(self, payload: object) -> Done:
        given = SELECT.validate_python(payload)
        organization = self._provider.world.organizations[given.organization_id]
        pairs = [
            (name, value)
            for name, values in given.filters.items()
            for value in ((values,) if isinstance(values, str) else values)
        ]
        if organization.truto is not None:
            return {"ids": truto_lists.select(organization, pairs)}
        return {"ids": zoho_lists.select(organization, dict(pairs))}

    def _set_truto(self, payload: object) -> Done:
        organization_id, rest = _split(payload)
        token = rest.pop("token", None)
        rules = TRUTO.validate_python(rest)
        organization = self._organization(organization_id)
        if organization.truto is None:
            organization.meter.set(ACCOUNT_LIMITS)
        organization.truto = rules
        if token is not None:
            organization.rules = replace(organization.rules, token=str(token))
        return {"integrated_account_id": organization.id}

    def _set_purse(self, payload: object) -> Done:
        rest = OBJECT.validate_python(payload)
        meter = self._provider.world.token_meter(str(rest.pop("token")))
        meter.set(LIMITS.validate_python(rest))
        return meter.stats()

    def _start_rival(self, payload: object) -> Done:
        rivalry = RIVALRY.validate_python(payload)
        self._rivals.start(self._organization(rivalry.organization_id), rivalry)
        return {"running": True}

    def _stop_rival(self, payload: object) -> Done:
        given = STOP.validate_python(payload)
        self._rivals.stop(given.organization_id)
        return {"running": False}


def _split(payload: object) -> tuple[str, dict[str, Any]]:
    """The organisation a payload is about, and the rest of it."""
    rest = OBJECT.validate_python(payload)
    return str(rest.pop("organization_id")), rest
