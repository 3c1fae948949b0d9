"""One round: a job in the middle of its work, a fault, and three ledgers compared afterwards."""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

from tests.acceptance.commands import Reply
from tests.acceptance.site import FINAL, Site
from tests.acceptance.waiting import eventually
from tests.chaos import invariants
from tests.chaos.drill import Drill

PROJECTS = 20
LATENCY = 0.2
IN_FLIGHT = 6
LIMITS = f'limits = {{ windows = [[400, "5s"]], per_day = 1000000, in_flight = {IN_FLIGHT} }}'
METER = {"windows": [[400, 5]], "in_flight": 2 * IN_FLIGHT}
RECOVERS_WITHIN = 60.0
ENDS_WITHIN = 150.0
OPEN_SHARE = 0.2


@dataclass(slots=True, kw_only=True)
class Told:
    """What became of a round."""

    row: str
    seed: int
    intents: int = 0
    open_share: float = 0.0
    recovery: float = 0.0
    seconds: float = 0.0
    note: str = ""
    violations: list[str] = field(default_factory=list)

    @property
    def is_hit(self) -> bool:
        """Whether the fault met work worth meeting."""
        return self.intents >= 1 and self.open_share >= OPEN_SHARE


@dataclass(slots=True, kw_only=True)
class Scene:
    """What a fault finds: a drill, and two jobs half way through."""

    drill: Drill
    rng: Random
    told: Told
    site: Site
    beside: Site
    job: Reply = field(default_factory=dict)
    other: Reply = field(default_factory=dict)
    crashes: int = 0
    healed_at: float = 0.0
    loosens: bool = False  # a frozen process or a moved clock: one late call an item may overlap

    def begin(self, *options: str, projects: int = PROJECTS) -> None:
        """Submit both jobs and let the first come to a place drawn from the seed."""
        control = self.drill.stack.control
        for site in (self.site, self.beside):
            control.limits(site.organization, **METER)
        control.latency(LATENCY, jitter=LATENCY / 3)
        sites = (self.site, self.beside)
        ids = [_ids(site, self.rng, projects) for site in sites]
        with ThreadPoolExecutor(2) as both:  # so that neither is done before the other begins
            self.job, self.other = both.map(partial(_submitted, options), sites, ids)
        self._confirm()
        share = self.rng.uniform(0.05, 0.5)
        eventually(
            lambda: self.open_share() <= 1 - share, within=90, what=f"{share:.0%} of the job"
        )

    def _confirm(self) -> None:
        """Let both jobs run, from here: a command takes seconds on a busy machine, and the jobs
        would be over before it has ended."""
        jobs = ((self.site, self.job), (self.beside, self.other))
        for site, job in jobs:
            what = f"the plan of {job['id']}"
            eventually(partial(_is_planned, site, job), within=90, what=what)
        self.drill.confirm(*(job["id"] for _, job in jobs))

    def counts(self) -> tuple[int, float]:
        """Intents open now, and the share of the items still open, of both jobs."""
        asked = (
            "SELECT sum(CASE WHEN state = 'sent' THEN 1 ELSE 0 END), "
            "sum(CASE WHEN state <> 'settled' THEN 1 ELSE 0 END), count(*) "
            "FROM items WHERE job_id IN (:first, :second)"
        )
        ((sent, still, total),) = self.site.sql(
            asked, first=self.job["id"], second=self.other["id"]
        )
        return int(sent or 0), float(still or 0) / max(int(total), 1)

    def open_share(self) -> float:
        """The share of the items that are not settled; 1 while a job is planned."""
        states = {self.site.state(self.job), self.beside.state(self.other)}
        return 1.0 if states - {"running", *FINAL} else self.counts()[1]

    def is_over(self) -> bool:
        """Whether both jobs have ended."""
        return {self.site.state(self.job), self.beside.state(self.other)} <= FINAL

    def count(self) -> None:
        """Write down what the fault meets. The worst of several strikes is what counts."""
        self.told.intents, self.told.open_share = self.counts()

    @contextmanager
    def struck(self) -> Iterator[None]:
        """All workers hold still, what is open is counted, the fault strikes, they go on."""
        with self.drill.held_still():
            self.count()
            yield
        self.healed()

    def healed(self) -> None:
        """From now on everything has to move again."""
        self.healed_at = time.time()

    def end(self) -> None:
        """Wait for both jobs, and look whether everything that must hold does."""
        for site, job in ((self.site, self.job), (self.beside, self.other)):
            self._check(partial(_ended, site, job))
            self._check(partial(site.judge, job))
            self._check(partial(self._invariants, site, job))
        self._check(partial(self.site._counts_agree, self.job))
        self.told.recovery = self._recovery()
        if self.told.recovery > RECOVERS_WITHIN:
            self.told.violations.append(f"moved again after {self.told.recovery:.0f} s")
        self.told.violations += self._without_intent()
        if any(child.ended() is not None for child in self.drill.workers):
            self.told.violations.append("a worker ended by itself")

    def _without_intent(self) -> list[str]:
        """Calls that left with no intent open, less those of a late process."""
        seen = self.drill.witnessed()
        if not self.loosens:
            return seen
        asked = (
            "SELECT external_id FROM audit_entries WHERE event = 'attempt.lost' "
            "AND job_id IN (:one, :other)"
        )
        jobs = {"one": self.job["id"], "other": self.other["id"]}
        lost = {external_id for (external_id,) in self.site.sql(asked, **jobs)}
        return [line for line in seen if json.loads(line)["id"] not in lost]

    def _invariants(self, site: Site, job: Reply) -> None:
        invariants.check(site, job, crashes=self.crashes, loosens=self.loosens)

    def _check(self, look: Callable[[], object]) -> None:
        try:
            look()
        except AssertionError as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.told.violations.append(f"{where.name}: {error}"[:1500])

    def _recovery(self) -> float:
        """Seconds from the mending of the fault to the next call of each job that had any left."""
        waits = [0.0]
        for site in (self.site, self.beside):
            after = [row["started"] for row in site.ledger() if row["started"] > self.healed_at]
            waits.append(min(after, default=self.healed_at) - self.healed_at)
        return max(waits)


def _ended(site: Site, job: Reply) -> None:
    what = f"the end of {job['id']}"
    eventually(lambda: site.state(job) in FINAL, within=ENDS_WITHIN, what=what)


def _is_planned(site: Site, job: Reply) -> bool:
    return site.state(job) != "planning"


def _ids(site: Site, rng: Random, projects: int) -> list[str]:
    ids = site.seed(projects, tasks=1, comments=1)
    rng.shuffle(ids)
    return ids


def _submitted(options: tuple[str, ...], site: Site, ids: list[str]) -> Reply:
    cascade = options or ("--cascade", "all")
    return site.submit(ids, *cascade, "--no-wait-plan").json
