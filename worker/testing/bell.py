"""A doorbell nobody hears, that remembers who rang."""

from datetime import timedelta


class SilentBell:
    """Keeps the contract of `worker.ports.DoorBell`; `rung` is its record."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, timedelta]] = []

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        self.rung.append((account, after))
