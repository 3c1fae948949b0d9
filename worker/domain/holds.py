"""Holds: objects that nobody may delete for a while, whose they are, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from worker.domain.outcomes import Outcome
from worker.domain.text import same_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One object that is held. `owner` is who is to be asked; it holds for ever without an end."""

    id: int
    account: str
    external_id: str
    owner: str
    reason: str
    actor: str
    created_at: datetime
    expires_at: datetime | None = None
    removed_at: datetime | None = None
    removed_by: str = ""

    def is_live(self, now: datetime) -> bool:
        """Whether it holds at this time."""
        ended = self.expires_at is not None and self.expires_at <= now
        return self.removed_at is None and not ended

    @property
    def said(self) -> str:
        """Who holds it, until when and why, for the reason of an item."""
        until = f" until {self.expires_at:%Y-%m-%d %H:%M} UTC" if self.expires_at else ""
        return f"held by {self.owner}{until}: {self.reason} (hold {self.id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What is held of an account now. Holds that cannot be read hold everything."""

    by_id: Mapping[str, Hold] = field(default_factory=dict)  # by the provider's id
    unreadable: str = ""  # why they cannot be read
    _spelled: Mapping[str, Hold] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spelled = {same_id(external_id): hold for external_id, hold in self.by_id.items()}
        object.__setattr__(self, "_spelled", spelled)

    def why(self, external_id: str) -> str:
        """Why an object stays; empty if nothing holds it."""
        if self.unreadable:
            return f"the holds cannot be read: {self.unreadable}"
        held = self._spelled.get(same_id(external_id))
        return held.said if held else ""

    @property
    def outcome(self) -> Outcome:
        """How items end that these holds spare."""
        return Outcome.FAILED_PRECHECK if self.unreadable else Outcome.SKIPPED_HELD


NO_HOLDS = Holds()
