"""Many seeds, or one again with its trace: `python -m tests.simulation --seeds 2000`."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.simulation.history import play
from worker.store.migrate import upgrade


def _of(seed: int, folder: Path) -> tuple[int, list[str], list[str]]:
    return (seed, *play(seed, folder, folder / "template.db"))


def main() -> int:
    """Play the seeds; 1 if one of them does not keep the promises."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="this one alone, with its trace")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began, failed = time.monotonic(), 0
    seeds = range(given.first, given.first + given.seeds)
    with tempfile.TemporaryDirectory(prefix="simulation-") as name:
        folder = Path(name)
        upgrade(f"sqlite:///{folder}/template.db")
        if given.seed is not None:
            _, problems, trace = _of(given.seed, folder)
            print("\n".join([*trace, *problems]))
            return int(bool(problems))
        with ProcessPoolExecutor(given.processes) as pool:
            for seed, problems, trace in pool.map(partial(_of, folder=folder), seeds, chunksize=8):
                if problems:
                    failed += 1
                    print(f"seed {seed}: {problems}\n" + "\n".join(trace), flush=True)
    print(f"{len(seeds)} seeds, {failed} failed, {time.monotonic() - began:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
