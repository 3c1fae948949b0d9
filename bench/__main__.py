"""`make bench`: every bench, or one by its name; the table on stdout, JSON beside it.

BENCH=name picks one (several with commas), QUICK=1 does just enough to see that all of it runs.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic

from bench.rows import (
    accounts,
    audit,
    bulk,
    cost,
    fairness,
    growth,
    pools,
    startup,
    throughput,
    utilisation,
    verify,
)
from bench.scale import FULL, QUICK, Scale
from bench.table import Line, as_json, shown

ROWS: Mapping[str, Callable[[Scale, Path], Iterator[Line]]] = {
    row.NAME: row.run
    for row in (
        throughput,
        bulk,
        utilisation,
        accounts,
        fairness,
        growth,
        cost,
        pools,
        verify,
        audit,
        startup,
    )
}
RESULTS = Path(os.environ.get("BENCH_RESULTS") or Path(__file__).parent / "results")


def main(environ: Mapping[str, str]) -> int:
    """Run what was asked for; 2 for a bench that is not there."""
    scale = QUICK if environ.get("QUICK") else FULL
    names = [name for name in environ.get("BENCH", "").split(",") if name] or list(ROWS)
    if strange := [name for name in names if name not in ROWS]:
        sys.stderr.write(f"no bench {', '.join(strange)}; there are: {', '.join(ROWS)}\n")
        return 2
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="bulkdel-bench-") as folder:
        for name in names:
            began = monotonic()
            for line in ROWS[name](scale, Path(folder)):
                lines.append(line)
                sys.stderr.write(f"  {line.bench}: {line.what}: {line.value} {line.verdict}\n")
            sys.stderr.write(f"{name} took {monotonic() - began:.0f} s\n")
    print(shown(lines))
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{'quick' if scale is QUICK else 'full'}-{'-'.join(names)[:60]}.json"
    path.write_text(as_json(lines, machine=machine(), quick=scale is QUICK), encoding="utf-8")
    print(f"\n{machine()}; as JSON: {path}")
    return 0


def machine() -> str:
    """Where it ran."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.platform()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main(os.environ))
