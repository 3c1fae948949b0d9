"""Settings come from the environment handed in; what is unknown or unreadable is refused."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.config.settings import Settings, variable_of
from worker.domain.errors import InvalidInput

ENDS = st.text(alphabet=string.ascii_uppercase + "_", min_size=1, max_size=20)


def test_every_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    settings = Settings.load({})

    assert settings.model_dump() == {
        "data_dir": Path(".bulkdel"),
        "database_url": f"sqlite:///{tmp_path}/.bulkdel/bulkdel.db",
        "redis_url": None,
        "broker_url": None,
        "config": Path("bulkdel.toml"),
        "actor": None,
        "sweep_seconds": 10,
        "doorbells": True,
        "log_level": "info",
    }


def test_every_variable_is_read() -> None:
    settings = Settings.load(
        {
            "BULKDEL_DATA_DIR": "/var/lib/bulkdel",
            "BULKDEL_DATABASE_URL": "sqlite:////tmp/x.db",
            "BULKDEL_REDIS_URL": "redis://127.0.0.1:6379/3",
            "BULKDEL_BROKER_URL": "amqp://guest:guest@127.0.0.1:5672//",
            "BULKDEL_CONFIG": "/etc/bulkdel.toml",
            "BULKDEL_ACTOR": "ada",
            "BULKDEL_SWEEP_SECONDS": "0",
            "BULKDEL_DOORBELLS": "false",
            "BULKDEL_LOG_LEVEL": "DEBUG",
            "PATH": "/bin",
        }
    )

    assert settings == Settings(
        data_dir=Path("/var/lib/bulkdel"),
        database_url="sqlite:////tmp/x.db",
        redis_url="redis://127.0.0.1:6379/3",
        broker_url="amqp://guest:guest@127.0.0.1:5672//",
        config=Path("/etc/bulkdel.toml"),
        actor="ada",
        sweep_seconds=0,
        doorbells=False,
        log_level="debug",
    )


def test_the_default_database_lies_in_the_data_folder() -> None:
    settings = Settings.load({"BULKDEL_DATA_DIR": "/var/lib/bulkdel"})

    assert settings.database_url == "sqlite:////var/lib/bulkdel/bulkdel.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_postgresql_address_names_its_driver(scheme: str) -> None:
    settings = Settings.load({"BULKDEL_DATABASE_URL": f"{scheme}://u:p@db:5432/x?sslmode=require"})

    assert settings.database_url == "postgresql+psycopg://u:p@db:5432/x?sslmode=require"


@pytest.mark.parametrize(
    ("redis", "broker"),
    [
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        (
            "unix:///run/r.sock?db=3&password=p",
            "redis+socket:///run/r.sock?virtual_host=3&password=p",
        ),
        ("unix://:p@/run/r.sock", "redis+socket://:p@/run/r.sock"),
        ("rediss://h:1/3", "rediss://h:1/3"),
    ],
)
def test_the_broker_on_a_socket_is_spelled_as_celery_does(redis: str, broker: str) -> None:
    assert Settings.load({"BULKDEL_REDIS_URL": redis}).broker == broker


def test_the_broker_is_redis_unless_it_is_set() -> None:
    assert Settings.load({}).broker is None
    assert Settings.load({"BULKDEL_REDIS_URL": "redis://r"}).broker == "redis://r"
    both = {"BULKDEL_REDIS_URL": "redis://r", "BULKDEL_BROKER_URL": "amqp://b"}
    assert Settings.load(both).broker == "amqp://b"


def test_a_blank_variable_counts_as_not_set() -> None:
    settings = Settings.load({"BULKDEL_ACTOR": "", "BULKDEL_SWEEP_SECONDS": " "})

    assert (settings.actor, settings.sweep_seconds) == (None, 10)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "BROKER_URL"])
def test_an_address_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text("sqlite:///x.db\n" if name == "DATABASE_URL" else "redis://:pw@r\n")

    settings = Settings.load({f"BULKDEL_{name}_FILE": str(file)})

    assert getattr(settings, name.lower()) == file.read_text().strip()


def test_an_address_is_given_once(tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text("redis://r")
    both = {"BULKDEL_REDIS_URL_FILE": str(file), "BULKDEL_REDIS_URL": "redis://r"}

    with pytest.raises(InvalidInput, match="are both set"):
        Settings.load(both)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_without_an_address_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "address"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(InvalidInput, match=r"^BULKDEL_REDIS_URL_FILE: "):
        Settings.load({"BULKDEL_REDIS_URL_FILE": str(file)})


def test_what_stands_in_the_file_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text("pw-canary")

    with pytest.raises(InvalidInput) as raised:
        Settings.load({"BULKDEL_DATABASE_URL_FILE": str(file)})

    assert "pw-canary" not in repr(raised.value) + raised.value.fix


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="BULKDEL_DATABSE_URL: did you mean") as raised:
        Settings.load({"BULKDEL_DATABSE_URL": "sqlite:///x"})

    assert "did you mean `BULKDEL_DATABASE_URL`?" in raised.value.what
    assert "BULKDEL_SWEEP_SECONDS" in raised.value.fix


@given(ENDS)
def test_no_unknown_variable_is_overlooked(end: str) -> None:
    name = f"BULKDEL_Q{end}"  # no setting begins with a Q

    with pytest.raises(InvalidInput, match=f"unknown variable {name}"):
        Settings.load({name: ""})


def test_the_tests_have_variables_of_their_own() -> None:
    assert Settings.load({"BULKDEL_TEST_POSTGRES": "x"}) == Settings.load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BULKDEL_DATABASE_URL", "mysql://u:pw-canary@db/x"),
        ("BULKDEL_DATABASE_URL", "pw-canary"),
        ("BULKDEL_REDIS_URL", "http://:pw-canary@x"),
        ("BULKDEL_BROKER_URL", "pw-canary"),
        ("BULKDEL_SWEEP_SECONDS", "-1"),
        ("BULKDEL_SWEEP_SECONDS", "inf"),
        ("BULKDEL_SWEEP_SECONDS", "nan"),
        ("BULKDEL_SWEEP_SECONDS", "pw-canary"),
        ("BULKDEL_DOORBELLS", "pw-canary"),
        ("BULKDEL_LOG_LEVEL", "pw-canary"),
    ],
)
def test_a_bad_value_names_its_variable_and_is_not_repeated(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{name}: ") as raised:
        Settings.load({name: value})

    assert "pw-canary" not in repr(raised.value) + raised.value.fix
    assert raised.value.__context__ is None


def test_addresses_stay_out_of_the_repr() -> None:
    settings = Settings(
        database_url="postgresql://u:pw-canary@db/x",
        redis_url="redis://:pw-canary@r",
        broker_url="amqp://u:pw-canary@b",
    )

    assert "pw-canary" not in repr(settings)


def test_settings_do_not_change() -> None:
    settings = Settings.load({})

    with pytest.raises(ValidationError, match="frozen"):
        settings.actor = "eve"  # type: ignore[misc]  # the test is that this is refused


def test_every_setting_has_a_variable() -> None:
    assert variable_of("database_url") == "BULKDEL_DATABASE_URL"
    assert all(field.description for field in Settings.model_fields.values())
