"""Puts a package with entry points where Python looks for packages, as an installer would."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

HERE = Path(__file__).parent


@contextmanager
def installed(folder: Path, entries: dict[str, str]) -> Iterator[None]:
    """A distribution in `folder` that offers these entry points, with our plugins beside it."""
    meta = folder / "trackly-1.0.dist-info"
    meta.mkdir(parents=True)
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: trackly\nVersion: 1.0\n")
    lines = [f"{name} = {place}" for name, place in entries.items()]
    (meta / "entry_points.txt").write_text("\n".join(["[bulkdel.providers]", *lines, ""]))
    added = [str(folder), str(HERE)]
    sys.path[:0] = added
    invalidate_caches()
    try:
        yield
    finally:
        for place in added:
            sys.path.remove(place)
        sys.modules.pop("trackly", None)
        invalidate_caches()
