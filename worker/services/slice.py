"""The work of one lease holder in one go: due items in, calls out, outcomes committed.

One loop over steps. Each turn hands permits back and takes new ones in one round trip, then
commits what came back together with the intents of the calls about to leave, then starts these.
A slice never sleeps for a permit: it ends, and says when the account is due again.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from worker.domain.bulk import Stage
from worker.domain.calls import Answer
from worker.domain.limits import Grant, Permit, WaitReason
from worker.domain.outcomes import Verdict
from worker.domain.states import Waiting
from worker.ports import Batch, Committed, Done, Item, Job, Lease, WaitingOn
from worker.ratelimit.port import GateClosed
from worker.services import chunks
from worker.services.choose import Work
from worker.services.flights import Flight, Flights, was_sent
from worker.services.permits import Permits, waiting_for
from worker.services.proof import proof_of, reads_pages, waits_for_proof
from worker.services.queue import Queue
from worker.services.refresh import refreshed
from worker.services.results import Rules, ids_shown, is_listing, page_of, result_of
from worker.services.span import Span
from worker.services.tools import Tools, off

RENEW = 5.0
"""Seconds after which a lease is renewed even if no call came back."""
SHARE = 1 / 4
"""Of the time that a call took: so long others of its wave are waited for."""
GATE_RETRY = timedelta(seconds=2)
"""How long to wait when the books of the limits cannot be asked."""
UNANSWERED = frozenset({Verdict.NOT_SENT, Verdict.UNAVAILABLE, Verdict.AMBIGUOUS})
OUTAGE_AFTER = 10
"""Calls in a row without an answer, after which the provider counts as down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a slice starts nothing any more, and when it makes sense to come again."""

    wake_after: timedelta | None = None
    waiting: WaitingOn | None = None
    parked: Answer | None = None


@dataclass(slots=True)
class Slice:
    """One lease's work; `run` is called once."""

    tools: Tools
    lease: Lease
    stopping: asyncio.Event  # the process is about to end: start nothing new
    renewed: float  # when the lease was last asked for, by this process' own clock
    calm: bool = True  # False: the provider was down a moment ago, so one call goes first
    heard: bool = False  # whether the provider answered one of this slice's calls
    jobs: dict[str, Job] = field(default_factory=dict)
    permits: Permits = field(init=False)
    flights: Flights = field(init=False)
    _rules: Rules = field(init=False)
    _end: Ending | None = None
    _took: float = 0.0  # seconds of the last commit
    _failures: int = 0  # calls in a row without an answer
    _is_short: bool = False  # fewer permits were granted than there were places
    _empty: Grant | None = None  # what the gate said last, if it would have given nothing
    _done: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.permits, self.flights = Permits(self.tools), Flights(self.tools)
        facts = self.tools.facts
        self._rules = Rules(
            catalogue=facts.catalogue,
            protection=facts.protection,
            policy=self.tools.policy,
            filters=facts.filters,
        )

    async def run(self) -> Ending:
        """Work until nothing is due, permits run out or the time is over."""
        queue = Queue(self.tools)
        time = Span(self.tools, self.lease.account)
        self.permits.share_by(self.jobs.values())
        while True:
            goes_on = await self._goes_on(time)
            room = time.room(self.flights.started)
            if goes_on:
                await queue.fill(self.lease, list(self.jobs.values()), room)
            else:
                queue.clear()
            chosen = await self._take(queue, room)
            if self._done or chosen or self.flights:
                chosen = await self._commit(chosen, queue)
            self._start(chosen, queue)
            if self.flights:
                await self._collect(hurries=goes_on)
            elif (
                queue.is_dry
                or not self._may_start()
                or not await time.is_left(self.flights.started)
            ):
                return self._end or self._over(queue)
            else:
                await self._commit((), queue)  # a job was moved on: look at all of them again

    async def _goes_on(self, time: Span) -> bool:
        return self._may_start() and await time.is_left(self.flights.started)

    def _may_start(self) -> bool:
        return self._end is None and not self.stopping.is_set()

    async def _take(self, queue: Queue, room: int) -> list[tuple[Work, Permit]]:
        """Pair due work with permits; what was not granted stays in the queue."""
        places = (self.tools.facts.in_flight if self.calm else 1) - len(self.flights)
        want = min(max(places, 0), len(queue), room) if self._may_start() else 0
        try:
            grant = await self.permits.take(want, self.lease.now)
        except GateClosed as closed:
            self._end = self._end or closed_gate(closed)
            return []
        self._empty = grant if grant.reason is not None else None
        self._is_short = len(grant.permits) < want and grant.reason is not None
        if self._is_short:
            self._stop_for(grant)
        return [(queue.pop(), permit) for permit in grant.permits]

    def _stop_for(self, grant: Grant) -> None:
        if grant.reason is WaitReason.IN_FLIGHT and (self.flights or grant.permits):
            return  # places come back as our own calls do
        self._end = self._until(grant)

    def _until(self, grant: Grant) -> Ending:
        """To come again when there are permits."""
        waiting = waiting_for(grant, self.lease.now, self.permits.purses)
        return Ending(wake_after=grant.wait, waiting=waiting)

    def _over(self, queue: Queue) -> Ending:
        """Nothing is due, or the time is over: calls left over need permits to come again for."""
        return self._until(self._empty) if self._empty and queue.is_left else Ending()

    async def _commit(
        self, chosen: Sequence[tuple[Work, Permit]], queue: Queue
    ) -> list[tuple[Work, Permit]]:
        """One transaction: what came back, and the intents of the calls about to leave.

        Returns those that may leave: a job that was paused or stopped meanwhile opens none.
        """
        works = [work for work, _ in chosen]
        batch = Batch(
            done=tuple(self._done),
            opens=[item for work in works for item in work.items],
            listing=[work.job_id for work in works if is_listing(work)],
        )
        asked = self.tools.clock()
        try:
            committed = await off(self.tools.work.commit, self.lease, batch, self.tools.lease)
        except BaseException:
            for _, permit in chosen:
                self.permits.give_back(permit, used=False)
            raise
        self._done.clear()
        self._took, self.renewed = self.tools.clock() - asked, asked
        before = self.jobs
        self.lease, self.jobs = committed.lease, {job.id: job for job in committed.jobs}
        self.permits.share_by(committed.jobs)
        queue.landed(batch.done)
        queue.drop({job.id for job in before.values() if _has_moved(job, self.jobs)})
        if self.jobs.keys() - before.keys():
            queue.share()  # what was loaded for the others waits in turn with the new one
        opened = [pair for pair in chosen if _is_open(pair[0], committed)]
        for work, permit in chosen:
            if not _is_open(work, committed):
                queue.forget(work)
                self.permits.give_back(permit, used=False)
        return opened

    def _start(self, chosen: Iterable[tuple[Work, Permit]], queue: Queue) -> None:
        for work, permit in chosen:
            job = self.jobs[work.job_id]
            self.flights.start(work, permit, job, known=queue.known, renewed=self.renewed)

    async def _collect(self, *, hurries: bool) -> None:
        """Wait for the first call to come back, and take in all that have."""
        # Where permits or time are short, and not places, one commit for all that are out will do.
        hurries = hurries and self._may_start() and not self._is_short
        patience, share = (self._took, SHARE) if hurries else (RENEW, 1.0)
        for flight in await self.flights.landed(within=RENEW, patience=patience, share=share):
            answer = flight.task.result()
            done = await self._result(flight, answer)
            self.flights.forget(flight)  # only now: whatever breaks before leaves it to `land`
            self.permits.give_back(flight.permit, used=was_sent(answer), quota=answer.quota)
            self._done.append(done)
            self._judge(answer)
            if is_redirect(answer):
                why = f"the provider redirects (HTTP {answer.http_status}): check base_url"
                await off(self.tools.pause, flight.job.id, why)
            if chunks.is_refused_as_such(flight.work, answer):
                await chunks.refuse(self.tools, self.lease, flight.job, answer)
            try:
                await self.permits.obey(answer, self.lease.now)
            except GateClosed as closed:
                self._end = self._end or closed_gate(closed)

    async def _result(self, flight: Flight, answer: Answer) -> Done:
        rules, jitter = self._rules, self.tools.jitter()
        job = self.jobs.get(flight.job.id, flight.job)
        if is_listing(flight.work):
            items = await off(self.tools.work.match, job.id, ids_shown(answer))
            matched = {item.seen.target.external_id: item for item in items}
            if reads_pages(job):
                return await self._again(flight.work, answer, job, matched, rules)
            return page_of(
                flight.work, answer, job=job, matched=matched, rules=rules, jitter=jitter
            )
        return result_of(
            flight.work, answer, job=job, rules=rules, known=flight.known, jitter=jitter
        )

    async def _again(
        self, work: Work, answer: Answer, job: Job, matched: Mapping[str, Item], rules: Rules
    ) -> Done:
        """A page of the listing that is read while the job runs."""
        if job.bulk.stage is Stage.REFRESH:
            return refreshed(work, answer, job=job, matched=matched, rules=rules)
        unproven = waits_for_proof(matched)
        if job.bulk.reading is not None and job.bulk.reading.goes_down:
            unproven = list(await off(self.tools.chunks.unproven, job.id))
        return proof_of(work, answer, job=job, unproven=unproven, rules=rules)

    def _judge(self, answer: Answer) -> None:
        """Notice what concerns the whole account: its credentials, an outage."""
        if answer.verdict is Verdict.UNAUTHORISED:
            self._end = Ending(parked=answer)
        if answer.verdict is Verdict.TOKENLESS:
            # Without a wait another token can be had: the item goes again with its own permit.
            if answer.retry_after is not None:
                waiting = WaitingOn(code=Waiting.RATE_LIMIT, sentence=answer.message)
                self._end = self._end or Ending(wake_after=answer.retry_after, waiting=waiting)
            return
        if answer.verdict not in UNANSWERED:
            self._failures, self.calm, self.heard = 0, True, True
            return
        self._failures += 1
        if self._failures >= (OUTAGE_AFTER if self.calm else 1):
            self.calm = False
            said = answer.message or answer.error_class or f"HTTP {answer.http_status}"
            sentence = f"the provider does not answer ({said})"
            waiting = WaitingOn(code=Waiting.PROVIDER_OUTAGE, sentence=sentence)
            self._end = self._end or Ending(waiting=waiting)

    async def land(self) -> list[Done]:
        """After the slice broke off: wait for the calls in flight; all answers are late now."""
        late, self._done = self._done, []
        for flight, answer in await self.flights.last():
            self.permits.give_back(flight.permit, used=was_sent(answer), quota=answer.quota)
            late.append(Done(job_id=flight.work.job_id, call=flight.work.call, answer=answer))
        with contextlib.suppress(Exception):  # permits that are not handed back expire
            await self.permits.take(0, self.lease.now)
        return late


def closed_gate(closed: GateClosed) -> Ending:
    """Nothing leaves without a permit."""
    waiting = WaitingOn(code=Waiting.GATE, sentence=f"no call without a permit: {closed}")
    return Ending(wake_after=GATE_RETRY, waiting=waiting)


def is_redirect(answer: Answer) -> bool:
    """Whether the provider sent us elsewhere: we do not go, and ask a person."""
    return answer.http_status is not None and 300 <= answer.http_status < 400  # noqa: PLR2004  3xx


def _is_open(work: Work, committed: Committed) -> bool:
    if is_listing(work):
        return work.job_id in committed.listing
    return all(item.id in committed.opened for item in work.items)


def _has_moved(job: Job, jobs: Mapping[str, Job]) -> bool:
    """Whether what was loaded for the job must not leave any more."""
    there = jobs.get(job.id)
    return there is None or (there.state, there.stopping) != (job.state, job.stopping)
