"""Somebody else at work in the same organisation: deletes and makes projects, past the ledger."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from worker.sandbox.ledger import Ledger
from worker.sandbox.limits import Count
from worker.sandbox.seeding import CUSTOMER_ID
from worker.sandbox.state import Kind, Organization, Project, Traits

FIRST_ID = 8_800_000_000_000_001
TICK = 0.01  # seconds; what is due by then is done at once


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Rivalry:
    """How busy the rival is.

    `deletes` is the share of its deeds that delete, `ids` what it may delete (default: anything,
    its own projects too), `back_seconds` how old its projects pretend to be at most, drawn anew
    for each, so that they push in among the others.
    """

    organization_id: str
    rate: Annotated[float, Field(gt=0, le=1000)] = 20.0
    seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    deletes: Annotated[float, Field(ge=0, le=1)] = 0.5
    ids: frozenset[str] | None = None
    names: str = "Rival {n}"
    back_seconds: Annotated[float, Field(ge=0)] = 0.0
    at_most: Count | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing the rival did, after the ledger's entry `after_seq`."""

    at: float
    after_seq: int
    action: str
    id: str

    def row(self) -> dict[str, Any]:
        """The deed as JSON has it."""
        return {"at": self.at, "after_seq": self.after_seq, "action": self.action, "id": self.id}


class Rival:
    """At work in one organisation for a while; its deeds are kept after it has ended."""

    def __init__(self, organization: Organization, ledger: Ledger, rivalry: Rivalry) -> None:
        self.deeds: list[Deed] = []
        self._organization = organization
        self._ledger = ledger
        self._rivalry = rivalry
        self._dice = random.Random(rivalry.seed)  # noqa: S311 - which project, nothing secret
        self._made = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """True until its time is over or it was stopped."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin, beside everything else in the event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    def stop(self) -> None:
        """Do nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        loop, rivalry = asyncio.get_running_loop(), self._rivalry
        start = loop.time()
        total = int(rivalry.rate * rivalry.seconds)
        wanted = total if rivalry.at_most is None else min(total, rivalry.at_most)
        done = 0
        while done < wanted:
            due = min(wanted, int((loop.time() - start) * rivalry.rate) + 1)
            for _ in range(done, due):
                self._act(time.time())
            done = due
            await asyncio.sleep(TICK)

    def _act(self, now: float) -> None:
        victims = self._victims() if self._dice.random() < self._rivalry.deletes else ()
        if victims:
            id_ = self._dice.choice(victims)
            self._organization.delete(Kind.PROJECT, id_, None, now)
            self._note("deleted", id_, now)
        elif self._rivalry.deletes < 1:
            self._make(now)

    def _victims(self) -> Sequence[str]:
        projects, ids = self._organization.projects, self._rivalry.ids
        if ids is None:
            return list(projects)
        return sorted(id_ for id_ in ids if id_ in projects)

    def _make(self, now: float) -> None:
        self._made += 1
        at = now - self._dice.random() * self._rivalry.back_seconds
        project = Project(
            id=str(FIRST_ID + self._organization.made_by_rivals),
            name=self._rivalry.names.replace("{n}", f"{self._made:04d}"),
            status="active",
            created_at=at,
            modified_at=at,
            traits=Traits(customer_id=CUSTOMER_ID),
        )
        self._organization.made_by_rivals += 1
        self._organization.add([project])
        self._note("created", project.id, now)

    def _note(self, action: str, id_: str, now: float) -> None:
        after_seq = self._ledger.next_seq - 1
        self.deeds.append(Deed(at=now, after_seq=after_seq, action=action, id=id_))


class Rivals:
    """Every rival of the sandbox, by organisation; one at a time in each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._by_organization: dict[str, list[Rival]] = {}

    def start(self, organization: Organization, rivalry: Rivalry) -> None:
        """Let a rival in; ValueError if one is at work there."""
        rivals = self._by_organization.setdefault(organization.id, [])
        if any(rival.is_running for rival in rivals):
            raise ValueError(f"a rival is at work in {organization.id} already")
        rival = Rival(organization, self._ledger, rivalry)
        rivals.append(rival)
        rival.start()

    def stop(self, organization_id: str | None = None) -> None:
        """End the rival of one organisation, or all of them."""
        for id_, rivals in self._by_organization.items():
            if organization_id in (None, id_):
                for rival in rivals:
                    rival.stop()

    def deeds(self, organization_id: str) -> dict[str, Any]:
        """What rivals did in an organisation, and whether one is still at it."""
        rivals = self._by_organization.get(organization_id, [])
        deeds = [deed.row() for rival in rivals for deed in rival.deeds]
        return {"running": any(rival.is_running for rival in rivals), "deeds": deeds}
