"""SHIP 3: the commands of docker-compose.yml carry a job through losses and an upgrade."""

import json
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.acceptance.commands import REPOSITORY
from tests.acceptance.composed import Composed, composed
from tests.acceptance.conftest import a_site
from tests.acceptance.site import CHILDREN, Site
from tests.acceptance.waiting import eventually
from worker.store import migrate

pytestmark = [pytest.mark.number("ship-3"), pytest.mark.xdist_group("compose")]

NEXT_MIGRATION = '''
"""What the release after this one might add."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = {head!r}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("added_later", sa.String(40)))
    op.add_column("items", sa.Column("added_later", sa.String(40)))
    op.create_index("ix_items_added_later", "items", ["added_later"])
'''


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The stack, migrated, with three workers and beat."""
    with composed(tmp_path_factory.mktemp("composed")) as running:
        migrated = running.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        for name in ("worker", "worker", "worker", "beat"):
            running.start(name)
        seen = running.stack.workers_alive
        eventually(lambda: seen() == 4, within=60, what="workers and beat")
        yield running


@pytest.mark.timeout(1800)
def test_a_job_outlives_a_stopped_worker_a_new_one_and_an_upgrade(
    here: Composed, full: bool
) -> None:
    release = _next_release(here)
    for site in a_site(here.stack):
        ids = site.seed(1_819 if full else 40, **CHILDREN)
        job = site.planned(ids)
        here.stack.control.latency(0.02 if full else 0.3)
        site.confirm(job)
        _has_deleted(site, job, share=0.2)
        leaving = here.children["worker"].pop()
        leaving.terminate()
        here.start("worker")
        _has_deleted(site, job, share=0.4)
        assert site.state(job) == "running"
        _upgrade(here, release)
        assert leaving.wait(30) is not None
        ended = site.ended(job, within=1200)

        assert ended["state"] == "succeeded"
        assert ended["counts"]["by_outcome"] == {"deleted": len(ids) * 11}
        site.judge(job)
        for name in ("worker", "beat"):
            told = here.health(name)
            assert told.returncode == 0, (name, told.stdout, told.stderr)


@pytest.mark.number("ship-3", full=True)
def test_the_screens_of_celery_are_behind_a_password(here: Composed) -> None:
    here.start("flower")
    check = eventually(
        lambda: told if (told := here.health("flower")).returncode == 0 else None,
        within=30,
        what="flower",
    )
    login = (here.home / "secrets" / "flower_auth").read_text().strip()

    assert check.returncode == 0
    assert _status(here, "") == 401
    assert _status(here, "flower:wrong") == 401
    assert _status(here, login) == 200


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="no redis-cli here")
def test_redis_is_well_and_asks_for_its_password(here: Composed) -> None:
    told = here.health("redis")
    without = subprocess.run(
        ["redis-cli", "-p", str(here.port), "ping"], capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stderr
    assert "NOAUTH" in without.stdout + without.stderr


def test_the_doctor_finds_the_stack_well(here: Composed) -> None:
    for _ in a_site(here.stack):
        told = here.stack.run("doctor", "--json")

        assert [row for row in told.lines if row["level"] != "ok"] == []
        assert told.code == 0


def _has_deleted(site: Site, job: dict[str, object], *, share: float) -> None:
    settled = "SELECT count(*) FROM items WHERE job_id = :job AND outcome IS NOT NULL"
    total = job["plan"]["items"]  # type: ignore[index]  # JSON
    eventually(
        lambda: site.sql(settled, job=job["id"])[0][0] >= total * share,
        within=600,
        what=f"{share:.0%} of the items",
    )


def _next_release(here: Composed) -> Path:
    """A release with one more migration than ours."""
    release = here.home / "release"
    for name in ("worker", "migrations"):
        shutil.copytree(REPOSITORY / name, release / name)
    shutil.copy(REPOSITORY / "celeryconfig.py", release)
    versions = release / "migrations" / "versions"
    (versions / "29991231_9999_next.py").write_text(NEXT_MIGRATION.format(head=migrate.head()))
    return release


def _upgrade(here: Composed, release: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "db", "upgrade", "--json"],
        cwd=release,
        env=here.stack.env | {"PYTHONPATH": str(release)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"from": migrate.head(), "to": "9999"}


def _status(here: Composed, login: str) -> int:
    request = Request(f"http://127.0.0.1:{here.flower_port}/workers")
    if login:
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310  as above
            status: int = answer.status
            return status
    except HTTPError as error:
        return error.code
