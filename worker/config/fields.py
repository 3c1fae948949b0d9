"""What the fields of `bulkdel.toml` are made of: the strict section, and its kinds of values."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from worker.config.values import (
    DayReset,
    Doc,
    parse_base_url,
    parse_day_reset,
    parse_duration,
    parse_reference,
    parse_url,
    parse_zone,
)
from worker.domain.errors import InvalidInput
from worker.domain.hours import Hours
from worker.domain.limits import Window

FAULT = "bulkdel"
UNKNOWN = "bulkdel_unknown"

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
ID = r"^[0-9A-Za-z_-]{1,64}$"
PROVIDER = r"^[a-z][a-z0-9_-]{0,62}$"
DIALECT = r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,31})?$"
PARAMETER = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"

_PAIR = 2


class Section(BaseModel):
    """One table of the file: frozen, strict, and no key besides its own.

    Messages never show what was written: it may be a secret in the wrong place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    given: ClassVar[frozenset[str]] = frozenset()
    """Fields that are no keys of the table: its own name."""

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """The keys that the table may have."""
        return tuple(name for name in cls.model_fields if name not in cls.given)


def fault(
    what: str, *, fix: str = "", under: tuple[str, ...] = (), kind: str = FAULT
) -> PydanticCustomError:
    """A rule that was broken; `under` leads from the section to the key meant."""
    # The template is fixed, so that no brace of the message is read as a field of it.
    context = {"what": what, "fix": fix, "under": under}
    if kind == UNKNOWN:
        return PydanticCustomError("bulkdel_unknown", "{what}", context)
    return PydanticCustomError("bulkdel", "{what}", context)


def reader(
    parse: Callable[[object], object], *, done: type | tuple[type, ...] = ()
) -> BeforeValidator:
    """Read a value with `parse`; what is already of the type `done` is left as it is."""

    def read(raw: object) -> object:
        if done and isinstance(raw, done):
            return raw
        try:
            return parse(raw)
        except InvalidInput as error:
            broken = fault(error.what, fix=error.fix)
        raise broken

    return BeforeValidator(read)


def parse_windows(raw: object) -> tuple[Window, ...]:
    """Read `[[100, "60s"], …]`, or windows as they are; raises InvalidInput."""
    if not isinstance(raw, list | tuple):
        raise _not_windows()
    return tuple(entry if isinstance(entry, Window) else _window(entry) for entry in raw)


def _window(entry: object) -> Window:
    if not isinstance(entry, list | tuple) or len(entry) != _PAIR:
        raise _not_windows()
    calls, per = entry
    if not isinstance(calls, int) or isinstance(calls, bool) or calls < 1:
        raise _not_windows()
    if not (duration := parse_duration(per)):
        raise _not_windows()
    return Window(calls=calls, per=duration)


def _not_windows() -> InvalidInput:
    return InvalidInput(
        "must be a list of pairs of calls and duration, both above zero",
        fix='write it like [[100, "60s"]]; [] means no such limit',
    )


def parse_options(raw: object) -> tuple[tuple[str, str], ...]:
    """Read a table of a provider's own options; what they may say is known where they are used.

    A list is written with commas, and what stands in a table of its own under NAME.KEY.
    """
    if not isinstance(raw, Mapping):
        raise InvalidInput("must be a table", fix='write it like { name = "value" }')
    pairs: list[tuple[str, str]] = []
    for name, value in raw.items():
        if isinstance(value, Mapping):
            pairs.extend((f"{name}.{key}", _option(inner)) for key, inner in value.items())
        else:
            pairs.append((str(name), _option(value)))
    return tuple(pairs)


def _option(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(_option, value))
    if not isinstance(value, str | int) or not str(value).strip():
        raise InvalidInput("must be text, a whole number, true or false, and not blank")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _above_zero(duration: timedelta) -> timedelta:
    if not duration:
        raise fault("must be above zero", fix='write it like "15s"')
    return duration


def _hours(raw: object) -> object:
    if not isinstance(raw, str) or not raw.strip():
        raise InvalidInput("must be hours of a day", fix='write them like "22:00-06:00 UTC"')
    return str(Hours.parse(raw))


Percent = Annotated[float, Field(gt=0, le=100), Doc(type="number, above 0 and at most 100")]
HoursOfDay = Annotated[str, reader(_hours), Doc(type="hours and zone: 22:00-06:00 Europe/Berlin")]
Duration = Annotated[timedelta, reader(parse_duration, done=timedelta), Doc(type="duration")]
Timeout = Annotated[
    timedelta,
    reader(parse_duration, done=timedelta),
    AfterValidator(_above_zero),
    Doc(type="duration"),
]
Reset = Annotated[
    DayReset, reader(parse_day_reset, done=DayReset), Doc(type="time of day and zone")
]
Zone = Annotated[str, reader(parse_zone), Doc(type="time zone")]
Windows = Annotated[
    tuple[Window, ...], reader(parse_windows), Doc(type="list of [calls, duration]")
]
Reference = Annotated[str, reader(parse_reference), Doc(type='"env:NAME" or "file:PATH"')]
BaseUrl = Annotated[str, reader(parse_base_url), Doc(type="address")]
Url = Annotated[str, reader(parse_url), Doc(type="address")]
Text = Annotated[str, StringConstraints(pattern=r"\S"), Doc(type="text")]
Texts = Annotated[tuple[Text, ...], Field(strict=False), Doc(type="list of text")]
Ids = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^\S+$")], ...],
    Field(strict=False),
    Doc(type="list of text"),
]
Id = Annotated[str, StringConstraints(pattern=ID), Doc(type="text")]
Parameter = Annotated[str, StringConstraints(pattern=PARAMETER), Doc(type="text")]
ProviderName = Annotated[str, StringConstraints(pattern=PROVIDER), Doc(type="text")]
DialectName = Annotated[str, StringConstraints(pattern=DIALECT), Doc(type="text")]
Options = Annotated[
    tuple[tuple[str, str], ...],
    reader(parse_options, done=tuple),
    Doc(type="table of options", default="{}"),
]
Share = Annotated[float, Field(gt=0, le=1), Doc(type="number, above 0 and at most 1")]
Count = Annotated[int, Field(ge=0), Doc(type="whole number")]
Positive = Annotated[int, Field(ge=1), Doc(type="whole number, at least 1")]
