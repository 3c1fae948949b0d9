"""The gate whose books Redis keeps, by Redis' clock, for all processes together."""

import json
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from worker.domain.limits import Grant, Permit, Purse, PurseBook, Return, WaitReason
from worker.ratelimit.connection import TIMEOUT, connect
from worker.ratelimit.port import GateClosed, GateEmpty, names_of

_SCRIPT = Path(__file__).with_name("gate.lua").read_text(encoding="utf-8")
_SCRIPT_NAME = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_GRANTED = 3  # words of an answer that says no more than how many

_Answer = list[Any]


class RedisGate:
    """Keeps the contract of `worker.ratelimit.port.Gate`.

    Keys are `{PREFIX}:PURSE:book|flight|log`. The braces make one hash slot of all of them,
    because one script touches several purses, and a cluster runs it only within a slot.

    The script runs by the server's clock, but only Python knows time zones. So each purse goes
    out with its resets around the server's time as last heard, and the script picks the day from
    them: right to the microsecond across a reset and a change of the clocks, whatever the
    client's clock shows. A client that has not heard the time for a day is told so, and asks.
    """

    def __init__(self, make_client: Callable[[], Redis], *, prefix: str = "bulkdel") -> None:
        if not prefix or set(prefix) & set("{}"):
            message = f"not a key prefix: {prefix!r}"
            raise ValueError(message)
        self._make_client = make_client
        self._prefix = prefix
        # Made when first used, because a client belongs to the loop it runs in.
        self._client: Redis | None = None
        self._now: datetime | None = None

    @classmethod
    def at(cls, url: str, *, prefix: str = "bulkdel", timeout: timedelta = TIMEOUT) -> Self:
        """The gate of the Redis at `url`."""
        return cls(partial(connect, url, timeout=timeout), prefix=prefix)

    async def begin(self) -> None:
        async with self._asking() as client:
            seconds, micros = await client.time()
            self._now = _instant(int(seconds) * 1_000_000 + int(micros))

    async def exchange(
        self, purses: Sequence[Purse], *, back: Sequence[Return], want: int, lease: timedelta
    ) -> Grant:
        names = names_of(purses, back=back, want=want, lease=lease)
        batch = secrets.token_hex(8)
        request = {"verb": "exchange", "want": want, "lease": _micros(lease), "batch": batch}
        answer = await self._ask(purses, request, back=back)
        granted = int(answer[2])
        permits = tuple(Permit(id=f"{batch}-{n + 1}", purses=names) for n in range(granted))
        if len(answer) == _GRANTED:
            return Grant(permits=permits)
        wait, reason, purse, detail = answer[3:]
        return Grant(
            permits=permits,
            wait=int(wait) * _MICROSECOND,
            reason=WaitReason(reason),
            purse=purse,
            detail=detail,
        )

    async def close(
        self,
        purse: str,
        *,
        until: datetime | timedelta,
        reason: str,
        shorten: bool = False,
        ease: bool = False,
    ) -> None:
        ends = (
            {"delay": _micros(until)}
            if isinstance(until, timedelta)
            else {"at": _micros(until - _EPOCH)}
        )
        request = {"verb": "close", "reason": reason, "shorten": shorten, "ease": ease, **ends}
        await self._run(self._keys_of(purse), {**request, "purses": [{}]})

    async def rebuild(self, purse: Purse, *, ages: Sequence[timedelta], used_today: int) -> bool:
        longest = purse.longest_window()
        seen = [_micros(max(age, timedelta())) for age in ages if age <= longest]
        batch = secrets.token_hex(8)
        request = {"verb": "rebuild", "ages": seen, "used_today": used_today, "batch": batch}
        answer = await self._ask([purse], request)
        return bool(answer[2])

    async def books(self, purses: Sequence[Purse]) -> Sequence[PurseBook]:
        answer = await self._ask(purses, {"verb": "books"})
        return [
            _book(purse, line, now=_instant(int(answer[1])))
            for purse, line in zip(purses, answer[2:], strict=True)
        ]

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(
        self, purses: Sequence[Purse], request: Mapping[str, Any], *, back: Sequence[Return] = ()
    ) -> _Answer:
        keys = [key for purse in purses for key in self._keys_of(purse.name)]
        if self._now is None:
            await self.begin()
        answer = await self._run(keys, {**request, "purses": self._shown(purses, back)})
        if answer[0] == "stale":
            answer = await self._run(keys, {**request, "purses": self._shown(purses, back)})
        match answer[0]:
            case "ok":
                return answer
            case "empty":
                raise GateEmpty(answer[2:])
            case _:
                message = f"the days of Redis are not ours: {answer}"
                raise GateClosed(message)

    async def _run(self, keys: Sequence[str], request: Mapping[str, Any]) -> _Answer:
        arguments = [*keys, json.dumps(request)]
        async with self._asking() as client:
            try:
                answer = await client.evalsha(_SCRIPT_NAME, len(keys), *arguments)
            except NoScriptError:
                answer = await client.eval(_SCRIPT, len(keys), *arguments)
        self._now = _instant(int(answer[1]))
        return list(answer)

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[Redis]:
        if self._client is None:
            self._client = self._make_client()
        try:
            yield self._client
        except (RedisError, OSError, TimeoutError) as error:
            message = f"Redis cannot be asked: {error}"
            raise GateClosed(message) from error

    def _keys_of(self, purse: str) -> list[str]:
        return [f"{{{self._prefix}}}:{purse}:{part}" for part in ("book", "flight", "log")]

    def _shown(self, purses: Sequence[Purse], back: Sequence[Return]) -> list[dict[str, Any]]:
        now = self._now or _EPOCH
        return [_shown(purse, back, now=now) for purse in purses]


def _shown(purse: Purse, back: Sequence[Return], *, now: datetime) -> dict[str, Any]:
    day_limit = purse.day_limit()
    windows = zip(purse.window_limits(), purse.windows, strict=True)
    shown = {
        "name": purse.name,
        "in_flight": purse.in_flight,
        "windows": [{"calls": calls, "per": _micros(window.per)} for calls, window in windows],
        "keep": _micros(purse.longest_window()),
        "batch": purse.useful_batch(),
        "resets": [_micros(reset - _EPOCH) for reset in purse.resets_around(now)],
        "back": [_given(each, purse) for each in back if purse.name in each.permit.purses],
    }
    # A null is true in Lua, so what is not limited is left out.
    return shown if day_limit is None else {**shown, "per_day": day_limit}


def _given(back: Return, purse: Purse) -> tuple[str | int, ...]:
    """A permit as the script takes it; what is left is said of the first of its purses alone."""
    given = (back.permit.id, back.used)
    if back.quota is None or back.permit.purses[0] != purse.name:
        return given
    return (*given, back.quota.left, _micros(back.quota.resets_in))


def _book(purse: Purse, line: Sequence[Any], *, now: datetime) -> PurseBook:
    is_current, used_today, in_flight, closed_until, closed_reason, *more = line
    corrected_at, pace, *windows = more
    return PurseBook(
        name=purse.name,
        is_current=bool(is_current),
        used_windows=tuple(windows),
        used_today=int(used_today),
        in_flight=in_flight,
        closed_until=_instant(int(closed_until)) if int(closed_until) else None,
        closed_reason=closed_reason,
        resets_at=None if purse.per_day is None else purse.next_reset(now),
        corrected_at=_instant(int(corrected_at)) if int(corrected_at) else None,
        pace=int(pace) / 1000,
    )


def _micros(duration: timedelta) -> int:
    return duration // _MICROSECOND


def _instant(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND
