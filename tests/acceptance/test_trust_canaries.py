"""TRUST, point 4: eight secrets are looked for in all that a deployment says and leaves behind."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.commands import Ran, Reply
from tests.acceptance.secured import Secured, a_secured_stack, password
from tests.acceptance.site import Site
from tests.acceptance.waiting import eventually
from tests.acceptance.warm import Warm
from tests.leaks import writings
from worker.providers.login import Login
from worker.providers.sealing import Seal

pytestmark = [pytest.mark.number("trust-4"), pytest.mark.timeout(1800)]

CLIENT = "1000.CANARYCLIENT"
LOOK_EVERY = 0.02
OF_THE_PROVIDER = ("ledger.jsonl", "sandbox.log")


@dataclass(slots=True, kw_only=True)
class Found:
    """All that was said and left behind, by where; and the secrets that must not be in it."""

    secrets: dict[str, str] = field(default_factory=dict)
    key: bytes = b""
    places: dict[str, bytes] = field(default_factory=dict)

    def add(self, place: str, text: bytes) -> None:
        self.places[place] = self.places.get(place, b"") + text

    def hits(self) -> list[str]:
        """Where which secret is written, in whatever writing."""
        marks = {
            name: [text.encode() for text in writings(secret)]
            for name, secret in self.secrets.items()
        }
        marks["sealing key"] = [self.key, self.key.hex().encode(), base64.b64encode(self.key)]
        return [
            f"{name} in {place}"
            for place, text in self.places.items()
            for name, marked in marks.items()
            if any(mark in text for mark in marked)
        ]


@pytest.mark.xdist_group("canaries")
def test_no_secret_is_in_anything_that_is_said_or_kept(
    tmp_path: Path, warm: Warm | None, full: bool
) -> None:
    with a_secured_stack(tmp_path, warm) as secured:
        found = Found(secrets=_secrets(secured))
        with _command_lines(found):
            sites = list(_sites(secured, found))
            secured.stack.env["BULKDEL_LOG_LEVEL"] = "debug"
            secured.stack.start_workers(2)
            for _ in range(2 if full else 1):
                jobs = [_worked(secured, site, found) for site in sites]
                _trouble(secured, sites, jobs, found)
                _all_is_asked(sites, jobs, found, with_json=full)
            _kept(secured, found)
        # That a secret would be found where it is: a worker has them in its environment.
        worker = Path(f"/proc/{secured.stack.processes[0].pid}/environ").read_bytes()
        secured.stack.stop_workers()
        _files(secured, found)

    assert len(found.secrets) == 7
    assert found.hits() == []
    assert len(found.places) > 60
    known = Found(secrets=found.secrets, key=found.key, places={"environ": worker})
    assert len(known.hits()) == 4  # the token, and the three passwords


def _secrets(secured: Secured) -> dict[str, str]:
    """What nobody may read; the access token is added once the provider has given one."""
    return {
        "token": password(),
        "client secret": password(),
        "refresh token": password(),
        "database password": secured.postgres.passwords["work"],
        "Redis password": secured.redis.passwords["gate"],
        "broker password": secured.redis.passwords["broker"],
    }


def _sites(secured: Secured, found: Found) -> Iterator[Site]:
    """An account with a token, and one with a consent."""
    stack, words = secured.stack, found.secrets
    stack.env |= {"CANARY_TOKEN": words["token"], "BULKDEL_SWEEP_SECONDS": "1"}
    given = stack.home / "given"
    given.mkdir(mode=0o700)
    for name in ("client secret", "refresh token"):
        (given / name.replace(" ", "_")).write_text(words[name], encoding="ascii")
    (given / "client").write_text(CLIENT, encoding="ascii")
    for organization, lines in (("70001", _by_token()), ("70002", _by_consent(secured, words))):
        token = words["token"] if organization == "70001" else password()
        stack.control.organization(organization, token=token)
        yield Site(
            stack=stack,
            account=f"canary{organization}",
            organization=organization,
            since=0,
            lines=lines,
        ).configure("auto_confirm_max = 1000")


def _by_token() -> tuple[str, ...]:
    return ('token = "env:CANARY_TOKEN"',)


def _by_consent(secured: Secured, words: Mapping[str, str]) -> tuple[str, ...]:
    stack, given = secured.stack, secured.stack.home / "given"
    stack.control.oauth(
        ["70002"],
        client_id=CLIENT,
        client_secret=words["client secret"],
        refresh_token=words["refresh token"],
        lifetime=3600,
        refreshes=100,
    )
    places = {
        "client_id": f"file:{given}/client",
        "client_secret": f"file:{given}/client_secret",
        "refresh_token": f"file:{given}/refresh_token",
        "token_url": f"{stack.origin}/oauth/v2/token",
    }
    said = ", ".join(f'{name} = "{place}"' for name, place in places.items())
    return (f"oauth = {{ {said} }}",)


def _worked(secured: Secured, site: Site, found: Found) -> Reply:
    """A job that meets faults, and ends."""
    site.faults(
        {"kind": "garbage", "body": "html", "count": 2, "match": {"method": "DELETE"}},
        {"kind": "unauthorised", "count": 1, "match": {"method": "GET"}},
        {"kind": "lost_after", "count": 1, "match": {"method": "DELETE"}},
    )
    job = _asked(found, site, "submit", *_given(site), "--yes", "--json").json
    site.stack.run("accounts", "check", site.account)  # should the 401 have parked it
    ended = site.ended(job, within=60)
    site.stack.control.clear_faults()
    if "oauth" in site.lines[0]:
        _learn_of_redis(secured, site, found)
    return ended


def _given(site: Site) -> tuple[str, ...]:
    path = site.stack.home / f"{site.account}.txt"
    path.write_text("\n".join(site.seed(4, tasks=2)), encoding="ascii")
    return (
        *("--account", site.account, "--ids-file", str(path), "--reason", "canaries"),
        *("--cascade", "all"),
    )


def _learn_of_redis(secured: Secured, site: Site, found: Found) -> None:
    """Open the sealed access token, as only who has the consent can."""
    words = found.secrets
    login = Login(
        token_url=f"{site.stack.origin}/oauth/v2/token",
        client_id=CLIENT,
        client_secret=words["client secret"],
        refresh_token=words["refresh token"],
    )
    seal = Seal.of(login)
    with secured.redis.client() as redis:
        books = [redis.hgetall(key) for key in redis.scan_iter("{bulkdel:oauth}:*:book")]
    values = [value.decode() for book in books for value in book.values()]
    (words["access token"],) = filter(None, map(seal.open, values))
    found.key = seal.key


def _trouble(secured: Secured, sites: Iterable[Site], jobs: Iterable[Reply], found: Found) -> None:
    """Let everything be gone, refused, broken or wrong for a while, and ask all the same."""
    (site, _), (job, _) = sites, jobs
    stack, words = site.stack, found.secrets
    for server, end in (
        (secured.postgres, secured.postgres.stop_at_once),
        (secured.redis, secured.redis.kill),
    ):
        end()
        _asked(found, site, "show", job["id"])
        _asked(found, site, "submit", *_given(site), "--dry-run", "--no-wait-plan")
        _asked(found, site, "accounts", "check", site.account)
        _asked(found, site, "doctor")
        _asked(found, site, "worker")
        server.start()
    with _no_items(secured):
        _asked(found, site, "show", job["id"]).ended(1)  # a bug: told with its traceback
        site.stack.run("submit", *_given(site), "--no-wait-plan")
        log = stack.home / "workers-0.log"
        eventually(lambda: b"UndefinedTable" in log.read_bytes(), within=60, what="a broken slice")
    stack.control.organization(site.organization, token="of somebody else")
    _asked(found, site, "accounts", "check", site.account)
    stack.control.organization(site.organization, token=words["token"])
    _asked(found, site, "accounts", "check", site.account).ended(0)
    wrong = stack.home / "given" / "wrong.toml"
    wrong.write_text(f'[accounts.a]\nprovider = "truto"\ntoken = "{words["token"]}"\n')
    for name, value in {
        "BULKDEL_CONFIG": str(wrong),
        "BULKDEL_DATABASE_URL": stack.env["BULKDEL_DATABASE_URL"].replace("127.0.0.1:", "x:y"),
        "BULKDEL_REDIS_URL": stack.env["BULKDEL_REDIS_URL"].replace("rediss://", "redis//"),
        "BULKDEL_BROKER_URL": f"amqp://u:{words['broker password']}@127.0.0.1:1//",
    }.items():
        with _env(stack.env, name, value):
            _asked(found, site, "doctor")
            _asked(found, site, "accounts" if name == "BULKDEL_CONFIG" else "worker").ended(2, 9)


def _asked(found: Found, site: Site, *words: str) -> Ran:
    """Run a command; what it says is kept, and looked through later."""
    ran = site.stack.run(*words)
    found.add(f"bulkdel {words[0]}", f"{ran.stdout}{ran.stderr}".encode())
    return ran


@contextmanager
def _env(env: dict[str, str], name: str, value: str) -> Iterator[None]:
    before = env.get(name)
    env[name] = value
    try:
        yield
    finally:
        env.pop(name) if before is None else env.update({name: before})


@contextmanager
def _no_items(secured: Secured) -> Iterator[None]:
    """A table is gone for a while: what nobody has thought of."""
    address = secured.postgres.address("owner")
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute("ALTER TABLE items RENAME TO items_away")
        try:
            yield
        finally:
            owner.execute("ALTER TABLE items_away RENAME TO items")


def _all_is_asked(
    sites: Iterable[Site], jobs: Iterable[Reply], found: Found, *, with_json: bool
) -> None:
    """Everything that can be asked of a job, an account and a deployment."""
    for site, job in list(zip(sites, jobs, strict=True))[not with_json :]:
        folder = str(site.stack.home / f"report-{job['id']}")
        for words in (
            *(("show", job["id"]), ("explain", job["id"]), ("plan", job["id"], "--items")),
            *(("report", job["id"]), ("report", job["id"], "--to", folder)),
            *(("audit", "--job", job["id"], "--format", kind) for kind in FORMATS),
            *(("audit", "verify", job["id"]), ("audit", "certificate", job["id"])),
            *(("accounts",), ("accounts", "check", site.account), ("jobs",), ("policies",)),
            *(("hold", "list"), ("doctor",), ("audit", "--account", site.account)),
        ):
            _asked(found, site, *words)
            if with_json and words[0] != "audit":
                _asked(found, site, *words, "--json")


FORMATS = ("table", "jsonl", "csv")


@contextmanager
def _command_lines(found: Found) -> Iterator[None]:
    """Look at the command line of every process of this machine all the time."""
    over, seen = threading.Event(), set[bytes]()

    def look() -> None:
        while not over.wait(LOOK_EVERY):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    seen.add((process / "cmdline").read_bytes())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        found.add("command lines", b"\n".join(seen))


def _kept(secured: Secured, found: Found) -> None:
    """What the database and Redis would give to who may dump them."""
    place = secured.postgres.address("owner")
    own = {"PGPASSWORD": secured.postgres.passwords["owner"]}
    without = place.replace(f":{own['PGPASSWORD']}@", "@")
    dumped = subprocess.run(
        ["pg_dump", "--inserts", without], env=os.environ | own, capture_output=True, check=True
    )
    assert b"INSERT INTO public.audit_entries" in dumped.stdout
    found.add("pg_dump", dumped.stdout)
    with secured.redis.client() as redis:
        for key in redis.scan_iter():
            found.add("keys of Redis", key + (redis.dump(key) or b""))
        redis.save()


def _files(secured: Secured, found: Found) -> None:
    """Every file of the deployment, those of the database and Redis too."""
    home = secured.stack.home
    own = {secured.redis.home / "users.conf", *(home / name for name in OF_THE_PROVIDER)}
    for path in home.rglob("*"):
        if path.is_file() and path not in own and home / "given" not in path.parents:
            found.add(str(path.relative_to(home)), path.read_bytes())
    assert {"dump.rdb", "workers-0.log"} <= {Path(place).name for place in found.places}
