"""How long a slice starts calls."""

from worker.services.tools import Tools, off

SHORT = 0.5
"""Seconds in which a slice starts new calls ..."""
ENOUGH = 120
"""... or until there were so many, as they share what the slice costs by itself ..."""
PATIENT = 2.0
"""... but no longer than this ..."""
LONG = 4.0
"""... or this, while no other account waits."""


class Span:
    """How long a slice may start calls: about half a second, or more while nobody else waits."""

    def __init__(self, tools: Tools, account: str) -> None:
        self._tools, self._account = tools, account
        self._began = tools.clock()
        self._until = self._began + SHORT
        self._is_over = False

    async def is_left(self, started: int) -> bool:
        """Whether more may start; over is over, as the calls under way come back."""
        now = self._tools.clock()
        takes = now - self._began
        if self._is_over or now < self._until or (started < ENOUGH and takes < PATIENT):
            return not self._is_over
        self._is_over = takes >= LONG or not await self._is_alone()
        self._until = min(now + SHORT, self._began + LONG)
        return not self._is_over

    async def _is_alone(self) -> bool:
        return await off(self._tools.accounts.is_alone, self._account)
