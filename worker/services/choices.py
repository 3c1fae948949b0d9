"""What a request may choose of a provider beside ids: filters, options, cleanup, the timer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from worker.domain.calls import Action
from worker.domain.catalogue import Catalogue
from worker.domain.errors import InvalidInput
from worker.domain.filters import Filter, Filters, parse
from worker.domain.options import Option, Options
from worker.domain.options import parse as parse_options
from worker.ports import Job
from worker.services.choose import Work

NO_FILTERS = Filters()
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an account's provider takes, and the time from which ages count back."""

    filters: tuple[Filter, ...] = ()
    options: tuple[Option, ...] = ()
    now: datetime = EPOCH
    place: str = ""  # where the account leads: API and organisation
    hours: str = ""  # when its jobs may delete; empty: always


def chosen_filters(given: Sequence[str] | None, choices: Choices) -> Filters:
    """The filters of a request; none at all if it names its projects by id.

    InvalidInput naming what there is; an empty selection is never "all".
    """
    if given is None:
        return NO_FILTERS
    if not choices.filters:
        raise InvalidInput("this provider has no filters", fix="name the projects by their ids")
    return parse(choices.filters, given, choices.now)


def selection_of(job: Job, specs: Sequence[Filter]) -> Filters:
    """The filters a job is kept with, understood; none at all if it was given ids."""
    if not job.options.filters:
        return NO_FILTERS
    given = [f"{name}={value}" for name, value in job.options.filters.items()]
    return parse(specs, given, job.created_at)


def chosen_options(given: Sequence[str], choices: Choices) -> Options:
    """The provider's own settings of a request's deletions; InvalidInput naming what there is."""
    if given and not choices.options:
        raise InvalidInput("this provider has no options", fix="leave --provider-option out")
    return parse_options(choices.options, given)


def with_options(work: Work, job: Job) -> Work:
    """The call as it leaves: a deletion carries the options of its job."""
    options = job.options.provider_options
    if not options or work.call.action is not Action.DELETE:
        return work
    return replace(work, call=replace(work.call, options=options))


def check_cleanup(cascade: Sequence[str], *, background: bool) -> None:
    """Raise InvalidInput unless children can go while their projects stay."""
    if not cascade:
        raise InvalidInput(
            "--keep-projects leaves nothing to delete without children",
            fix="say which children go with --cascade",
        )
    if background:
        raise InvalidInput(
            "--keep-projects deletes each child by a call of its own",
            fix="leave --cascade-mode background out",
        )


def check_timer(catalogue: Catalogue) -> None:
    """Raise InvalidInput unless the provider has a timer to stop."""
    if not catalogue.has_timer:
        raise InvalidInput(f"{catalogue.provider} has no timer", fix="leave --stop-timer out")
