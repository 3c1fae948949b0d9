"""OPERATE, point 8: what docs/operations.md tells to do is done, and does what it says."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.acceptance import commands
from tests.acceptance.commands import REPOSITORY, Reply
from tests.acceptance.runbook import Step, steps_of
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, Stack, a_stack
from tests.acceptance.waiting import eventually
from tests.acceptance.warm import Warm
from worker.processes import spawn
from worker.server_program import candidates, choose_program
from worker.store import migrate
from worker.store.engine import SCHEMA

pytestmark = [pytest.mark.number("operate-8"), pytest.mark.xdist_group("runbook")]

PAGE = REPOSITORY / "docs" / "operations.md"
STEPS = steps_of(PAGE)
ORGANIZATION = "10234695"
BEFORE = f"{int(SCHEMA) - 1:04}"
POLICY = """
[policies.stale-projects]
account = "acme"
schedule = "0 3 * * *"
timezone = "Europe/Berlin"
select = { status = "inactive", last_modified_before = "365d" }
cascade = ["comments", "documents", "tasks", "users"]
guard = { max_items = 500, max_percent = 10, max_times_median = 5 }
confirm = "auto"
"""
SHELL = set("|><;&$`(")
"""Characters of a command that needs a shell."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, warm: Warm | None) -> Iterator[Stack]:
    with a_stack(Kind.POSTGRES, tmp_path_factory.mktemp("runbook"), warm=warm) as stack:
        stack.env["BULKDEL_ACTOR"] = "ada"
        with a_redis_as_it_should_be(stack.home) as url:
            stack.env["BULKDEL_REDIS_URL"] = url
            yield stack
            stack.stop_workers()


