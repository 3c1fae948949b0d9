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
        self._is_over = False

    async def is_left(self) -> bool:
        """Asks the others once it has passed; over is over, as the calls under way come back."""
        now = self._tools.clock()
        if now < self._until or self._is_over:
            return not self._is_over
        self._is_over = now >= self._last or not await self._is_alone()
        self._until = min(now + SHORT, self._last)
        return not self._is_over

    async def _is_alone(self) -> bool:
        return await off(self._tools.accounts.is_alone, self._account)
