"""One reading call for an account: with a permit, and with its entry in the audit log."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from worker.bootstrap import Desk
from worker.cli.desk import gate_of
from worker.config.accounts import Account
from worker.connecting import connection_of
from worker.domain.audit import Entry, Event, account_chain
from worker.domain.calls import CAPABILITIES, ORGANIZATIONS, Action, Answer, Call
from worker.domain.errors import (
    BulkdelError,
    CredentialsMissing,
    InvalidInput,
    Refused,
    Unreachable,
)
from worker.domain.limits import Grant, Purse, Return
from worker.domain.outcomes import Verdict
from worker.providers.http import HttpProvider
from worker.ratelimit.port import Gate, GateClosed, GateEmpty
from worker.ratelimit.tokens import RedisTokens
from worker.services.flights import was_sent
from worker.services.permits import (
    LONGEST_CLOSED,
    MARGIN,
    calls_of,
    closed_for,
    closed_until,
    eases,
    meant,
    waiting_for,
)
from worker.services.tools import AccountFacts
from worker.store import audit_log
from worker.store.chain import append
from worker.store.engine import now
from worker.store.entries import told_to_wait
from worker.wiring import account_facts, addresses, dialect_for, secret_of

LIST = Call(action=Action.LIST)
RIGHTS = Call(action=Action.READ, source=CAPABILITIES)
WHOSE = Call(action=Action.READ, source=ORGANIZATIONS)


NO_CALL_NAMES_IT = "no call of this provider tells its name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An account that works, and what its calls showed.

    `rights` None: not known. `name` is the organisation's; empty, `nameless` says why.
    """

    account: str
    projects: int
    more: bool
    example: str
    quota: tuple[str, ...]
    unparked: bool
    rights: frozenset[str] | None = None
    name: str = ""
    nameless: str = ""

    @property
    def may_delete(self) -> bool | None:
        """Whether the account may delete projects; None if the provider does not say."""
        return None if self.rights is None else "delete" in self.rights


def check_account(desk: Desk, account: Account) -> Checked:
    """List one page of projects, and ask whose it is and what it may do where that is said.

    On success a parked account goes on, unless it is said that it may not delete.

    Raises CredentialsMissing if the token is not there or is refused, Refused if the limits
    leave no room, Unreachable without Redis or without a clear answer, and InvalidInput if the
    provider takes the request for malformed.
    """
    secret_of(account)  # before anything else: without it there is nothing to check
    answer, quota = asyncio.run(_ask(desk, account, LIST))
    if answer.verdict is Verdict.TOKENLESS and answer.retry_after is None:
        # The access token had ended; now there is, or will be, another one.
        answer, quota = asyncio.run(_ask(desk, account, LIST))
    if (error := failure_of(answer, account)) is not None:
        raise error
    rights = None
    if dialect_for(account).capabilities is not None:
        said, quota = asyncio.run(_ask(desk, account, RIGHTS))
        rights = (said.reading.methods if said.verdict is Verdict.SEEN else None) or None
    organizations, name, nameless = dialect_for(account).organizations, "", NO_CALL_NAMES_IT
    if organizations is not None:
        said, quota = asyncio.run(_ask(desk, account, WHOSE))
        name = dict(said.reading.names).get(account.organization_id, "")
        nameless = f"its name takes the right {organizations.right}, or was not told"
    names = [seen.name or seen.target.external_id for seen in answer.reading.projects]
    checked = Checked(
        account=account.name,
        projects=len(names),
        more=bool(answer.reading.next_cursor),
        example=next(iter(names), ""),
        quota=tuple(quota),
        unparked=False,
        rights=rights,
        name=name,
        nameless="" if name else nameless,
    )
    if checked.may_delete is False:
        return checked
    why = "accounts check succeeded"
    unparked = desk.accounts.unpark(account.name, actor=desk.who.name, why=why)
    return replace(checked, unparked=unparked)


def failure_of(answer: Answer, account: Account) -> BulkdelError | None:
    """What a call that did not succeed is raised as; None for one that did."""
    said = answer.message or answer.verdict.value
    match answer.verdict:
        case Verdict.SEEN:
            return None
        case Verdict.UNAUTHORISED:
            where = account.oauth.refresh_token if account.oauth else account.token
            return CredentialsMissing(
                f"{account.name}: the provider refuses the token: {said}",
                fix=f"put a token with the right to read and delete projects into {where}",
            )
        case (
            Verdict.INVALID | Verdict.REFUSED | Verdict.ABSENT | Verdict.DELETED | Verdict.ACCEPTED
        ):
            return InvalidInput(
                f"{account.name}: the provider refuses the request: {said}",
                fix="check base_url and organisation of the account in bulkdel.toml",
            )
        case Verdict.THROTTLED | Verdict.QUOTA_EXHAUSTED:
            return Refused(
                f"{account.name}: the provider allows no call now: {said}",
                fix="wait; nothing is sent for this account meanwhile",
            )
        case Verdict.TOKENLESS:
            return Unreachable(f"{account.name}: {said}", fix="wait, and try again")
        case Verdict.UNAVAILABLE | Verdict.AMBIGUOUS | Verdict.NOT_SENT:
            return Unreachable(
                f"{account.name}: the provider does not answer: {said}",
                fix=f"check {account.base_url}, and try again",
            )
        case _:
            assert_never(answer.verdict)


