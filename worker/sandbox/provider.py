"""The way of one request: read, admit, meter, maybe go wrong, act, record, answer."""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from worker.sandbox.dialect import (
    Answer,
    Call,
    Dialect,
    Effect,
    Outcome,
    Route,
    Situation,
    Verb,
)
from worker.sandbox.faults import Faults, Rule
from worker.sandbox.ledger import Entry, Ledger
from worker.sandbox.limits import Excess, Meter, Refusal
from worker.sandbox.staging import AS_IT_SHOULD, Stage, stage
from worker.sandbox.state import Ghost, Kind, Organization, World

NOT_OURS = Route()
DID_NOTHING: tuple[str, ...] = ()
BY_EXCESS: Mapping[Excess, Situation] = {
    Excess.WINDOW: Situation.WINDOW_FULL,
    Excess.DAY: Situation.DAY_SPENT,
    Excess.IN_FLIGHT: Situation.CROWDED,
    Excess.BLOCKED: Situation.BLOCKED,
}


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Latency:
    """How long a call takes, give or take the jitter; half of it before the effect, half after."""

    seconds: Annotated[float, Field(ge=0)] = 0.0
    jitter: Annotated[float, Field(ge=0)] = 0.0


class Reply(web.Response):
    """An answer that knows when it has been sent."""

    def __init__(self, answer: Answer, exchange: "Exchange") -> None:
        super().__init__(body=answer.body, status=answer.status, content_type=answer.content_type)
        if answer.headers:
            self.headers.update(answer.headers)
        self._exchange = exchange

    async def write_eof(self, data: bytes = b"") -> None:
        """Send, and note whether there was still somebody to send it to."""
        try:
            await super().write_eof(data)
        except ConnectionError:
            self._exchange.end(answered=False)
            raise
        self._exchange.end(answered=True)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request on its way through, and what has to be put right when it ends."""

    ledger: Ledger
    call: Call
    route: Route
    started: float
    organization_id: str | None = None
    in_flight: tuple[Meter, ...] = ()
    entry: Entry | None = None

    def record(
        self, effect: Effect, fault: Rule | None, deleted_ids: tuple[str, ...] = DID_NOTHING
    ) -> Entry:
        """Enter what has just happened into the ledger."""
        self.entry = Entry(
            seq=self.ledger.next_seq,
            at=time.time(),
            organization_id=self.organization_id,
            method=self.call.method,
            path=self.call.path,
            query=self.call.query,
            route=self.route,
            effect=effect,
            fault=None if fault is None else fault.kind.value,
            started=self.started,
            deleted_ids=deleted_ids,
        )
        self.ledger.open(self.entry)
        return self.entry

    def reply(self, answer: Answer) -> Reply:
        """The answer on its way; a request without an entry did nothing."""
        entry = self.entry or self.record(Effect.NONE, None)
        entry.status = answer.status
        entry.code = answer.code
        return Reply(answer, self)

    def end(self, *, answered: bool) -> None:
        """Give the place in flight back and close the entry; twice does no harm."""
        self.end_flight()
        if self.entry is not None:
            self.ledger.end(self.entry, time.time(), answered=answered)

    def end_flight(self) -> None:
        """Give back the places the call was let into."""
        for meter in self.in_flight:
            meter.leave()
        self.in_flight = ()


class Provider:
    """Answers every request that is not for the sandbox's own control."""

    def __init__(
        self, world: World, ledger: Ledger, dialects: Sequence[Dialect], seed: int
    ) -> None:
        self.world = world
        self.ledger = ledger
        self.faults = Faults(seed)
        self.latency = Latency()
        self._dialects = dialects
        self._dice = random.Random(seed)  # noqa: S311 - jitter, nothing secret

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever ends it, its place in flight is given back."""
        call = _read(request)
        dialect = self._dialect(call.path)
        known = dialect.claims(call.path)
        route = dialect.route(call.method, call.path) if known else NOT_OURS
        if route.verb is Verb.REFRESH:
            call = replace(call, form=_params((await request.read()).decode(errors="replace")))
        exchange = Exchange(ledger=self.ledger, call=call, route=route, started=time.time())
        if not known:
            return exchange.reply(dialect.say(Situation.UNKNOWN_URL))
        exchange.organization_id = dialect.organization_id(call)
        organization = dialect.admit(self.world, call, route)
        if isinstance(organization, Answer):
            return exchange.reply(organization)
        exchange.organization_id = organization.id
        if route.verb is Verb.BULK:
            exchange.route = replace(route, ids=dialect.ids(organization, call))
        meters = dialect.meters(self.world, organization, call)
        refusal = _enter(meters, exchange)
        if refusal is not None:
            exchange.end_flight()
            refused = _refused(dialect, refusal)
            return exchange.reply(_with(refused, dialect.quota(organization)))
        try:
            return await self._play(request, exchange, organization, dialect)
        except BaseException:
            exchange.end(answered=False)
            raise

    async def _play(
        self,
        request: web.BaseRequest,
        exchange: Exchange,
        organization: Organization,
        dialect: Dialect,
    ) -> web.StreamResponse:
        call, route = exchange.call, exchange.route
        fault = self.faults.choose(call, route, organization.id)
        plan = stage(fault, dialect) if fault is not None else AS_IT_SHOULD
        half_way = self._half_way()
        await _wait(half_way + plan.before)
        outcome = _act(dialect, organization, exchange, plan) if plan.acts else None
        if outcome is None:
            exchange.record(Effect.NONE, fault)
        else:
            exchange.record(outcome.effect, fault, _deleted(outcome, route))
        await _wait(half_way + plan.after)
        answer = plan.answer or (outcome.answer if outcome is not None else None)
        if plan.lost or answer is None:
            exchange.end(answered=False)
            _hang_up(request, reset=plan.reset)
            return web.Response()
        if plan.content_type is not None:
            answer = replace(answer, content_type=plan.content_type)
        return exchange.reply(_with(answer, dialect.quota(organization)))

    def _dialect(self, path: str) -> Dialect:
        for dialect in self._dialects:
            if dialect.claims(path):
                return dialect
        return self._dialects[0]

    def _half_way(self) -> float:
        latency = self.latency
        if not latency.seconds and not latency.jitter:
            return 0.0
        drawn = self._dice.uniform(-latency.jitter, latency.jitter)
        return max(0.0, latency.seconds + drawn) / 2


def _act(dialect: Dialect, organization: Organization, exchange: Exchange, plan: Stage) -> Outcome:
    """Carry the call out; what it deletes may stay visible for a while."""
    call, route, now = exchange.call, exchange.route, time.time()
    if not plan.visible_for or route.kind in (None, Kind.TIMER):
        return dialect.act(organization, call, route, now)
    kind = route.kind
    things = {
        id_: organization.living(kind, id_, route.parent_id)
        for id_ in route.ids or (route.id or "",)
    }
    outcome = dialect.act(organization, call, route, now)
    for id_ in _deleted(outcome, route):
        thing = things[id_]
        if thing is not None:
            ghost = Ghost(thing=thing, until=now + plan.visible_for)
            organization.haunt(kind, id_, route.parent_id, ghost)
    return outcome


def _deleted(outcome: Outcome, route: Route) -> tuple[str, ...]:
    if outcome.effect is not Effect.DELETED or route.ids is not None or route.id is None:
        return outcome.deleted_ids
    return (route.id,)


def _enter(meters: tuple[Meter, ...], exchange: Exchange) -> Refusal | None:
    """Ask one purse after the other; the first that says no is the answer."""
    for meter in meters:
        refusal = meter.enter(exchange.started)
        if refusal is not None:
            return refusal
        exchange.in_flight += (meter,)
    return None


def _with(answer: Answer, headers: tuple[tuple[str, str], ...]) -> Answer:
    return replace(answer, headers=(*answer.headers, *headers)) if headers else answer


def _refused(dialect: Dialect, refusal: Refusal) -> Answer:
    answer = dialect.say(BY_EXCESS[refusal.excess])
    if refusal.retry_after is None:
        return answer
    seconds = max(1, -int(-refusal.retry_after // 1))
    return replace(answer, headers=(("Retry-After", str(seconds)),))


def _read(request: web.BaseRequest) -> Call:
    path, _, query = request.raw_path.partition("?")
    return Call(
        method=request.method,
        path=path,
        query=query,
        params=_params(query),
        authorization=request.headers.get("Authorization", ""),
    )


@lru_cache(maxsize=1024)
def _params(query: str) -> Mapping[str, str]:
    return MappingProxyType(dict(parse_qsl(query, keep_blank_values=True)))


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    """Close the connection without a word: in order, or with a reset."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
