"""A worker of the previous commit beside one of this commit, and a migration between the two."""

import os
import subprocess
from pathlib import Path

from tests.acceptance.commands import REPOSITORY
from tests.chaos.drill import NAME, Drill
from tests.chaos.scene import Scene
from worker.processes import Child, spawn
from worker.programs import worker_argv


class NoHistory(Exception):
    """This tree is no checkout with a commit before it."""


def only_the_old(scene: Scene) -> None:
    """Before the jobs: workers of the commit before the newest migration, on its own tables."""
    tree = _checkout(scene.drill.home)
    drill = scene.drill
    drill.kill_workers()
    with drill.postgres.connect() as connection:
        connection.execute(f"DROP DATABASE {NAME} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {NAME}".encode())
    _old(drill, tree, "-m", "worker", "db", "upgrade").wait(60)
    drill.workers = [_old_worker(drill, tree)]
    drill.wait_for(*drill.workers)
    drill.stack.env["PYTHONPATH"] = str(tree)  # the jobs come from the old command line too


def migrate_and_mix(scene: Scene) -> None:
    """The migration runs while the old worker works; then a new worker joins it."""
    drill = scene.drill
    with scene.struck():
        pass
    drill.stack.env["PYTHONPATH"] = str(REPOSITORY)
    drill.stack.run("db", "upgrade").ended(0)
    drill.start_workers(2)
    scene.told.note = f"beside {(drill.home / 'previous.commit').read_text(encoding='ascii')[:10]}"
    scene.healed()


def _checkout(home: Path) -> Path:
    """The tree of the last commit with other migrations, or of the commit before this one."""
    tree = home / "previous"
    if tree.exists():
        return tree
    found = _git("log", "--format=%H", "-n", "2", "--", "migrations/versions").split()
    before = f"{found[0]}~1" if found else "HEAD~1"
    commit = (
        _git("rev-parse", "--verify", "--quiet", before) or _git("rev-parse", "HEAD~1")
    ).strip()
    if not commit:
        raise NoHistory("there is no commit before this one here")
    tree.mkdir()
    packed = subprocess.run(
        ["git", "archive", commit], cwd=REPOSITORY, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(tree)], input=packed.stdout, check=True)
    (home / "previous.commit").write_text(commit, encoding="ascii")
    return tree


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def _old_worker(drill: Drill, tree: Path) -> Child:
    return _old(drill, tree, *worker_argv(4)[1:])


def _old(drill: Drill, tree: Path, *words: str) -> Child:
    python = worker_argv(1)[0]
    # An editable install answers for `worker` unless the old tree comes first.
    env = {**drill.stack.env, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": ""}
    env["BULKDEL_CONFIG"] = str(drill.home / "bulkdel.toml")
    env["BULKDEL_DATA_DIR"] = str(drill.home / ".bulkdel")
    log = drill.home / "workers.log"
    return spawn(["env", "-C", str(tree), python, *words], extra_env=env, log=log)


def has_history() -> bool:
    """Whether this row can be run here."""
    return bool(_git("rev-parse", "--verify", "--quiet", "HEAD~1")) and os.name == "posix"
