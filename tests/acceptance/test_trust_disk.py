"""TRUST: a disk that is full stops the work with a clear word, and loses nothing."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pytest

from tests.acceptance.conftest import a_site
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, a_stack
from tests.acceptance.waiting import eventually
from tests.acceptance.warm import Warm
from tests.chaos.servers import OwnPostgres

pytestmark = [pytest.mark.number("trust-1"), pytest.mark.timeout(600)]

SLOWLY = "limits = { windows = [], per_day = 0, in_flight = 4 }"
NOT_REACHED = 9
PROJECTS = 400
SAID = ("disk is full", "No space left on device")
Url = Callable[[Path, Path, ExitStack], str]


def _sqlite(_home: Path, disk: Path, _: ExitStack) -> str:
    return f"sqlite:///{disk}/bulkdel.db"


def _postgresql(home: Path, disk: Path, ending: ExitStack) -> str:
    """Tables on the small disk; the log of PostgreSQL lies elsewhere, or it could not go on."""
    server = OwnPostgres(home)
    ending.callback(server.kill)
    server.start()
    disk.chmod(0o777)
    place = disk / "tables"
    with server.connect() as connection:
        connection.execute(f"COPY (SELECT) TO PROGRAM 'mkdir -p {place}'".encode())
        connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
        connection.execute(b"CREATE DATABASE small TABLESPACE small")
    return server.url("small")


@pytest.mark.number(full=True)  # a lease has to end
@pytest.mark.parametrize("made", [_sqlite, _postgresql])
def test_a_full_disk_stops_the_work_and_loses_nothing(
    made: Url, tmp_path: Path, warm: Warm | None
) -> None:
    with ExitStack() as ending:
        disk = ending.enter_context(_a_small_disk(tmp_path / "disk"))
        settings = {
            "BULKDEL_DATABASE_URL": made(tmp_path, disk, ending),
            "BULKDEL_SWEEP_SECONDS": "1",
        }
        stack = ending.enter_context(a_stack(Kind.SQLITE, tmp_path, settings=settings, warm=warm))
        stack.start_workers(1)
        for site in a_site(stack):
            _is_survived(site, disk)


def _is_survived(site: Site, disk: Path) -> None:
    site.configure(SLOWLY)
    job = site.planned(site.seed(PROJECTS, tasks=1))
    site.stack.control.latency(0.05)
    site.confirm(job)
    eventually(lambda: len(site.deletions()) > PROJECTS / 10, within=60, what="a tenth")

    with _filled(disk):
        eventually(lambda: _is_said(site.stack.logs()), within=60, what="a word of the disk")
        eventually(lambda: _stands(site, below=2 * PROJECTS), within=60, what="no more calls")
        refused = site.stack.run("submit", *_another(site)).ended(NOT_REACHED)
        assert _is_said(refused.stderr), refused.told()

    assert site.ended(job, within=180)["state"] == "succeeded"
    site.judge(job)
    site.stack.run("audit", "verify").ended(0)


def _another(site: Site) -> tuple[str, ...]:
    path = site.stack.home / "another.txt"
    path.write_text("".join(f"{number}\n" for number in range(1, 30_000)), encoding="ascii")
    given = ("--account", site.account, "--ids-file", str(path), "--reason", "test")
    return (*given, "--cascade", "none", "--no-wait-plan")


def _is_said(text: str) -> bool:
    return any(words in text for words in SAID)


def _stands(site: Site, *, below: int) -> bool:
    """No call leaves any more, for as long as several slices would take."""
    before = len(site.ledger())
    Event().wait(3)
    return len(site.ledger()) == before and len(site.deletions()) < below


@contextmanager
def _a_small_disk(place: Path) -> Iterator[Path]:
    """A file system of 24 MB; only who may mount one can play this."""
    place.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Not a byte is left on the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()
