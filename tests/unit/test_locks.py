"""The lock files hold what pyproject.toml asks for, all with hashes and without an address."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
PACKAGES = PROJECT["project"]["dependencies"]
FLOWER = [*PACKAGES, *PROJECT["project"]["optional-dependencies"]["flower"]]
RUNTIME = [*PACKAGES, *GROUPS["build"]]
DEV = [*GROUPS["test"], *GROUPS["lint"], *GROUPS["build"]]
LOCKS = ["requirements.lock", "requirements-flower.lock", "requirements-dev.lock"]


def locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize(("lock", "asked"), [*zip(LOCKS, (RUNTIME, FLOWER, DEV), strict=True)])
def test_a_lock_holds_what_the_project_asks_for(lock: str, asked: list[str]) -> None:
    pins = locked(lock)

    missing = [
        wanted
        for wanted in map(Requirement, asked)
        if not wanted.specifier.contains(pins.get(wanted.name, "0"))
    ]

    assert missing == [], f"{lock} is older than pyproject.toml: make lock"


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_locks_agree_on_what_they_share(lock: str) -> None:
    runtime, other = locked(LOCKS[0]), locked(lock)

    shared = runtime.keys() & other.keys()
    assert shared
    assert {name: other[name] for name in shared} == {name: runtime[name] for name in shared}


def test_what_celery_needs_for_redis_is_ours_and_not_the_build_tools() -> None:
    # Without its extra the transport lacks `packaging`, which only the build tools bring along.
    assert any(Requirement(each).extras == {"redis"} for each in PACKAGES)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes(lock: str) -> None:
    packages = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]

    assert packages
    assert [each for each in packages if "--hash=sha256:" not in each] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
