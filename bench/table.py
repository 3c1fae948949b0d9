"""What a bench found: one line of the table each, and the same as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure. `met`: None where there is no target, or nothing to measure yet."""

    bench: str
    what: str
    value: str
    target: str = ""
    met: bool | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """For people: met, MISSED, or nothing."""
        return "" if self.met is None else "met" if self.met else "MISSED"


def ratio(bench: str, what: str, value: float, *, least: float, **facts: object) -> Line:
    """A ratio that has to be at least so large."""
    return Line(
        bench=bench,
        what=what,
        value=f"{value:.2f} x",
        target=f">= {least:g} x",
        met=value >= least,
        facts={"ratio": value, **facts},
    )


def at_most(bench: str, what: str, value: float, *, most: float, **facts: object) -> Line:
    """A ratio that has to be at most so large."""
    return Line(
        bench=bench,
        what=what,
        value=f"{value:.3g} x",
        target=f"<= {most:g} x",
        met=value <= most,
        facts={"ratio": value, **facts},
    )


def shown(lines: Sequence[Line]) -> str:
    """The table as text."""
    rows = [("bench", "what", "value", "target", "")]
    rows += [(one.bench, one.what, one.value, one.target, one.verdict) for one in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_json(lines: Sequence[Line], **about: object) -> str:
    """All of it, one object."""
    return json.dumps({**about, "lines": [asdict(one) for one in lines]}, indent=1)
