"""A desk of its own for each test, and a worker's part played by hand through the store."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from worker.bootstrap import Desk
from worker.cli import cli
from worker.cli.desk import SilentBell
from worker.domain.calls import Action, Answer, Call
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.plan import Finding, PlanHash, word_of
from worker.domain.states import JobState, Waiting
from worker.domain.steps import Settle
from worker.ports import Batch, Change, Done, Job, Lease, PlanFacts, WaitingOn
from worker.store.chunks import Chunks
from worker.store.endings import Endings
from worker.store.plans import Plans
from worker.store.presence import seen
from worker.store.work import SqlWorkStore

CONFIG = """\
[accounts.acme]
provider = "zoho_books"
base_url = "http://127.0.0.1:1/books/v4"
organization_id = "10234695"
token = "env:BULKDEL_TEST_TOKEN"
auto_confirm_max = 3
"""
LENGTH = timedelta(seconds=30)
ONE = ("--account", "acme", "--cascade", "none", "--reason", "closed")


@dataclass
class Played:
    """The worker's side: plans, settles and ends jobs as a test wants it."""

    desk: Desk
    findings: tuple[Finding, ...] = ()
    ends: dict[str, Outcome] = field(default_factory=dict)
    turns_back: bool = False  # the first job that runs is planned anew: no bulk delete after all

    def is_alive(self) -> None:
        seen(self.desk.db, "worker@test:1", "worker", "0")

    def plan(self, job_id: str) -> Job:
        job = self.desk.jobs.get(job_id)
        with _held(self, job) as lease:
            items = self.desk.jobs.counts(job_id).open
            digest = PlanHash(job_id).digest
            plan = PlanFacts(
                hash=digest,
                word=word_of(items, job.account, digest),
                items=items,
                by_kind={"project": items},
                calls=items,
                calls_by_endpoint={"project.delete": items},
                calls_spent=1,
                quota_share=items / 1000,
                estimated_seconds=items * 0.6,
                findings=self.findings,
                duplicates=job.plan.duplicates,
                complete=True,
            )
            plans = Plans(self.desk.db, LENGTH)
            if job.dry_run:
                job = plans.keep(lease, job, plan)
            else:
                waiting = WaitingOn(code=Waiting.CONFIRMATION, sentence="waits for its word")
                return plans.freeze(lease, job, plan, waiting=waiting, canary_position=None)
        return self.close(job_id)

    def settle(self, job_id: str) -> None:
        """Settle every item by one call, as `ends` has it; the rest is deleted."""
        job = self.desk.jobs.get(job_id)
        with _held(self, job) as lease:
            done = []
            for item in list(self.desk.jobs.items(job_id)):
                end = self.ends.get(item.seen.target.external_id, Outcome.DELETED)
                reason = "" if end is Outcome.DELETED else "locked by an open invoice"
                call = Call(action=Action.DELETE, targets=(item.seen.target,))
                answer = Answer(verdict=Verdict.DELETED, http_status=200)
                settle = Settle(outcome=end, reason=reason)
                change = Change(item=item, decision=settle)
                done.append(Done(job_id=job_id, call=call, answer=answer, changes=(change,)))
            self._work().commit(lease, Batch(done=done), LENGTH)

    def close(self, job_id: str) -> Job:
        job = self.desk.jobs.get(job_id)
        endings = Endings(self.desk.db, LENGTH)
        with _held(self, job) as lease:
            while job.stopping and endings.leave_out(lease, job, "left out"):
                pass
            return endings.close(lease, self.desk.jobs.get(job_id)) or job

    def finish(self, job_id: str) -> Job:
        if self.turns_back:
            return self.turn_back(job_id)
        self.settle(job_id)
        return self.close(job_id)

    def turn_back(self, job_id: str) -> Job:
        self.turns_back = False
        job = self.desk.jobs.get(job_id)
        with _held(self, job) as lease:
            started = self.desk.jobs.get(job_id)
            Chunks(self.desk.db, LENGTH).turn_back(lease, started, "there is no bulk delete")
        return self.desk.jobs.get(job_id)

    def wait_on(self, job_id: str, code: Waiting, sentence: str) -> None:
        job = self.desk.jobs.get(job_id)
        with _held(self, job) as lease:
            waiting = {job_id: WaitingOn(code=code, sentence=sentence)}
            self._work().give_lease(lease, None, waiting)

    def serve(self, stop: Event) -> None:
        """Plan and finish whatever comes, until told to stop."""
        for _ in range(2_000):
            for job in self.desk.jobs.recent():
                if job.state is JobState.PLANNING:
                    self.plan(job.id)
                elif job.state in {JobState.SCHEDULED, JobState.RUNNING}:
                    self.finish(job.id)
            if stop.wait(0.02):
                return

    def _work(self) -> SqlWorkStore:
        catalogue = self.desk.catalogue("acme")
        names = [kind.name for kind in (*catalogue.children, catalogue.project)]
        return SqlWorkStore(self.desk.db, {name: catalogue.rank(name) for name in names})


class _held:  # noqa: N801  reads as what it is: with _held(…) as lease
    def __init__(self, played: Played, job: Job) -> None:
        self._work = played._work()
        self._account = job.account

    def __enter__(self) -> Lease:
        taken = self._work.take_lease(self._account, "worker@test:1", LENGTH)
        assert taken is not None
        self._lease = taken.lease
        return taken.lease

    def __exit__(self, *_: object) -> None:
        self._work.give_lease(self._lease, None)


@pytest.fixture
def environ(sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "bulkdel.toml"
    config.write_text(CONFIG)
    return {
        "BULKDEL_DATABASE_URL": sqlite_url,
        "BULKDEL_CONFIG": str(config),
        "BULKDEL_ACTOR": "ada",
        "BULKDEL_DATA_DIR": str(tmp_path),
    }


@pytest.fixture
def desk(environ: dict[str, str]) -> Iterator[Desk]:
    opened = Desk.open(environ, SilentBell())
    yield opened
    opened.db.dispose()


@pytest.fixture
def played(desk: Desk) -> Played:
    """A worker that is not there until it is played."""
    return Played(desk)


@pytest.fixture
def worker(played: Played) -> Iterator[Played]:
    """A worker that is alive and does what comes."""
    played.is_alive()
    stop = Event()
    thread = Thread(target=played.serve, args=(stop,))
    thread.start()
    yield played
    stop.set()
    thread.join(10)


Bulkdel = Callable[..., Result]


@pytest.fixture
def bulkdel(environ: dict[str, str]) -> Bulkdel:
    """Run a command: `bulkdel("jobs", "--json")`."""

    def run(*args: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, args, input=stdin, env=environ, obj=SilentBell())

    return run


@pytest.fixture
def submitted(bulkdel: Bulkdel) -> Callable[..., str]:
    """Keep a job of some ids and return its id; nobody plans it."""

    def submit(*ids: str, more: tuple[str, ...] = ()) -> str:
        given = ("--ids", ",".join(ids or ("101", "102")))
        result = bulkdel("submit", *ONE, *given, *more, "--no-wait-plan", "--json")
        assert result.exit_code == 0, result.output
        return str(one(result)["id"])

    return submit


def one(result: Result) -> dict[str, Any]:
    """The one JSON object on stdout."""
    lines = result.stdout.splitlines()
    assert len(lines) == 1, result.output
    value: dict[str, Any] = json.loads(lines[0])
    return value
