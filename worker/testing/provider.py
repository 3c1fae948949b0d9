"""A provider that answers by a script and remembers what it was asked."""

import asyncio
from collections.abc import Callable

from worker.domain.calls import Answer, Call

Script = Callable[[Call], Answer]


class ScriptedProvider:
    """Keeps the contract of `worker.ports.Provider`; `calls` and `most_in_flight` are its record.

    `on_call` is told of a call as it arrives, before it is answered. With `together`, nothing is
    answered until that many calls are in flight at once; a call for an id in `held` waits for its
    event.
    """

    def __init__(
        self,
        script: Script,
        *,
        on_call: Callable[[Call], None] = lambda _: None,
        together: int = 1,
    ) -> None:
        self.calls: list[Call] = []
        self.most_in_flight = 0
        self.is_closed = False
        self.held: dict[str, asyncio.Event] = {}
        self._script = script
        self._on_call = on_call
        self._together = together
        self._in_flight = 0
        self._enough = asyncio.Event()

    async def perform(self, call: Call) -> Answer:
        self.calls.append(call)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        self._on_call(call)
        if self._in_flight >= self._together:
            self._enough.set()
        await self._enough.wait()
        for target in call.targets:
            if target.external_id in self.held:
                await self.held[target.external_id].wait()
        self._in_flight -= 1
        return self._script(call)

    async def aclose(self) -> None:
        self.is_closed = True
