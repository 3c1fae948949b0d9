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
PART = 3
"""A slice takes this part of a window at most while others wait: so an account's calls are spread
over its window and do not come all at once, a window after they all came at once."""
MANY = 1_000_000
"""Calls that no slice makes: what takes the place of a part where there is no window."""


class Span:
    """How long a slice may start calls: about half a second, or more while nobody else waits."""

    def __init__(self, tools: Tools, account: str) -> None:
        self._tools, self._account = tools, account
        self._began = tools.clock()
        self._until = self._began + SHORT
        limits = [limit for purse in tools.facts.purses for limit in purse.window_limits()]
        self._part = -(-min(limits) // PART) if limits else MANY
        self._most = self._part
        self._is_over = False

    async def is_left(self, started: int) -> bool:
        """Whether more may start; over is over, as the calls under way come back."""
        now = self._tools.clock()
        if self._is_over or not self._is_due(now, started):
            return not self._is_over
        self._is_over = now - self._began >= LONG or not await self._is_alone()
        self._until = min(now + SHORT, self._began + LONG)
        self._most = started + self._part
        return not self._is_over

    def room(self, started: int) -> int:
        """How many calls more may start until it is asked again who else waits."""
        return max(0, self._most - started)

    def _is_due(self, now: float, started: int) -> bool:
        """Whether it is time to ask who else waits."""
        if started >= self._most:
            return True
        takes = now - self._began
        return now >= self._until and (started >= ENOUGH or takes >= PATIENT)

    async def _is_alone(self) -> bool:
        return await off(self._tools.accounts.is_alone, self._account)
