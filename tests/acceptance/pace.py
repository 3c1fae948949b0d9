"""What a provider saw of an account's calls, held against the limits that it set."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an organisation allows, the same for it and for us: nothing is kept back."""

    windows: Sequence[tuple[int, float]]
    per_day: int = 1_000_000
    in_flight: int = 5
    lines: tuple[str, ...] = ("rate_share = 1.0", "day_share = 1.0")
    of_sandbox: dict[str, Any] = field(default_factory=dict)
    day_resets: str = "00:00 UTC"

    def set(self, site: Site) -> None:
        """Have the sandbox watch over them, and tell them to the account."""
        given = {"per_day": self.per_day, "in_flight": self.in_flight, **self.of_sandbox}
        site.stack.control.limits(site.organization, windows=self.windows, **given)
        windows = [[calls, f"{seconds:g}s"] for calls, seconds in self.windows]
        told = (
            f"limits = {{ windows = {windows}, per_day = {self.per_day}, "
            f'in_flight = {self.in_flight}, day_resets = "{self.day_resets}" }}'
        )
        site.configure(told.replace("'", '"'), *self.lines)


def meter(site: Site) -> dict[str, Any]:
    """What the sandbox counted of an organisation's calls."""
    found: dict[str, Any] = site.stack.control.stats()["organizations"][site.organization]
    return found


def passed(site: Site, limits: Limits) -> list[str]:
    """Every limit that the sandbox's ledger shows passed, and every refusal."""
    ledger = site.ledger()
    found = [f"refused: {row}" for row in ledger if row["status"] == 429]
    at = sorted(row["started"] for row in ledger)
    for calls, seconds in limits.windows:
        over = [n for n in range(len(at) - calls) if at[n + calls] - at[n] <= seconds]
        found += [f"more than {calls} calls in {seconds:g} s from {at[n]}" for n in over[:3]]
    seen = meter(site)
    most = seen["in_flight"]["peak"]
    if most > limits.in_flight:
        found.append(f"{most} in flight, {limits.in_flight} allowed")
    if seen["day"]["peak"] > limits.per_day:
        found.append(f"{seen['day']['peak']} calls in a day, {limits.per_day} allowed")
    return found + [f"over {name}: {count}" for name, count in seen["over"].items() if count]


def pause(site: Site, since: float) -> float:
    """Seconds from then on until the next call came."""
    later = [row["started"] for row in site.ledger() if row["started"] > since]
    return min(later, default=float("inf")) - since
