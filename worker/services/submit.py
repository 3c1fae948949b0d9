"""Taking a job in: the request checked, its ids hashed on the way, kept in one transaction."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import UnionType
from typing import Protocol

from worker.domain.catalogue import Catalogue, check_id
from worker.domain.errors import InvalidInput
from worker.domain.text import clean
from worker.ports import JobOptions, Knobs, NewJob, Submitted, Who
from worker.services.choices import (
    Choices,
    check_cleanup,
    check_timer,
    chosen_filters,
    chosen_options,
)

REASON_LENGTH = 500
KEY_LENGTH = 200
BAD_IDS_SHOWN = 5
NOTHING_ELSE = Choices()


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """Of which policy a request is a run, and what the policy allows it; no slot: by hand."""

    policy: str
    slot: datetime | None = None
    confirms_itself: bool = False
    max_items: int | None = None
    max_percent: float | None = None
    max_times_median: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteProjects:
    """A request to delete projects, as a person or another service makes it.

    `cascade` is required where the provider has child kinds: words such as `all`, `none`, or a
    list of kinds. `filters` select the projects in the place of ids, as `key=value`;
    `provider_options` are the provider's own settings of each deletion, written alike.
    `keep_projects`: only their children go. `reason` says why, for the audit log.
    """

    account: str
    reason: str
    cascade: Sequence[str] | None = None
    cascade_mode: str = "foreground"  # or "background"
    recheck_children: bool = True
    on_child_refused: str = "stop"  # or "proceed"
    key: str | None = None  # idempotency key
    dry_run: bool = False
    max_items: int | None = None
    priority: int = 5
    not_before: datetime | None = None
    yes: bool = False
    parent_job_id: str | None = None
    filters: Sequence[str] | None = None
    provider_options: Sequence[str] = ()
    keep_projects: bool = False
    stop_timer: bool = False
    firing: Firing | None = None  # set for a policy's run alone


_BY_HAND = Firing(policy="")
_TYPES: Sequence[tuple[str, type | UnionType, str]] = (
    *((name, bool, "true or false") for name in ("dry_run", "yes", "keep_projects")),
    *((name, bool, "true or false") for name in ("recheck_children", "stop_timer")),
    ("reason", str, "a text"),
    ("key", str | None, "a text"),
    ("priority", int, "a whole number"),
    ("max_items", int | None, "a whole number"),
)


class SubmitStore(Protocol):
    """What taking a job in asks of the store."""

    def submit(
        self,
        new: NewJob,
        ids: Iterable[tuple[int, str]],
        digest: "Digest",
        rank: int,
    ) -> Submitted:
        """Keep a job with its items, in one transaction."""
        ...


class Digest:
    """SHA-256 of a request: its options, and its ids as they stream by."""

    def __init__(self, header: str) -> None:
        self._hash = hashlib.sha256(header.encode())

    def watch(self, ids: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """The same ids, hashed as they pass."""
        for line, external_id in ids:
            self._hash.update(f"\n{external_id}".encode())
            yield line, external_id

    def __call__(self) -> str:
        return self._hash.hexdigest()


def submit(
    request: DeleteProjects,
    ids: Iterable[tuple[int, str]],
    *,
    catalogue: Catalogue,
    who: Who,
    store: SubmitStore,
    choices: Choices = NOTHING_ELSE,
) -> Submitted:
    """Keep the job; the caller rings the doorbell afterwards.

    `ids` gives (line, id) and may be a stream: nothing is kept if it raises. A request with
    filters comes without any. Raises InvalidInput for a request that cannot be a job, KeyReused
    for a key of another request.
    """
    new = new_job(request, catalogue=catalogue, who=who, choices=choices)
    asked = chosen_filters(request.filters, choices).asked
    digest = Digest(_header(new, asked))
    wanted = check_ids(ids, catalogue) if request.filters is None else no_ids(ids)
    rank = catalogue.rank(catalogue.project.name)
    return store.submit(new, digest.watch(wanted), digest, rank)


def new_job(
    request: DeleteProjects,
    *,
    catalogue: Catalogue,
    who: Who,
    choices: Choices = NOTHING_ELSE,
) -> NewJob:
    """The request as a job; InvalidInput names what is wrong with it and what there is."""
    _check_types(request)
    _check_text(request)
    return NewJob(
        account=request.account,
        provider=catalogue.provider,
        place=choices.place,
        action="cleanup" if request.keep_projects else "delete_projects",
        options=_options(request, catalogue, choices),
        reason=clean(request.reason, len(request.reason)).strip(),
        who=who,
        key=request.key,
        dry_run=request.dry_run,
        priority=request.priority,
        not_before=request.not_before,
        parent_job_id=request.parent_job_id,
        knobs=Knobs(hours=choices.hours),
        policy=request.firing.policy if request.firing else None,
        slot=request.firing.slot if request.firing else None,
    )


def _options(request: DeleteProjects, catalogue: Catalogue, choices: Choices) -> JobOptions:
    cascade = _cascade(request, catalogue)
    if request.cascade_mode not in {"foreground", "background"}:
        raise InvalidInput(
            f"no cascade mode {request.cascade_mode!r}", fix="use foreground or background"
        )
    if request.on_child_refused not in {"stop", "proceed"}:
        raise InvalidInput(f"no such choice {request.on_child_refused!r}", fix="stop or proceed")
    background = request.cascade_mode == "background"
    if request.keep_projects:
        check_cleanup(cascade, background=background)
    if request.stop_timer:
        check_timer(catalogue)
    project_goes = bool(cascade) and not (background or request.keep_projects)
    firing = request.firing or _BY_HAND
    return JobOptions(
        cascade=cascade,
        background=background,
        recheck=request.recheck_children and project_goes,
        keep_projects=request.keep_projects,
        on_child_refused=request.on_child_refused,
        stop_timer=request.stop_timer,
        max_items=request.max_items,
        auto_confirm=request.yes,
        filters=dict(chosen_filters(request.filters, choices).canonical),
        provider_options=chosen_options(request.provider_options, choices),
        confirms_itself=firing.confirms_itself,
        guard_max_items=firing.max_items,
        guard_max_percent=firing.max_percent,
        guard_max_times_median=firing.max_times_median,
    )


def _check_types(request: DeleteProjects) -> None:
    """Programs hand in what they like: "no" would be a yes to some of us, and a no to others."""
    for name, type_, said in _TYPES:
        if not isinstance(getattr(request, name), type_):
            raise InvalidInput(f"`{name}` is {said}")


def _check_text(request: DeleteProjects) -> None:
    reason = clean(request.reason, len(request.reason)).strip()
    if not reason or len(reason) > REASON_LENGTH:
        raise InvalidInput(
            f"a job needs a reason of 1 to {REASON_LENGTH} characters",
            fix='--reason "why these go"',
        )
    key = request.key
    if key is not None and not (key.strip() and len(key) <= KEY_LENGTH and key.isprintable()):
        raise InvalidInput(f"an idempotency key has 1 to {KEY_LENGTH} printable characters")
    if not 0 <= request.priority <= 9:  # noqa: PLR2004  the published range
        raise InvalidInput("a priority is 0 to 9", fix="9 goes first, 5 is the default")
    if request.max_items is not None and request.max_items < 1:
        raise InvalidInput("--max-items is at least 1")
    if request.not_before is not None and not _is_instant(request.not_before):
        raise InvalidInput("--not-before is no instant", fix="2026-01-31T03:00:00+00:00")


def _is_instant(at: datetime) -> bool:
    """Whether a time has a zone, and is one in UTC too."""
    try:
        return at.tzinfo is not None and at.astimezone(UTC) is not None
    except OverflowError:
        return False


def _cascade(request: DeleteProjects, catalogue: Catalogue) -> tuple[str, ...]:
    if request.cascade is not None:
        return catalogue.choose(request.cascade)
    if not catalogue.children:
        return ()
    kinds = ", ".join(f"{kind.name}s" for kind in catalogue.children)
    raise InvalidInput(
        "say what happens to the children of the projects",
        fix=f"--cascade all, --cascade none, or a list of: {kinds}",
    )


def check_ids(ids: Iterable[tuple[int, str]], catalogue: Catalogue) -> Iterator[tuple[int, str]]:
    """The ids that pass, streamed; InvalidInput at the end names the lines that do not.

    An input without any id is an error too: it never means "all".
    """
    bad: list[str] = []
    wrong = count = 0
    for line, external_id in ids:
        count += 1
        try:
            check_id(catalogue.project, _text(external_id))
        except InvalidInput as error:
            wrong += 1
            if len(bad) < BAD_IDS_SHOWN:
                bad.append(f"line {line}: {error.what}")
            continue
        yield line, external_id
    if wrong:
        more = f" (and {wrong - len(bad)} more)" if wrong > len(bad) else ""
        pattern = catalogue.project.id_pattern
        raise InvalidInput(
            f"{wrong} of {count} ids cannot be ids of a project: {'; '.join(bad)}{more}",
            fix=f"project ids of {catalogue.provider} match {pattern}",
        )
    if not count:
        raise InvalidInput(
            "there is no id in the input", fix="give at least one id: nothing never means all"
        )


def _text(external_id: object) -> str:
    if isinstance(external_id, str):
        return external_id
    raise InvalidInput(f"an id is a text, not {external_id!r:.40}")


def no_ids(ids: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Nothing: filters select the projects. InvalidInput if there is an id all the same."""
    for line, _ in ids:
        raise InvalidInput(
            f"line {line} is an id, and there are filters too", fix="give either ids or filters"
        )
    return iter(())


def _header(new: NewJob, asked: Sequence[tuple[str, str]]) -> str:
    """A request without its ids; ages stay ages, so that asking again is the same request."""
    facts = {
        "account": new.account,
        "place": new.place,
        "action": new.action,
        "dry_run": new.dry_run,
        "options": asdict(replace(new.options, filters=dict(asked))),
        "not_before": new.not_before and new.not_before.astimezone(UTC),
        "parent": new.parent_job_id,
    }
    return json.dumps(facts, sort_keys=True, default=str)
