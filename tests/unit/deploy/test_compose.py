"""The compose file: valid, hardened, pinned, without a secret in it; its commands are ours."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import jsonschema
import pytest

from tests.unit.deploy.compose import FILE, ROOT, Service, read, services, words
from worker.cli import cli
from worker.config.settings import Settings
from worker.domain.errors import InvalidInput

SERVICES = services()
LASTING = {name: one for name, one in SERVICES.items() if one.get("restart") != "no"}
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("bulkdel:")}
SCHEMA = json.loads((Path(__file__).parent / "compose_spec.json").read_text(encoding="utf-8"))


def test_it_is_a_compose_file() -> None:
    jsonschema.Draft201909Validator(SCHEMA).validate(read())


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
def test_docker_compose_takes_it(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path)

    done = subprocess.run(
        ["docker-compose", "config", "--quiet"],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_everything_a_deployment_rests_on_is_there() -> None:
    assert {"postgres", "redis", "migrate", "worker", "beat", "flower"} <= SERVICES.keys()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(service: Service) -> None:
    user = service["user"].partition(":")[0]

    assert user.isdecimal()
    assert user != "0"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_an_image_is_pinned(service: Service) -> None:
    assert re.search(r":[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z]+)?$", service["image"])


@pytest.mark.parametrize("service", LASTING.values(), ids=LASTING)
def test_what_lasts_has_a_health_check_with_limits(service: Service) -> None:
    check = service["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


def test_nothing_can_be_reached_from_elsewhere() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_come_from_files_alone() -> None:
    secrets = read()["secrets"]

    assert all(list(secret) == ["file"] for secret in secrets.values())
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= secrets.keys()
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"://[^/]*@", str(value)), name
            if re.search(r"PASSWORD|TOKEN|SECRET|AUTH", name):
                assert str(value).startswith("/run/secrets/"), name


def test_redis_keeps_its_books() -> None:
    command = words(SERVICES["redis"])
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--include"] == "/run/secrets/redis_auth"


def test_workers_can_be_many() -> None:
    assert "container_name" not in SERVICES["worker"]
    assert "ports" not in SERVICES["worker"]


def test_nothing_of_ours_starts_before_the_database_is_there() -> None:
    done = {"condition": "service_completed_successfully"}

    for name in ("worker", "beat", "flower"):
        assert SERVICES[name]["depends_on"]["migrate"] == done
        assert SERVICES[name]["depends_on"]["redis"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_the_settings_of_a_service_are_settings(service: Service) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read /run/secrets/"):  # it is a name we know
        Settings.load({name: str(value) for name, value in service["environment"].items()})


def taken(args: list[str]) -> None:
    """The command, parsed as it would be."""
    command: click.Command = cli
    context = click.Context(cli, info_name="bulkdel")
    rest = list(args)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, rest
        command, rest = found, rest[1:]
    if rest != ["--help"]:
        command.make_context("x", rest, parent=context)


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_a_command_of_ours_is_one(service: Service) -> None:
    taken(words(service))
    check = service.get("healthcheck", {}).get("test", ["CMD", "bulkdel", "--help"])
    assert check[:2] == ["CMD", "bulkdel"]
    taken(check[2:])


def test_make_secrets_fills_every_secret_and_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make = ["sh", str(ROOT / "deploy" / "make-secrets.sh"), str(folder)]

    subprocess.run(make, check=True, capture_output=True)
    first = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    again = subprocess.run(make, check=True, capture_output=True, text=True)

    assert first.keys() == read()["secrets"].keys()
    assert again.stdout == ""
    assert first == {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert first["redis_password"].strip() in first["redis_url"]
    assert first["redis_auth"] == f"requirepass {first['redis_password']}"
    assert len(set(first.values())) == len(first)


# --- the image --------------------------------------------------------------------------------

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_image_is_pinned_and_installs_by_hash_alone() -> None:
    (base,) = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE, flags=re.MULTILINE)

    assert re.fullmatch(r"python:3\.[0-9]+\.[0-9]+-slim-[a-z]+", base)
    installs = re.findall(r"pip install (.*)$", DOCKERFILE, flags=re.MULTILINE)
    assert installs
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    assert all("--no-deps" in one for one in installs)  # a lock names all; nothing is looked for
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, flags=re.MULTILINE)


def test_the_image_gets_what_it_copies() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE)
        for name in line.split()[:-1]
    }
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }

    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    needed = {"migrations", "celeryconfig.py", "README.md", "LICENSE", "pyproject.toml", "worker"}
    assert needed <= copied
