"""How long a slice starts calls."""

from worker.services.tools import Tools, off

SHORT = 0.5
"""Seconds in which a slice starts new calls."""
LONG = 4.0
"""The same while no other account waits."""


class Span:
    """How long a slice may start calls: half a second, or more while no other account waits."""

    def __init__(self, tools: Tools, account: str) -> None:
        self._tools, self._account = tools, account
        self._until = tools.clock() + SHORT
        self._last = tools.clock() + LONG

    async def is_left(self) -> bool:
        now = self._tools.clock()
        if now < self._until:
            return True
        if now >= self._last or not await off(self._tools.accounts.is_alone, self._account):
            return False
        self._until = min(now + SHORT, self._last)
        return True