@contextmanager
def a_redis_as_it_should_be(home: Path) -> Iterator[str]:
    """One that keeps what it has, so that `doctor` finds all well."""
    command = [str(choose_program(candidates())), "--port", "0", "--save", "", "--dir", str(home)]
    socket = home / "redis.sock"
    command += ["--appendonly", "yes", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    child = spawn(command, log=home / "redis.log")
    try:
        eventually(socket.exists, within=30, what="the Redis of the page")
        yield f"unix://{socket}"
    finally:
        child.kill()


@pytest.fixture
def site(deployment: Stack) -> Iterator[Site]:
    """The account `acme` of the page, empty, with workers that are alive."""
    deployment.control.organization(ORGANIZATION)
    since = len(deployment.control.ledger())
    here = Site(stack=deployment, account="acme", organization=ORGANIZATION, since=since)
    if not deployment.processes:
        deployment.start_workers(1)
    here.configure()
    _emptied(here)
    yield here
    deployment.control.clear_faults()
    deployment.control.latency(0)


def _emptied(site: Site) -> None:
    """Neither jobs nor projects that another scene left."""
    live = "SELECT id FROM jobs WHERE finished_at IS NULL AND id <> :job"
    for (job,) in site.sql(live, job=""):
        site.stack.run("cancel", job)
    eventually(lambda: not site.sql(live, job=""), within=90, what="the end of earlier jobs")
    for project in site.stack.control.state(ORGANIZATION):
        site.stack.control.remove(ORGANIZATION, project)


def test_every_command_of_the_page_is_run() -> None:
    assert set(STEPS) == set(SCENES)


def follow(stack: Stack, title: str, **words: str) -> None:
    """Run the commands under a heading, each as it stands there."""
    for step in STEPS[title]:
        check(stack, step.filled({"closed in 2024": "test", **words}))


def check(stack: Stack, step: Step) -> None:
    code, printed = run(stack, step.command)
    told = f"$ {step.command}\n{printed}\n--- exit {code}; it is said to print:\n"
    assert code == step.code, told
    assert step.fits(printed), told + "\n".join(step.lines)


def run(stack: Stack, command: str) -> tuple[int, str]:
    if command.startswith("bulkdel ") and not SHELL & set(command):
        done = stack.run(*shlex.split(command)[1:])
        return done.code, done.stdout + done.stderr
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=stack.home,
        env={**stack.env, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return ran.returncode, ran.stdout + ran.stderr


def running(site: Site, *, projects: int = 12, **amounts: object) -> Reply:
    """A job that is confirmed and has begun to delete, slowly."""
    site.configure('limits = { windows = [[1000000, "60s"]], per_day = 1000000, in_flight = 2 }')
    job = site.planned(site.seed(projects, **amounts))
    site.stack.control.latency(0.5)
    site.confirm(job)
    ended = "SELECT id FROM items WHERE job_id = :job AND outcome = 'deleted'"
    eventually(lambda: site.sql(ended, job=job["id"]), within=60, what="the first deletion")
    return job


def last_item(site: Site, job: Reply) -> str:
    ((number,),) = site.sql("SELECT max(id) FROM items WHERE job_id = :job", job=job["id"])
    return str(number)


def failed(site: Site) -> tuple[Reply, list[str]]:
    """A job of three projects, of which the first is refused."""
    ids = site.seed(3)
    site.stack.control.refused(ORGANIZATION, ids[:1])
    job = site.submit(ids, "--cascade", "all", "--yes", "--wait=2m", code=3).json
    site.stack.control.refused(ORGANIZATION, ())
    return job, ids


def stuck(site: Site) -> None:
    """No worker is alive any more."""
    job = running(site)
    site.stack.kill_workers()
    site.stack.control.latency(0)
    for long_ago in ("workers SET seen_at = seen_at", "accounts SET lease_until = lease_until"):
        site.change(f"UPDATE {long_ago} - interval '1 hour' WHERE :job <> ''", job)
    words = {"j-7f3k2m9a": job["id"], "10342": last_item(site, job)}

    follow(site.stack, "Is it stuck?", **words)


def throttled(site: Site) -> None:
    """The window is full, by this job alone."""
    site.configure('limits = { windows = [[40, "45s"]], per_day = 1000, in_flight = 5 }')
    eventually(lambda: not used(site), within=100, what="an empty window")
    job = site.planned(site.seed(40), "--cascade", "none")
    site.confirm(job)
    full = "waiting_code = 'rate_limit' AND waiting_wake > now() + interval '20 seconds'"
    asked = f"SELECT id FROM jobs WHERE id = :job AND {full}"  # noqa: S608  our own words
    eventually(lambda: site.sql(asked, job=job["id"]), within=60, what="a full window")

    follow(site.stack, "Throttled?", **{"j-7f3k2m9a": job["id"]})


def used(site: Site) -> int:
    """Calls in the window of the account, and those out."""
    (account,) = site.stack.run("accounts", "--json").ended(0).lines
    counts = account["purses"][0]["used"]
    return int(sum(counts["windows"]) + counts["in_flight"])


def stopped(site: Site) -> None:
    """A job that runs, and is stopped, taken up again and stopped for good."""
    job = running(site, projects=40)

    follow(site.stack, "Pause, resume, cancel", **{"j-7f3k2m9a": job["id"]})


def held(site: Site) -> None:
    """A plan that waits for its word."""
    ids = site.seed(3)
    job = site.planned(ids)

    words = {"j-7f3k2m9a": job["id"], "4600000000440001": ids[0]}
    follow(site.stack, "Guards", **words, **{"delete 3 acme 9f3a": job["plan"]["word"]})


def approved(site: Site) -> None:
    """The plan of an account that wants a second person."""
    site.configure("approval_over = 2")
    job = site.planned(site.seed(3))

    words = {"j-7f3k2m9a": job["id"], "delete 3 acme 9f3a": job["plan"]["word"]}
    follow(site.stack, "A second person", **words)


def scheduled(site: Site) -> None:
    """A policy, and a run of it that its guard turned down."""
    site.configure(POLICY)
    site.seed(6, tasks=1, status=["inactive"])
    site.seed(30)
    before, after = STEPS["Scheduled cleanups"][:2], STEPS["Scheduled cleanups"][2:]
    for step in before:
        check(site.stack, step)
    job = site.stack.run("policy", "run", "stale-projects", "--json").ended(0).json

    for step in after:
        words = {"j-7f3k2m9a": job["id"], "delete 12 acme 9f3a": job["plan"]["word"]}
        check(site.stack, step.filled(words))


def questioned(site: Site) -> None:
    """A project that was deleted, by a job that is over."""
    job, ids = failed(site)

    words = {"j-7f3k2m9a": job["id"], "4600000000440001": ids[1]}
    follow(site.stack, "Who deleted X, and when?", **words)


def retried(site: Site) -> None:
    """A job with a project that was refused, for a reason that is gone."""
    job, ids = failed(site)

    words = {"j-7f3k2m9a": job["id"], "4600000000440001": ids[0]}
    follow(site.stack, "Retry what failed", **words)


def upgraded(site: Site) -> None:
    """The database of the release before."""
    migrate.downgrade(site.stack.database_url, BEFORE)

    follow(site.stack, "Upgrading", **{"0005": BEFORE, "0006": SCHEMA})


def saved(site: Site) -> None:
    """A PostgreSQL with a job in it; and a SQLite, as a laptop has it."""
    if not all(map(shutil.which, ("pg_dump", "pg_restore", "createdb", "sqlite3"))):
        pytest.skip("the tools of PostgreSQL and SQLite are not installed")
    failed(site)
    server, _, name = site.stack.env["BULKDEL_DATABASE_URL"].rpartition("/")
    laptop = {**site.stack.env, "BULKDEL_DATABASE_URL": "", "BULKDEL_DATA_DIR": ".bulkdel"}
    commands.run(("db", "upgrade"), env=laptop, cwd=site.stack.home).ended(0)
    copy = f"{name}_copy"
    words = {"postgresql://bulkdel@db.internal": server, "bulkdel_copy": copy}
    try:
        follow(site.stack, "Backups", **words)
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(copy)))


SCENES: dict[str, Callable[[Site], None]] = {
    "Is it stuck?": stuck,
    "Throttled?": throttled,
    "Pause, resume, cancel": stopped,
    "Guards": held,
    "A second person": approved,
    "Scheduled cleanups": scheduled,
    "Who deleted X, and when?": questioned,
    "Retry what failed": retried,
    "Upgrading": upgraded,
    "Backups": saved,
}


@pytest.mark.parametrize("title", SCENES)
def test_what_the_page_says_to_do_does_what_it_says(title: str, site: Site) -> None:
    SCENES[title](site)
