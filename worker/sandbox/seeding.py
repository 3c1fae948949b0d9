"""Made-up projects: the same ids, names and dates every time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as checked

from worker.sandbox.state import CHILD_KINDS, Child, Kind, Organization, Project, Traits

FIRST_ID = 4_600_000_000_440_001
# Children of one kind have their ids this far from their project's, so no two kinds ever meet.
KIND_STEP = 10_000_000_000
PROJECT_STEP = 1_000
CUSTOMER_ID = "5000000005007"
CREATED_FROM = "2025-01-06T10:05:43+0530"
STRICT = ConfigDict(extra="forbid")
Turns = str | tuple[str, ...]  # one for all, or several that take turns
TRAITS = (
    *("customer_id", "customer_name", "description", "billing_type", "budget_type"),
    *("owner", "stage", "account"),
)
Amount = Annotated[int, Field(ge=0, lt=PROJECT_STEP)]


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Seed:
    """How much to make, and of what sort.

    `{n}` in names and descriptions is the number; several values of one field take turns;
    without `modified_from`, a project was last changed when it was made.
    """

    organization_id: str
    projects: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    tasks: Amount = 0
    users: Amount = 0
    documents: Amount = 0
    comments: Amount = 0
    system_comments: Amount = 0
    current_user: bool = False
    shared_users: bool = True
    first_id: Annotated[int, Field(ge=1, le=9_000_000_000_000_000_000)] | None = None
    names: str = "Project {n}"
    status: Turns = "active"
    created_from: str = CREATED_FROM
    created_step: Annotated[float, Field(ge=0)] | None = None
    modified_from: str | None = None
    modified_step: Annotated[float, Field(ge=0)] = 0.0
    customer_id: Turns = CUSTOMER_ID
    customer_name: Turns = ()
    description: Turns = ()
    billing_type: Turns = "based_on_project_hours"
    budget_type: Turns = "total_project_cost"
    rate: tuple[float, ...] = (100.0,)
    owner: Turns = ()
    stage: Turns = ()
    account: Turns = ()
    tags: tuple[tuple[str, ...], ...] = ()
    token: str | None = None

    @model_validator(mode="after")
    def _has_a_status(self) -> Self:
        for name in ("status", "customer_id", "billing_type", "budget_type", "rate"):
            if not getattr(self, name):
                raise ValueError(f"{name}: at least one is needed")
        moment(self.created_from)
        if self.modified_from is not None:
            moment(self.modified_from)
        return self

    @property
    def step(self) -> float:
        """Seconds between two projects: some hours, or less so that all fit into half a year."""
        if self.created_step is not None:
            return self.created_step
        return min(23_820.0, 15_000_000.0 / max(1, self.projects))


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class GivenChild:
    """A child as it is given by hand."""

    id: str
    name: str | None = None
    is_current_user: bool = False
    is_system: bool = False


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class GivenProject:
    """A project as it is given by hand; of one that lives already, only what is given changes."""

    project_id: str
    project_name: str | None = None
    status: str | None = None
    created_time: str | None = None
    last_modified_time: str | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    description: str | None = None
    billing_type: str | None = None
    budget_type: str | None = None
    rate: float | None = None
    from_zoho_people: bool | None = None
    owner: str | None = None
    stage: str | None = None
    account: str | None = None
    tags: tuple[str, ...] | None = None
    tasks: tuple[GivenChild, ...] = ()
    users: tuple[GivenChild, ...] = ()
    documents: tuple[GivenChild, ...] = ()
    comments: tuple[GivenChild, ...] = ()


def moment(text: str) -> float:
    """Seconds since the epoch for an ISO time with an offset; without one it is UTC."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def sow(organization: Organization, seed: Seed) -> list[str]:
    """Make the projects of a seed; what is returned is their ids."""
    if seed.token is not None:
        organization.rules = replace(organization.rules, token=seed.token)
    sown = list(_projects(seed, organization.seeded))
    organization.add(sown)
    organization.seeded += len(sown)
    return [project.id for project in sown]


def put(organization: Organization, given: GivenProject, now: float) -> None:
    """Make a project by hand, or change one that lives."""
    known = organization.projects.get(given.project_id)
    if known is None:
        at = moment(given.created_time) if given.created_time else now
        known = Project(
            id=given.project_id,
            name=given.project_name or f"Project {given.project_id}",
            status="active",
            created_at=at,
            modified_at=at,
            traits=Traits(customer_id=CUSTOMER_ID),
        )
    _change(known, given)
    for kind, children in _given_children(given):
        known.children[kind].update((child.id, child) for child in children)
    organization.add([known])


def _change(project: Project, given: GivenProject) -> None:
    project.name = given.project_name or project.name
    project.status = given.status or project.status
    for name in (*TRAITS, "rate", "from_zoho_people", "tags"):
        value = getattr(given, name)
        if value is not None:
            setattr(project.traits, name, value)
    if given.created_time:
        project.created_at = moment(given.created_time)
    if given.last_modified_time:
        project.modified_at = moment(given.last_modified_time)


def _given_children(given: GivenProject) -> Iterator[tuple[Kind, list[Child]]]:
    for kind in CHILD_KINDS:
        yield (
            kind,
            [
                Child(
                    id=child.id,
                    name=child.name or f"{kind} {child.id}",
                    is_current_user=child.is_current_user,
                    is_system=child.is_system,
                )
                for child in getattr(given, f"{kind}s")
            ],
        )


def _projects(seed: Seed, already: int) -> Iterator[Project]:
    start, born = seed.first_id, moment(seed.created_from)
    changed = None if seed.modified_from is None else moment(seed.modified_from)
    number_from = already if start is None else 0
    for index in range(number_from, number_from + seed.projects):
        id_ = (FIRST_ID if start is None else start) + index
        at = born + index * seed.step
        yield Project(
            id=str(id_),
            name=seed.names.replace("{n}", f"{index + 1:04d}"),
            status=_turn(seed.status, index) or "",
            created_at=at,
            modified_at=at if changed is None else changed + index * seed.modified_step,
            traits=_traits(seed, index),
            children={kind: _children(seed, kind, id_, index) for kind in CHILD_KINDS},
        )


def _traits(seed: Seed, index: int) -> Traits:
    given = {name: _turn(getattr(seed, name), index) for name in TRAITS}
    if given["description"] is not None:
        given["description"] = given["description"].replace("{n}", f"{index + 1:04d}")
    return Traits(
        **given,  # type: ignore[arg-type] # what a project must have is never None: the seed is checked
        rate=seed.rate[index % len(seed.rate)],
        tags=seed.tags[index % len(seed.tags)] if seed.tags else (),
    )


def _turn(values: Turns, index: int) -> str | None:
    if isinstance(values, str):
        return values
    return values[index % len(values)] if values else None


def _children(seed: Seed, kind: Kind, project_id: int, index: int) -> dict[str, Child]:
    base = project_id - index + KIND_STEP * (1 + CHILD_KINDS.index(kind))
    if kind is not Kind.USER or not seed.shared_users:
        base += PROJECT_STEP * index
    amount = getattr(seed, f"{kind}s")
    system = seed.system_comments if kind is Kind.COMMENT else 0
    children = {}
    for n in range(amount + system):
        id_ = str(base + n)
        children[id_] = Child(
            id=id_,
            name=_name(kind, n + 1),
            is_current_user=kind is Kind.USER and n == 0 and seed.current_user,
            is_system=n >= amount,
        )
    return children


def _name(kind: Kind, n: int) -> str:
    return f"document-{n}.pdf" if kind is Kind.DOCUMENT else f"{kind.capitalize()} {n}"
