"""The tables of `bulkdel.toml` below and beside an account: limits, guards, policies."""

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from worker.config.fields import (
    Count,
    Duration,
    Ids,
    Options,
    Parameter,
    Positive,
    Reference,
    Reset,
    Section,
    Text,
    Texts,
    Timeout,
    Url,
    Windows,
    Zone,
    fault,
    reader,
)
from worker.config.values import DayReset, Doc
from worker.domain.limits import Purse, Window
from worker.domain.schedule import check_line

Share100 = Annotated[float, Field(ge=0, le=100), Doc(type="number, 0 to 100")]
MIDNIGHT = DayReset(at=time(), zone="UTC")


class Limits(Section):
    """What the provider allows; these defaults are those of Zoho's free plan."""

    windows: Annotated[Windows, Doc(default='[[100, "60s"]]; truto: [[50, "10s"]]')] = Field(
        default=(Window(calls=100, per=timedelta(seconds=60)),),
        description="Calls allowed in any stretch of that length; [] means no such limit.",
    )
    per_day: Annotated[Count, Doc(default="1000; truto: 0")] = Field(
        default=1000, description="Calls allowed a day; 0 means the day is not limited."
    )
    day_resets: Reset = Field(default=MIDNIGHT, description="When the day's calls start anew.")
    in_flight: Positive = Field(default=5, description="Calls on their way at the same time.")

    def as_purse(self, name: str, *, rate_share: float, day_share: float) -> Purse:
        """The purse that has these limits."""
        return Purse(
            name=name,
            windows=self.windows,
            per_day=self.per_day or None,
            day_reset=self.day_resets.at,
            day_zone=self.day_resets.zone,
            in_flight=self.in_flight,
            rate_share=rate_share,
            day_share=day_share,
        )


class SharedPurse(Limits):
    """Limits that several accounts share, beside their own; nothing is limited unless set."""

    given: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str = Field(description="The purse's name.")
    windows: Windows = Field(
        default=(),
        description="Calls allowed in any stretch of that length; [] means no such limit.",
    )
    per_day: Count = Field(
        default=0, description="Calls allowed a day; 0 means the day is not limited."
    )
    in_flight: Positive = Field(default=100, description="Calls on their way at the same time.")


class OAuth(Section):
    """A refresh token and what it takes to use it."""

    client_id: Reference = Field(description="Where the client's id is.")
    client_secret: Reference = Field(description="Where the client's secret is.")
    refresh_token: Reference = Field(description="Where the refresh token is.")
    token_url: Annotated[Url, Doc(default="the one of base_url's data centre")] = Field(
        description="Address that gives access tokens, of your data centre."
    )


class BulkDelete(Section):
    """The provider's bulk delete of projects."""

    enabled: bool = Field(default=False, description="Whether projects may go in chunks.")
    parameter: Parameter = Field(
        default="project_ids", description="Name of the query parameter that carries the ids."
    )
    size: Annotated[int, Field(ge=1, le=200), Doc(type="whole number, 1 to 200")] = Field(
        default=25, description="Projects in one chunk."
    )


class Protect(Section):
    """What no job may delete."""

    ids: Ids = Field(default=(), description="Ids that are never deleted.")
    names: Texts = Field(
        default=(), description="Shell patterns of names that are never deleted; case counts."
    )


class Grace(Section):
    """The time between the confirmation of a large job and its start."""

    above: Count = Field(default=500, description="Jobs with more items than this wait.")
    wait: Duration = Field(
        default=timedelta(minutes=15), description="How long they wait; 0s means not at all."
    )


class Canary(Section):
    """The first part of a large job, which must go well before the rest follows."""

    above: Count = Field(default=100, description="Jobs with more items than this have one.")
    percent: Annotated[float, Field(gt=0, le=100), Doc(type="number, above 0 and at most 100")] = (
        Field(default=1, description="Its size, in percent of the items.")
    )
    min: Positive = Field(default=5, description="Its size, at least.")
    hold: Duration = Field(
        default=timedelta(), description="How long the rest waits after it has gone well."
    )


