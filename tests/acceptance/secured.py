"""Servers that let nobody in without TLS and a password, and nobody do more than he needs.

PostgreSQL has the roles of docs/roles.sql, Redis the users of docs/redis-users.conf.
"""

import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.stack import Kind, Stack, _environment, start_sandbox
from tests.acceptance.warm import Warm
from tests.chaos.network import TlsFiles
from tests.chaos.servers import (
    OwnPostgres,
    OwnRabbit,
    OwnRedis,
    _not_root,
    _other_user,
    rabbit_program,
)
from tests.services import is_ci
from worker.cli.doctor_broker import broker_fault
from worker.config.settings import Settings
from worker.sandbox.client import Control
from worker.store.migrate import upgrade

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROLES = ("owner", "work", "read")
"""Of docs/roles.sql."""
USERS = ("gate", "broker")
"""Of docs/redis-users.conf."""
QUEUE_IN = 3
"""The database of Redis that the queue is in: any will do."""
CLOSED = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
"""All of pg_hba.conf: no way in without TLS and a password."""
NAME = "bulkdel"


def password() -> str:
    """One that no text holds by chance, and that an address need not escape."""
    return f"canary-{secrets.token_hex(12)}"


class SecuredPostgres(OwnPostgres):
    """One that takes TLS and SCRAM alone, with a role for each use."""

    def __init__(self, home: Path, tls: TlsFiles) -> None:
        super().__init__(home)
        self.passwords = {role: password() for role in ROLES}
        self._tls = tls
        self._key = self.home / "server.key"
        shutil.copyfile(tls.key, self._key)
        self._key.chmod(0o600)
        if _not_root():
            shutil.chown(self._key, _other_user())

    def command(self) -> Sequence[str]:
        certificate = f"ssl_cert_file={self._tls.certificate}"
        return (
            *super().command(),
            *("-c", "ssl=on", "-c", certificate, "-c", f"ssl_key_file={self._key}"),
        )

    def begin(self) -> None:
        """Start it, with the roles and the tables; from then on nobody is trusted."""
        self.start()
        with self.connect() as connection:
            for role, word in self.passwords.items():
                made = f"CREATE ROLE bulkdel_{role} LOGIN PASSWORD '{word}'"
                connection.execute(made.encode())
            connection.execute(f"CREATE DATABASE {NAME} OWNER bulkdel_owner".encode())
            (self.data / "pg_hba.conf").write_text(CLOSED, encoding="ascii")
            connection.execute(b"SELECT pg_reload_conf()")
        upgrade(self.address("owner"))
        grants = (DOCS / "roles.sql").read_text(encoding="utf-8")
        with psycopg.connect(self.address("owner"), autocommit=True) as connection:
            connection.execute(grants.encode())

    def answers(self) -> bool:
        asked = ("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
        return subprocess.run(asked, check=False).returncode == 0

    def address(self, role: str, *, mode: str = "verify-full", trusts: Path | None = None) -> str:
        """How a role reaches it; `trusts` is another certificate than the server's own."""
        known = trusts or self._tls.certificate
        place = f"bulkdel_{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{NAME}"
        return f"postgresql://{place}?sslmode={mode}&sslrootcert={known}"


class SecuredRedis(OwnRedis):
    """One that takes TLS alone, with a user for the limits and one for the queue."""

    def __init__(self, home: Path, tls: TlsFiles) -> None:
        super().__init__(home)
        self._program = tls_program()
        self.passwords = {user: password() for user in USERS}
        self.admin = password()
        self._tls = tls
        users = (DOCS / "redis-users.conf").read_text(encoding="utf-8")
        for user, word in self.passwords.items():
            users = users.replace(f"{user.upper()}_PASSWORD", word)
        users += f"user admin on >{self.admin} ~* &* +@all\n"
        self._users = self.home / "users.conf"
        self._users.write_text(users, encoding="utf-8")

    def command(self) -> Sequence[str]:
        program, _, _, *rest = super().command()
        given = {
            "port": "0",
            "tls-port": str(self.port),
            "tls-cert-file": str(self._tls.certificate),
            "tls-key-file": str(self._tls.key),
            "tls-ca-cert-file": str(self._tls.certificate),
            "tls-auth-clients": "no",
            "rdbcompression": "no",  # so that the dump can be searched
        }
        flags = [part for name, value in given.items() for part in (f"--{name}", value)]
        return (program, str(self._users), *flags, *rest)

    @property
    def url(self) -> str:
        return self._address("admin", self.admin, self._tls.certificate)

    def address(self, user: str, *, database: int = 0, trusts: Path | None = None) -> str:
        """How a user reaches it; `trusts` is another certificate than the server's own."""
        known = trusts or self._tls.certificate
        return self._address(f"bulkdel_{user}", self.passwords[user], known, database)

    def _address(self, user: str, word: str, trusts: Path, database: int = 0) -> str:
        asked = f"ssl_cert_reqs=required&ssl_ca_certs={trusts}"
        return f"rediss://{user}:{word}@127.0.0.1:{self.port}/{database}?{asked}"


class SecuredRabbit(OwnRabbit):
    """One that takes TLS alone, and nobody but one user."""

    def __init__(self, home: Path, tls: TlsFiles) -> None:
        super().__init__(home)
        self.password = password()
        self._tls = tls
        settings = {
            "listeners.tcp": "none",
            "listeners.ssl.local": f"127.0.0.1:{self.port}",
            "ssl_options.cacertfile": tls.certificate,
            "ssl_options.certfile": tls.certificate,
            "ssl_options.keyfile": tls.key,
            "ssl_options.verify": "verify_none",
            "default_user": NAME,
            "default_pass": self.password,
        }
        told = self.home / "secured.conf"
        told.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        for name in ("RABBITMQ_NODE_PORT", "RABBITMQ_NODE_IP_ADDRESS"):
            del self.env[name]  # they would open a port without TLS
        self.env["RABBITMQ_CONFIG_FILE"] = str(told)

    @property
    def url(self) -> str:
        return self.address()

    def address(self, *, trusts: Path | None = None) -> str:
        """How it is reached; `trusts` is another certificate than the server's own."""
        known = trusts or self._tls.certificate
        place = f"{NAME}:{self.password}@127.0.0.1:{self.port}"
        return f"amqps://{place}//?ssl_cert_reqs=required&ssl_ca_certs={known}"

    def answers(self) -> bool:
        return broker_fault(Settings(broker_url=self.url)) is None


def secured_rabbit(home: Path, tls: TlsFiles) -> SecuredRabbit:
    """One that is not started yet; without the program its tests are skipped, or fail in CI."""
    if rabbit_program() is None:
        reason = "no rabbitmq-server is installed"
        pytest.fail(reason) if is_ci() else pytest.skip(reason)
    return SecuredRabbit(home, tls)


def tls_program() -> Path:
    """A server program that knows TLS: the one a wheel brings does not."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    reason = "no valkey-server or redis-server on PATH, which would know TLS"
    return pytest.fail(reason) if is_ci() else pytest.skip(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """A deployment on such servers."""

    stack: Stack
    postgres: SecuredPostgres
    redis: SecuredRedis
    tls: TlsFiles


@contextmanager
def a_secured_stack(home: Path, warm: Warm | None) -> Iterator[Secured]:
    """A deployment without workers yet, all its settings as docs/trust.md has them."""
    with ExitStack() as ending:
        tls = TlsFiles.make(home)
        postgres, redis = SecuredPostgres(home, tls), SecuredRedis(home, tls)
        for server in (postgres, redis):
            ending.callback(server.kill)
        postgres.begin()
        redis.start()
        env = _environment() | {
            "BULKDEL_DATABASE_URL": postgres.address("work"),
            "BULKDEL_REDIS_URL": redis.address("gate"),
            "BULKDEL_BROKER_URL": redis.address("broker", database=QUEUE_IN),
        }
        sandbox, base_url = start_sandbox(home, _environment())
        ending.callback(sandbox.kill)
        url = postgres.address("work").replace("postgresql://", "postgresql+psycopg://")
        stack = Stack(
            kind=Kind.POSTGRES,
            home=home,
            env=env,
            database_url=url,
            control=Control(base_url, timeout=60),
            sandbox=sandbox,
            base_url=base_url,
            warm=warm,
        )
        ending.callback(stack.stop_workers)
        yield Secured(stack=stack, postgres=postgres, redis=redis, tls=tls)
