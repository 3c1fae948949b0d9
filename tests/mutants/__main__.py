"""Puts known bugs into a copy of the tree and sees whether the tests notice: `make mutants`.

A patch begins with what the bug is and with the tests that must catch it.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
SOME_FAILED = 1
"""pytest's exit code where tests ran and failed; others say that they could not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One bug, as a patch."""

    path: Path
    what: str
    caught_by: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Mutant":
        what, by, *_ = path.read_text(encoding="utf-8").splitlines()
        return cls(path=path, what=what, caught_by=tuple(by.removeprefix("Caught by: ").split()))


def mutants() -> list[Mutant]:
    """All of them, in order."""
    return [Mutant.read(path) for path in sorted(HERE.glob("*.patch"))]


def apply(mutant: Mutant, tree: Path, *options: str) -> str:
    """Put the bug in; returns what git says against it, nothing if it went in."""
    command = ["git", "apply", *options, str(mutant.path)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def verdict_on(mutant: Mutant) -> tuple[bool, str]:
    """Whether it is caught, and by what."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        tree = Path(name) / "tree"
        shutil.copytree(REPOSITORY, tree, ignore=LEFT_BEHIND)
        if refused := apply(mutant, tree):
            return False, f"the patch does not fit any more: {refused.strip()}"
        pytest = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
        ]
        asked = [*pytest, "-m", "integration or not integration", *mutant.caught_by]
        done = subprocess.run(asked, cwd=tree, capture_output=True, text=True, check=False)
    failed = re.findall(r"^FAILED (\S+)", done.stdout, flags=re.MULTILINE)
    if done.returncode == SOME_FAILED and failed:
        return True, failed[0]
    return False, (done.stdout + done.stderr)[-800:]


def main() -> int:
    """Try each of them; 1 if one is not caught."""
    caught = 0
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    there = [mutant for mutant in mutants() if wanted in mutant.path.name]
    for mutant in there:
        is_caught, by = verdict_on(mutant)
        caught += is_caught
        word = "caught by" if is_caught else "NOT CAUGHT:"
        print(f"{mutant.path.stem:34} {word} {by}", flush=True)
    print(f"{caught} of {len(there)} caught")
    return 0 if caught == len(there) else 1


if __name__ == "__main__":
    sys.exit(main())