class Breakers(Section):
    """When a job stops by itself, by how its items end; 0 turns one off."""

    failed_percent: Share100 = Field(
        default=50, description="Percent of failed items at which a job ends as failed; 0: never."
    )
    failed_after: Count = Field(default=100, description="Items that ended before that counts.")
    failed_in_a_row: Count = Field(
        default=20,
        description="Items that fail in a row, at which a job ends as failed; 0: never.",
    )
    absent_percent: Share100 = Field(
        default=20, description="Percent of absent projects above which a job pauses; 0: never."
    )
    absent_first: Count = Field(
        default=50, description="Projects looked at first, among which that counts."
    )


class Guard(Section):
    """Bounds above which a plan waits for a person; a bound not set is not checked."""

    max_items: Positive | None = Field(default=None, description="Items, at most.")
    max_percent: (
        Annotated[float, Field(gt=0, le=100), Doc(type="number, above 0 and at most 100")] | None
    ) = Field(default=None, description="Percent of the account's projects, at most.")
    max_times_median: Annotated[float, Field(gt=0), Doc(type="number, above 0")] | None = Field(
        default=None, description="Times the median of its last ten runs, at most."
    )


def _as_filters(raw: object) -> object:
    if not isinstance(raw, Mapping):
        return raw
    if not raw:
        raise fault(
            "must have at least one filter: an empty one is never read as everything",
            fix='write it like { status = "inactive" }',
        )
    for name, value in raw.items():
        if not isinstance(value, str | int) or not str(value).strip() or not str(name).strip():
            raise fault(
                "must be text, a whole number, true or false, and not blank", under=(str(name),)
            )
    return {name: _as_text(value) for name, value in raw.items()}


def _as_text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Policy(Section):
    """A scheduled cleanup. Its filters and kinds are those of its account's provider."""

    given: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str = Field(description="The policy's name.")
    account: Text = Field(description="The account it cleans up.")
    schedule: Annotated[str, reader(check_line), Doc(type="text")] = Field(
        description="When it runs: five fields of cron (a sixth before them is the second)."
    )
    timezone: Zone = Field(default="UTC", description="The time zone of its schedule.")
    start_within: Timeout = Field(
        default=timedelta(hours=1),
        description="How late a run may start, if nothing could start it in time; "
        "later, or once the next one is due, it is recorded as missed.",
    )
    select: Annotated[
        dict[str, str], BeforeValidator(_as_filters), Doc(type="table of filters")
    ] = Field(description="What it deletes: filters of the provider, and the portable ones.")
    cascade: Texts = Field(
        default=(), description="Kinds of children that go first, as for `--cascade`."
    )
    cascade_mode: Literal["foreground", "background"] = Field(
        default="foreground", description="As `--cascade-mode`."
    )
    keep_projects: bool = Field(default=False, description="As `--keep-projects`.")
    recheck_children: bool = Field(default=True, description="As `--recheck-children`.")
    on_child_refused: Literal["stop", "proceed"] = Field(
        default="stop", description="As `--on-child-refused`."
    )
    options: Options = Field(default=(), description="As `--provider-option`.")
    priority: Annotated[int, Field(ge=0, le=9), Doc(type="whole number, 0 to 9")] = Field(
        default=5, description="As `--priority`."
    )
    reason: Annotated[str, StringConstraints(pattern=r"\S", max_length=400), Doc(type="text")] = (
        Field(default="scheduled cleanup", description="Why, for the audit log.")
    )
    guard: Guard = Field(
        default=Guard(), description="Bounds above which its plan waits for a person."
    )
    confirm: Literal["ask", "auto"] = Field(
        default="ask",
        description="Whether a person confirms each run, or it does so itself within its guard "
        "and the account's `max_items`.",
    )
