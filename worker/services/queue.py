"""The work a slice has at hand: loaded when it runs dry, and shared by all jobs of the account."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from worker.domain.calls import PROJECT
from worker.domain.decide import checked_again
from worker.domain.states import JobState
from worker.domain.steps import Step
from worker.ports import Done, Item, Job, Lease
from worker.services import chunks, planning
from worker.services.choices import with_options
from worker.services.choose import Work, choose
from worker.services.control import elsewhere
from worker.services.holds import spare_held
from worker.services.proof import reads_pages
from worker.services.protection import why_spared
from worker.services.sharing import shared_out
from worker.services.tools import Tools, off

AT_ONCE = 500
"""Items loaded for one job at a time, or ..."""
WAVES = 5
"""... so many times what may be in flight, if that is less, or what the slice may start: what it
leaves is read anew."""
MOST = 4_000
"""The most for a job that goes by chunks, so that all places in flight have one."""
POLL = 0.2
"""Seconds after which an empty queue looks again for items that have come due."""


@dataclass(slots=True)
class Queue:
    """Calls that may leave. What is in it has no intent yet, so a crash forgets nothing."""

    tools: Tools
    known: dict[int, frozenset[tuple[str, str]]] = field(default_factory=dict)
    is_dry: bool = False  # nothing is due, and nothing is left to move on
    is_left: bool = False  # calls were forgotten that could have left
    _works: deque[Work] = field(default_factory=deque)
    _left: Counter[str] = field(default_factory=Counter)  # of them, by job
    _under_way: Counter[str] = field(default_factory=Counter)  # calls by job
    _cut: set[str] = field(default_factory=set)  # jobs that have more than was loaded
    _moved: set[str] = field(default_factory=set)  # jobs that may have more than when loaded
    _looked: float = float("-inf")
    _room: int = AT_ONCE  # calls that may start before others have their turn
    _count_at: dict[str, int] = field(default_factory=dict)  # pages of a listing, by job

    def __len__(self) -> int:
        return len(self._works)

    def pop(self) -> Work:
        """The next call; it counts as under way until it has `landed`."""
        work = self._works.popleft()
        self._left[work.job_id] -= 1
        self._under_way[work.job_id] += 1
        return work

    def forget(self, work: Work) -> None:
        """A call that was popped does not leave after all."""
        self._under_way[work.job_id] -= 1
        self._look_again(work.job_id)

    def clear(self) -> None:
        """Forget what has not left: another slice makes these calls."""
        self.is_left = self.is_left or bool(self._works or self._cut)
        self._hold(())

    def share(self) -> None:
        """Forget what has not left, and load it anew with jobs that came meanwhile."""
        self.clear()
        self._look_again()

    def drop(self, jobs: Collection[str]) -> None:
        """Forget what has not left of these jobs: they were paused, stopped or moved on."""
        if jobs:
            self._hold(work for work in self._works if work.job_id not in jobs)
            self._cut.difference_update(jobs)
            self._look_again(*jobs)

    def landed(self, done: Sequence[Done]) -> None:
        """Calls that came back and are committed: what they released may be loaded."""
        for one in done:
            self._under_way[one.job_id] -= 1
        if done:
            self._look_again(*(one.job_id for one in done))

    def _look_again(self, *jobs: str) -> None:
        self._looked, self.is_dry = float("-inf"), False
        self._moved.update(jobs)

    async def fill(self, lease: Lease, jobs: Sequence[Job], room: int = AT_ONCE) -> None:
        """Load due work: of all jobs once the queue is empty, before that of those that ran dry.

        So a job's next steps, and the rest of one that has half of all calls, do not wait until
        all that was loaded for the others has left. `room` is how many calls may start by now.
        """
        self._room = room
        if not self._works:
            if self.tools.clock() - self._looked < POLL:
                return
            self._looked, self.is_dry, self.is_left = self.tools.clock(), True, False
            dry = jobs
        else:
            dry = [job for job in jobs if self._ran_dry(job.id)]
        if dry:
            await self._load(lease, jobs, dry)

    def _ran_dry(self, job_id: str) -> bool:
        """Whether nothing of a job is at hand, and there may be something."""
        if self._left[job_id]:
            return False
        return job_id in self._cut or (job_id in self._moved and not self._under_way[job_id])

    async def _load(self, lease: Lease, jobs: Sequence[Job], dry: Sequence[Job]) -> None:
        found: defaultdict[str, list[Work]] = defaultdict(list)
        for work in self._works:
            found[work.job_id].append(work)
        for job in dry:
            self._cut.discard(job.id)
            self._moved.discard(job.id)
            found[job.id] += await self._work_of(lease, job)
        self._hold(shared_out([(job, found[job.id]) for job in jobs], self.tools.jitter()))
        if self._works:
            self.is_dry = False

    def _hold(self, works: Iterable[Work]) -> None:
        self._works = deque(works)
        self._left = Counter(work.job_id for work in self._works)

    async def _work_of(self, lease: Lease, job: Job) -> list[Work]:
        """The calls one job may make now; moves it on if there is none left to make."""
        if await self._leads_elsewhere(job):
            return []
        if job.stopping:
            left_out = await off(self.tools.ends.leave_out, lease, job, why_left_out(job))
            if left_out:
                self._look_again(job.id)
                return []
        if job.state is JobState.PLANNING and not job.listed and not job.stopping:
            return await self._listing(lease, job)
        at_rest = not self._under_way[job.id]
        if at_rest and await chunks.advance(self.tools, lease, job):
            self._look_again(job.id)
            return []
        items = () if reads_pages(job) else await self._due(lease, job)
        return await self._calls(job, items) if items else await self._rest(lease, job)

    async def _calls(self, job: Job, items: Sequence[Item]) -> list[Work]:
        """The calls that items need which are due."""
        rechecks = [item.id for item in items if item.progress.step is Step.RECHECK]
        if rechecks:
            self.known |= await off(self.tools.work.children, rechecks)
        cascades = {job.id: job.options.cascade}
        facts = self.tools.facts
        chosen = choose(items, facts.catalogue, cascades, bulk_size=facts.bulk_size)
        return [with_options(work, job) for work in chosen]

    async def _rest(self, lease: Lease, job: Job) -> list[Work]:
        """Nothing else is due: prove what went by chunks, then move the job on."""
        if self._under_way[job.id]:
            return []
        proof = await chunks.prove(self.tools, lease, job)
        if isinstance(proof, Work):
            return [proof]
        if proof:
            self._look_again(job.id)
        elif not reads_pages(job):
            await self._move_on(lease, job)
        return []

    async def _leads_elsewhere(self, job: Job) -> bool:
        """Whether the account leads to another place than the job's plan; pauses such a job."""
        place = self.tools.facts.place
        if job.place == place or job.stopping:
            return False
        await off(self.tools.pause, job.id, elsewhere(job, place))
        return True

    async def _due(self, lease: Lease, job: Job) -> Sequence[Item]:
        """Items due now, less what a protection spares meanwhile; old checks are made again."""
        facts = self.tools.facts
        at_once = max(AT_ONCE, 2 * facts.bulk_size * facts.in_flight)
        few = min(AT_ONCE, WAVES * facts.in_flight, self._room)
        limit = min(at_once, MOST) if job.bulk.may_go else few
        items = await off(self.tools.work.load, lease, job, limit + 1)
        if len(items) > limit:
            self._cut.add(job.id)
            items = items[:limit]
        if job.state is JobState.PLANNING:
            return items
        items = await self._unprotected(lease, job, items)
        loaded, items = len(items), await spare_held(self.tools, lease, job, items)
        if len(items) < loaded:
            self._look_again(job.id)
        return [_fresh(item, lease) for item in items] if job.options.recheck else items

    async def _unprotected(self, lease: Lease, job: Job, items: Sequence[Item]) -> list[Item]:
        """Spare what came under a protection since the plan was made."""
        spared = await why_spared(self.tools, job, items)
        if spared:
            gone = [item for item in items if item.id in spared]
            await off(self.tools.ends.spare, lease, job, gone, spared)
            self._look_again(job.id)
        return [item for item in items if item.id not in spared]

    async def _listing(self, lease: Lease, job: Job) -> list[Work]:
        waits = job.list_due_at is not None and job.list_due_at > lease.now
        if waits or self._under_way[job.id]:
            return []
        protected = sorted(self.tools.facts.protection.ids)
        if protected and not job.list_pages:
            await off(self.tools.plans.skip_protected, lease, job, protected)
        if job.list_pages and await planning.after_page(self.tools, lease, job, self._count_at):
            self._look_again(job.id)
            return []
        return [planning.next_page(job, self.tools.facts.filters)]

    async def _move_on(self, lease: Lease, job: Job) -> None:
        if job.state is JobState.PLANNING and not job.stopping:
            if not await off(self.tools.plans.is_read, job.id):
                return
            job = await planning.finish(self.tools, lease, job)
            self._look_again(job.id)
            if job.state is not JobState.PLANNING or job.stopping:
                return
        if await off(self.tools.ends.close, lease, job) is not None:
            self._look_again(job.id)


def _fresh(item: Item, lease: Lease) -> Item:
    """A project whose last check is too old is checked again first."""
    if item.seen.target.kind != PROJECT:
        return item
    return replace(item, progress=checked_again(item.progress, item.read_at, lease.now))


def why_left_out(job: Job) -> str:
    """Why items of a job end that were never attempted."""
    if job.dry_run and not job.stop_reason:
        return "dry run: nothing is deleted"
    return job.stop_reason or f"the job was {job.stopping}"
