"""Permits for one slice: taken and handed back in one round trip, closed when told to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby, islice

from worker.domain.calls import Answer
from worker.domain.limits import Grant, Permit, Purse, Quota, Return, WaitReason
from worker.domain.outcomes import Verdict
from worker.domain.states import Waiting
from worker.ports import Job, Knobs, WaitingOn
from worker.ratelimit.port import GateClosed, GateEmpty
from worker.services.tools import Tools, off

THROTTLED_FOR = timedelta(seconds=10)
"""How long a purse stays closed at most after a refusal that names no time."""
LONGEST_CLOSED = timedelta(hours=25)
"""No refusal closes a purse for longer: a day may have 25 hours."""
MARGIN = timedelta(seconds=5)
"""A permit outlives its call's deadline by this."""


class Permits:
    """The permits of one slice. What comes back is kept until the gate has taken it."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.purses = tools.facts.purses
        self._back: list[Return] = []
        self._lease = tools.facts.call_timeout + MARGIN

    def share_by(self, jobs: Collection[Job]) -> None:
        """Go by the shares that are set for these jobs, where there are any."""
        self.purses = shared(self._tools.facts.purses, [job.knobs for job in jobs])

    def give_back(self, permit: Permit, *, used: bool, quota: Quota | None = None) -> None:
        """Hand a permit back with the next exchange, and what its answer says is left."""
        self._back.append(Return(permit=permit, used=used, quota=quota))

    async def take(self, want: int, now: datetime) -> Grant:
        """Take up to `want` permits; raises GateClosed if the books cannot be asked."""
        if not want and not self._back:
            return Grant()
        gate, purses = self._tools.gate, self.purses
        try:
            grant = await gate.exchange(purses, back=self._back, want=want, lease=self._lease)
        except GateEmpty as empty:
            await self._rebuild(empty.purses, now)
            try:
                grant = await gate.exchange(purses, back=self._back, want=want, lease=self._lease)
            except GateEmpty as again:
                raise GateClosed(f"the books were lost again: {again}") from again
        self._back = []
        return grant

    async def _rebuild(self, names: Sequence[str], now: datetime) -> None:
        tools = self._tools
        for purse in tools.facts.purses:
            if purse.name not in names:
                continue
            start = min(purse.day_start(now), now - purse.longest_window())
            made: list[datetime] = []
            for account in tools.facts.sharing[purse.name]:
                ended = await off(tools.calls_since, account, start)
                made += calls_of(ended, await off(tools.open_intents, account), purse, now)
            today = [at for at in made if at >= purse.day_start(now)]
            recent = [now - at for at in made if now - at <= purse.longest_window()]
            await tools.gate.rebuild(
                purse, ages=[max(age, timedelta(0)) for age in recent], used_today=len(today)
            )
            await self._close_again(purse, now)

    async def _close_again(self, purse: Purse, now: datetime) -> None:
        """What the provider refused a while ago it refuses still, until the time it named."""
        accounts, since = self._tools.facts.sharing[purse.name], now - LONGEST_CLOSED
        refused = {name: await off(self._tools.refusals, name, since) for name in accounts}
        ends = closed_until(refused, purse)
        if ends is not None and ends[0] > now:
            await self._tools.gate.close(purse.name, until=ends[0] - now, reason=ends[1])

    async def obey(self, answer: Answer, now: datetime) -> None:
        """Close the purses a refusal is about for as long as it says."""
        why = said(answer)
        for purse in meant(answer, self._tools.facts.purses):
            until = closed_for(answer, purse, now)
            if until is not None:
                ease = eases(answer)
                await self._tools.gate.close(purse.name, until=until, reason=why, ease=ease)


def calls_of(
    ended: Sequence[datetime], intents: int, purse: Purse, now: datetime
) -> list[datetime]:
    """When an account's calls were answered, by its record; those that may be out: now.

    A bulk delete has an intent for each of its items, and an entry for each if its holder died.
    No more calls than have places in flight are out, or end, at the same instant.
    """
    apart = [at for _, same in groupby(ended) for at in islice(same, purse.in_flight)]
    return apart + [now] * min(intents, purse.in_flight)


def shared(purses: Sequence[Purse], knobs: Sequence[Knobs]) -> tuple[Purse, ...]:
    """An account's purses, with the shares that its jobs have been set.

    They are shares of its own purse, the first; of several the smallest holds.
    """
    own, *others = purses
    rates = [each.rate_share for each in knobs if each.rate_share is not None]
    days = [each.day_share for each in knobs if each.day_share is not None]
    if not rates and not days:
        return tuple(purses)
    mine = replace(
        own,
        rate_share=min(rates, default=own.rate_share),
        day_share=min(days, default=own.day_share),
    )
    return (mine, *others)


def meant(answer: Answer, purses: Sequence[Purse]) -> Sequence[Purse]:
    """The purses a refusal is about: all that paid for the call, unless it says it was our own.

    Which of several limits was passed is often not said, and then none of them may be used.
    """
    return purses[:1] if answer.is_own_limit else purses


def eases(answer: Answer) -> bool:
    """Whether a refusal says that we are too fast and not until when, so that we try half."""
    return answer.verdict is Verdict.THROTTLED and answer.retry_after is None


def closed_for(answer: Answer, purse: Purse, now: datetime) -> timedelta | None:
    """How long a purse stays closed after this answer; None if it does not close."""
    match answer.verdict:
        case Verdict.THROTTLED:
            return answer.retry_after or min(
                purse.longest_window() or THROTTLED_FOR, THROTTLED_FOR
            )
        case Verdict.QUOTA_EXHAUSTED:
            return answer.retry_after or purse.next_reset(now) - now
        case _:
            return None


def closed_until(
    refused: Mapping[str, Sequence[tuple[datetime, Answer]]], purse: Purse
) -> tuple[datetime, str] | None:
    """Until when the last of these refusals, by account, closes a purse, and why."""
    closed = [
        (at + wait, said(answer))
        for account, answers in refused.items()
        for at, answer in answers
        if account == purse.name or not answer.is_own_limit
        if (wait := closed_for(answer, purse, at)) is not None
    ]
    return max(closed, default=None)


def said(answer: Answer) -> str:
    """Why a purse is closed, for the books."""
    return f"{answer.verdict.value}: {answer.message}"[:200]


def _whole_second(at: datetime) -> datetime:
    """The next whole second: a reset at midnight is not said to come a moment before."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)


def waiting_for(grant: Grant, now: datetime, purses: Sequence[Purse]) -> WaitingOn:
    """Why a slice got fewer permits of these purses than it wanted, for people."""
    wake = _whole_second(now + (grant.wait or timedelta(0)))
    local = next(purse for purse in purses if purse.name == grant.purse).local(wake)
    match grant.reason:
        case WaitReason.DAY:
            text = f"the day's share of {grant.purse} is used; it resets at {local}"
            return WaitingOn(code=Waiting.QUOTA_RESET, sentence=text, next_wake=wake)
        case WaitReason.CLOSED if grant.detail.startswith(Verdict.QUOTA_EXHAUSTED):
            text = f"the provider's daily quota is used until {local} ({grant.detail})"
            return WaitingOn(code=Waiting.QUOTA_RESET, sentence=text, next_wake=wake)
        case WaitReason.CLOSED:
            text = f"the provider asked to wait ({grant.detail})"
            return WaitingOn(code=Waiting.RATE_LIMIT, sentence=text, next_wake=wake)
        case _:
            text = f"the rate limit of {grant.purse} is reached"
            return WaitingOn(code=Waiting.RATE_LIMIT, sentence=text, next_wake=wake)
