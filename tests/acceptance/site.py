"""One account of a running deployment, and an organisation of its own in the sandbox."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import create_engine, text

from tests.acceptance.commands import LONGEST, Ran, Reply
from tests.acceptance.judge import Evidence, compare
from tests.acceptance.stack import Stack
from tests.acceptance.waiting import eventually
from worker.store.audit_log import Filter, query
from worker.store.engine import Database
from worker.store.verify import verify

CHILDREN = {"tasks": 3, "users": 2, "documents": 2, "comments": 3}
ITEMS = """
SELECT id AS item_id, kind, external_id, parent_external_id, state, outcome
FROM items WHERE job_id = :job
"""
FINAL = {"succeeded", "partially_succeeded", "failed", "cancelled", "rejected", "expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a test works with; nothing of it is shared with another test."""

    stack: Stack
    account: str
    organization: str
    since: int  # the ledger before it is of others
    lines: tuple[str, ...] = ()  # of bulkdel.toml, beside those every account has

    def configure(self, *lines: str) -> "Site":
        """Write the account anew, with these lines of bulkdel.toml."""
        self.stack.add_account(self.account, self.organization, *self.lines, *lines)
        return self

    def seed(self, projects: int, **amounts: object) -> list[str]:
        """Make projects; what is returned is their ids."""
        return self.stack.control.seed(self.organization, projects=projects, **amounts)

    def faults(self, *rules: dict[str, Any]) -> None:
        """Let calls of this account go wrong."""
        ours = {"organization_id": self.organization}
        told = [{**rule, "match": {**rule.get("match", {}), **ours}} for rule in rules]
        self.stack.control.faults(told, seed=7)

    def ledger(self) -> list[Reply]:
        """Every request of this account, in the order of what they did."""
        rows = self.stack.control.ledger(self.since)
        return [row for row in rows if row["organization_id"] == self.organization]

    def deletions(self) -> list[Reply]:
        """The calls that delete."""
        return [dict(row) for row in self.ledger() if row["method"] == "DELETE"]

    def submit(self, ids: Iterable[str], *options: str, code: int = 0) -> Ran:
        """Hand in a job by a file, one id a line."""
        path = self.stack.home / f"{self.account}.txt"
        path.write_text("".join(f"{one}\n" for one in ids), encoding="utf-8")
        given = ("--account", self.account, "--ids-file", str(path), "--reason", "test")
        return self._submit(*given, *options).ended(code)

    def select(self, *filters: str, options: Sequence[str] = ()) -> Ran:
        """Hand in a job by filters."""
        chosen = [word for given in filters for word in ("--filter", given)]
        return self._submit("--account", self.account, "--reason", "test", *chosen, *options)

    def _submit(self, *words: str) -> Ran:
        timeout = 3600 if any(word.startswith("--wait=") for word in words) else LONGEST
        return self.stack.run("submit", *words, "--json", timeout=timeout)

    def planned(self, ids: Iterable[str], *options: str) -> Reply:
        """A job whose plan waits for its word."""
        job = self.submit(ids, *(options or ("--cascade", "all"))).json
        assert job["state"] == "awaiting_confirmation", job
        return job

    def confirm(self, job: Reply, *, wait: str = "", code: int = 0) -> Ran:
        """Give a plan its word; with `wait` the end of the job is waited for."""
        options = [f"--wait={wait}"] if wait else []
        given = ("confirm", job["id"], "--word", job["plan"]["word"], *options, "--json")
        return self.stack.run(*given, timeout=3600 if wait else 60).ended(code)

    def show(self, job: Reply) -> Reply:
        """The job as it stands."""
        return self.stack.run("show", job["id"], "--json").ended(0).json

    def items(self, job: Reply) -> list[Reply]:
        """The job's items."""
        return self.stack.run("plan", job["id"], "--items", "--json").ended(0).lines

    def audit(self, job: Reply) -> list[Reply]:
        """The job's audit entries, in their order."""
        return self.stack.run("audit", "--job", job["id"], "--format", "jsonl").ended(0).lines

    def sql(self, statement: str, **values: object) -> Sequence[Any]:
        """Rows straight from the database."""
        engine = create_engine(self.stack.database_url)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(statement), values))
        finally:
            engine.dispose()

    def change(self, statement: str, job: Reply) -> None:
        """Change what the database has of a job, as time or an accident would."""
        engine = create_engine(self.stack.database_url)
        try:
            with engine.begin() as connection:
                connection.execute(text(statement), {"job": job["id"]})
        finally:
            engine.dispose()

    def state(self, job: Reply) -> str:
        """The state of a job, straight from the database."""
        ((state,),) = self.sql("SELECT state FROM jobs WHERE id = :job", job=job["id"])
        return str(state)

    def ended(self, job: Reply, *, within: float) -> Reply:
        """The job once it has ended."""
        what = f"the end of {job['id']}"
        eventually(lambda: self.state(job) in FINAL, within=within, what=what)
        return self.show(job)

    def has_plan(self, job: Reply, *, within: float) -> Reply:
        """The job once its plan is made."""
        what = f"the plan of {job['id']}"
        eventually(lambda: self.state(job) != "planning", within=within, what=what)
        return self.show(job)

    def turned_back(self, job: Reply, *, within: float) -> Reply:
        """The job once its plan was made anew, and waits for another word."""
        moves = "SELECT count(*) FROM audit_entries WHERE job_id = :job AND event = 'plan.frozen'"
        what = f"another plan of {job['id']}"
        eventually(lambda: self.sql(moves, job=job["id"])[0][0] > 1, within=within, what=what)
        return self.has_plan(job, within=within)

    def judge(self, *jobs: Reply) -> None:
        """Fail unless ledger, items, audit, counts and chains of these jobs all agree."""
        items = [row._asdict() for job in jobs for row in self.sql(ITEMS, job=job["id"])]
        database = Database(self.stack.database_url)
        try:
            audit = [e.exported() for job in jobs for e in query(database, Filter(job=job["id"]))]
            problems = [one for job in jobs for one in verify(database, job["id"]).problems]
        finally:
            database.dispose()
        assert problems == [], problems
        self._agree(items, audit)

    def judge_as_told(self, job: Reply) -> None:
        """The same by what the commands say, and by what they say of each other."""
        self._agree(self.items(job), self.audit(job))
        self._counts_agree(job)
        self.stack.run("audit", "verify", job["id"]).ended(0)

    def _agree(self, items: Sequence[Reply], audit: Sequence[Reply]) -> None:
        living = self.stack.control.state(self.organization)
        seen = Evidence(ledger=self.ledger(), living=living, items=items, audit=audit)
        found = compare(seen)
        assert found == [], found

    def _counts_agree(self, job: Reply) -> None:
        counts = self.show(job)["counts"]
        report = self.stack.run("report", job["id"], "--json").ended(0).json
        asked = "SELECT outcome, count(*) FROM items WHERE job_id = :job GROUP BY outcome"
        stored = {row[0]: row[1] for row in self.sql(asked, job=job["id"])}
        buckets = ("succeeded", "skipped", "failed", "unprocessed", "unknown", "open")
        assert sum(counts[bucket] for bucket in buckets) == counts["total"]
        assert counts["by_outcome"] == stored, (counts, stored)
        assert report["counts"] == counts, (report["counts"], counts)
