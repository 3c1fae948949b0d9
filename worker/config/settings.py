"""Settings of a process: the `BULKDEL_*` variables of its environment, and nothing else.

Read with plain pydantic: pydantic-settings makes the import a third slower, for every command,
and its other sources (.env files, secret folders) are not ours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from worker.config.broker import amqp_tls
from worker.config.values import OUR_PREFIX, TEST_PREFIX, Doc, did_you_mean
from worker.domain.errors import InvalidInput

DATABASE_FILE = "bulkdel.db"
FILE_SUFFIX = "_FILE"
FROM_FILES = ("broker_url", "database_url", "redis_url")
"""Fields that hold passwords: `BULKDEL_…_FILE` may name a file that holds the address instead."""

_DATABASES = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite",
}
_REDIS = ("redis", "rediss", "unix")


class Settings(BaseModel):
    """What the environment says. Addresses may carry passwords: they are not in the repr."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Field(
        default=Path(".bulkdel"),
        description="Folder of the default database and of what `bulkdel up` runs.",
    )
    database_url: Annotated[str, Doc(type="address", default="SQLite in `.bulkdel/`")] = Field(
        default_factory=lambda settled: _sqlite_in(settled["data_dir"]),
        repr=False,
        description="The database: PostgreSQL (postgresql://…) or SQLite (sqlite:///…).",
    )
    redis_url: Annotated[
        str | None, Doc(type="address", default="the embedded Valkey of `bulkdel up`")
    ] = Field(
        default=None,
        repr=False,
        description="Redis or Valkey, which keeps the limits (redis://, rediss://, unix://).",
    )
    broker_url: Annotated[str | None, Doc(type="address", default="the Redis URL")] = Field(
        default=None,
        repr=False,
        description="Celery's broker: Redis, or RabbitMQ (amqp://…, or amqps://… for TLS).",
    )
    config: Path = Field(
        default=Path("bulkdel.toml"), description="File of the accounts, purses and policies."
    )
    actor: str | None = Field(
        default=None, description="Who gives the order, as the audit records it: a claim."
    )
    sweep_seconds: float = Field(
        default=10,
        ge=0,
        allow_inf_nan=False,
        description="Seconds between the sweeps of a worker; 0 turns them off.",
    )
    doorbells: bool = Field(
        default=True,
        description="Whether work that is due rings at once; false, for drills: sweeps alone do.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )

    @property
    def broker(self) -> str | None:
        """The broker to use: its own address, or the one of Redis."""
        if self.broker_url or not self.redis_url:
            return self.broker_url
        return _for_celery(self.redis_url)

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """Settings from variables; a blank one counts as not set.

        Addresses may stand in files, named by BULKDEL_…_FILE.

        Raises InvalidInput for an unknown BULKDEL_* name (BULKDEL_TEST_* are the tests' own), for
        a file that cannot be read and for a value that makes no sense; the value is not repeated.
        """
        names = {variable_of(field): field for field in cls.model_fields}
        files = {variable_of(field) + FILE_SUFFIX: field for field in FROM_FILES}
        known = names | files
        for name in sorted(environ):
            if name.startswith(OUR_PREFIX) and not (name in known or name.startswith(TEST_PREFIX)):
                raise _unknown(name, known)
        there = {name: value for name, value in environ.items() if value.strip()}
        given = {field: there[name] for name, field in names.items() if name in there}
        for name, field in files.items():
            if name in there:
                given[field] = _in_file(name, there[name], is_twice=field in given)
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = variable_of(str(first["loc"][0]))
            broken = InvalidInput(f"{name}: {_lower(first['msg'])}", fix=f"correct {name}")
        raise broken

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, url: str) -> str:
        scheme, there, rest = url.partition("://")
        if not there or scheme not in _DATABASES:
            message = "must begin with postgresql:// or sqlite:///"
            raise ValueError(message)
        return f"{_DATABASES[scheme]}://{rest}"

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: str | None) -> str | None:
        if url is not None and url.partition("://")[0] not in _REDIS:
            message = "must begin with redis://, rediss:// or unix://"
            raise ValueError(message)
        return url

    @field_validator("broker_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and "://" not in url:
            message = "must be an address such as redis://… or amqp://…"
            raise ValueError(message)
        amqp_tls(url or "")
        return url

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level


def variable_of(field: str) -> str:
    """The variable that sets a field."""
    return OUR_PREFIX + field.upper()


def address_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that hold addresses, as the environment names them."""
    names = [variable_of(field) + FILE_SUFFIX for field in FROM_FILES]
    return tuple(Path(environ[name]) for name in names if environ.get(name, "").strip())


def _in_file(name: str, path: str, *, is_twice: bool) -> str:
    """The address in the file that a variable names."""
    if is_twice:
        other = name.removesuffix(FILE_SUFFIX)
        raise InvalidInput(f"{name} and {other} are both set", fix="set one of them")
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInput(f"{name}: cannot read {path}: {why}", fix=f"correct {name}") from None
    if not text:
        raise InvalidInput(f"{name}: {path} is empty", fix="write the address into it")
    return text


def _for_celery(url: str) -> str:
    """The address of a Redis as Celery spells it; it has a name of its own for sockets."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    names = {"db": "virtual_host"}
    query = urlencode([(names.get(key, key), value) for key, value in parse_qsl(parts.query)])
    return f"redis+socket://{parts.netloc}{parts.path}" + (f"?{query}" if query else "")


def _sqlite_in(folder: Path) -> str:
    return f"sqlite:///{(folder / DATABASE_FILE).absolute().as_posix()}"


def _unknown(name: str, known: Mapping[str, str]) -> InvalidInput:
    return InvalidInput(
        f"unknown variable {name}{did_you_mean(name, known)}",
        fix=f"the settings are: {', '.join(known)}",
    )


def _lower(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