async def _ask(desk: Desk, account: Account, call: Call) -> tuple[Answer, Sequence[str]]:
    gate = gate_of(desk)
    tokens = RedisTokens.at(addresses(desk.settings).redis)
    provider = HttpProvider(connection_of(account, tokens))
    facts = account_facts(account, desk.config)
    purses = facts.purses
    lease = account.call_timeout + MARGIN
    try:
        grant = await _grant(desk, gate, facts, lease)
        answer = await provider.perform(call)
        _write_down(desk, account, call, answer)
        was, left = was_sent(answer), answer.quota
        back = [Return(permit=permit, used=was, quota=left) for permit in grant.permits]
        await gate.exchange(purses, back=back, want=0, lease=lease)
        for purse in meant(answer, purses):
            closed = closed_for(answer, purse, _now(desk))
            if closed is not None:
                why, ease = answer.verdict.value, eases(answer)
                await gate.close(purse.name, until=closed, reason=why, ease=ease)
        books = await gate.books(purses)
        used = zip(purses, books, strict=True)
        return answer, [quota_line(purse, book.used_today) for purse, book in used]
    except GateClosed as error:
        raise Unreachable(
            "Redis does not answer, so no call is made", fix="check BULKDEL_REDIS_URL"
        ) from error
    finally:
        await provider.aclose()
        await tokens.aclose()
        await gate.aclose()


async def _grant(desk: Desk, gate: Gate, facts: AccountFacts, lease: timedelta) -> Grant:
    """One permit; Refused if there is none now."""
    at, purses = _now(desk), facts.purses
    try:
        grant = await gate.exchange(purses, back=(), want=1, lease=lease)
    except GateEmpty as empty:
        for purse in purses:
            if purse.name in empty.purses:
                made = _calls(desk, facts.sharing[purse.name], purse, at)
                await _rebuild(gate, purse, made, at)
                await _close_again(desk, gate, facts.sharing[purse.name], purse, at)
        grant = await gate.exchange(purses, back=(), want=1, lease=lease)
    if not grant.permits:
        said = waiting_for(grant, at, purses).sentence
        raise Refused(f"no permit now: {said}", fix="wait, try again")
    return grant


async def _rebuild(gate: Gate, purse: Purse, made: Sequence[datetime], at: datetime) -> None:
    """Write a purse's books from the audit log, as every worker would."""
    longest, start = purse.longest_window(), purse.day_start(at)
    ages = [max(at - when, timedelta(0)) for when in made if at - when <= longest]
    await gate.rebuild(purse, ages=ages, used_today=sum(when >= start for when in made))


async def _close_again(
    desk: Desk, gate: Gate, names: Sequence[str], purse: Purse, at: datetime
) -> None:
    """What the provider refused a while ago it refuses still, until the time it named."""
    since = at - LONGEST_CLOSED
    ends = closed_until({n: audit_log.refusals_since(desk.db, n, since) for n in names}, purse)
    if ends is not None and ends[0] > at:
        await gate.close(purse.name, until=ends[0] - at, reason=ends[1])


def _calls(desk: Desk, names: Sequence[str], purse: Purse, at: datetime) -> list[datetime]:
    """When calls were answered; one that may be under way counts as answered now."""
    since = min(purse.day_start(at), at - purse.longest_window())
    made: list[datetime] = []
    for name in names:
        ended = audit_log.calls_since(desk.db, name, since)
        made += calls_of(ended, desk.accounts.open_intents(name), purse, at)
    return made


def quota_line(purse: Purse, used: int) -> str:
    """What is used of a day, for people."""
    if purse.per_day is None:
        return f"{purse.name}: {used} calls today, the day is not limited"
    return (
        f"{purse.name}: {used} of our {purse.day_limit()} calls today "
        f"(the provider allows {purse.per_day})"
    )


def _write_down(desk: Desk, account: Account, call: Call, answer: Answer) -> None:
    """No call without a trace: one that belongs to no job is on its account's chain."""
    where = {"page": "1"} if call.action is Action.LIST else {"source": call.source}
    entry = Entry(
        chain=account_chain(account.name),
        account=account.name,
        provider=account.provider,
        event=Event.CALL,
        actor=desk.who.name,
        verdict=answer.verdict.value,
        error_class=answer.error_class,
        http_status=answer.http_status,
        provider_code=answer.provider_code,
        message=answer.message,
        request_id=answer.request_id,
        duration_ms=round(answer.duration.total_seconds() * 1000),
        detail={"action": call.action.value, **where, "why": "accounts check"}
        | told_to_wait(answer),
    )
    with desk.db.write() as connection:
        append(connection, [entry])


def _now(desk: Desk) -> datetime:
    with desk.db.read() as connection:
        return now(connection)
