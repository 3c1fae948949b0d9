"""One deployment and the rounds played on it: `python -m tests.chaos.lane [--rabbit] [--often]`.

Each line of stdin is a round, `["ROW", SEED]`; what became of it goes to stdout as one line of
JSON. A lane that loses its driver ends, and all it started with it.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from random import Random

from tests.chaos.drill import Drill, a_drill
from tests.chaos.rows import BY_NAME, Row
from tests.chaos.scene import LIMITS, Scene, Told

STRICT = "rate_share = 1.0"
"""So that a call over the limit is seen by the sandbox, and not hidden by our own margin."""


def play(drill: Drill, row: Row, seed: int) -> Told:
    """One round of a row; the same seed strikes at the same place of the same job."""
    began, told = time.monotonic(), Told(row=row.name, seed=seed)
    try:
        site, beside = (drill.site(), drill.site())
        for one in (site, beside):
            drill.configure(one, LIMITS, STRICT, *row.configure(drill, one))
        scene = Scene(drill=drill, rng=Random(seed), told=told, site=site, beside=beside)
        if row.before is not None:
            row.before(scene)
        scene.begin(projects=row.projects)
        row.strike(scene)
        scene.end()
    except Exception as error:  # noqa: BLE001  the round is told, and the others go on
        told.violations.append(f"{type(error).__name__}: {str(error)[:1500]}")
    finally:
        drill.stack.control.clear_faults()
        drill.network.clears()
        drill.mend()
    told.seconds = time.monotonic() - began
    return told


def run(rounds: Iterable[tuple[str, int]], *, rabbit: bool, sweep: float = 10) -> None:
    """Play these rounds and say of each what became of it."""
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    with a_drill(home, rabbit=rabbit, sweep=sweep) as drill:
        for name, seed in rounds:
            told = play(drill, BY_NAME[name], seed)
            print(json.dumps(asdict(told) | {"hit": told.is_hit, "home": str(home)}), flush=True)


def _given() -> Iterable[tuple[str, int]]:
    for line in sys.stdin:
        name, seed = json.loads(line)
        yield name, seed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.pop("BULKDEL_CONFIG", None)
    often = "--often" in sys.argv  # sweeps every 2 s, for the short set
    run(_given(), rabbit="--rabbit" in sys.argv, sweep=2 if often else 10)
