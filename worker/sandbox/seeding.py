"""Made-up projects: the same ids, names and dates every time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as checked

from worker.sandbox.state import CHILD_KINDS, Child, Kind, Organization, Project

FIRST_ID = 4_600_000_000_440_001
# Children of one kind have their ids this far from their project's, so no two kinds ever meet.
KIND_STEP = 10_000_000_000
PROJECT_STEP = 1_000
CUSTOMER_ID = "5000000005007"
CREATED_FROM = "2025-01-06T10:05:43+0530"
STRICT = ConfigDict(extra="forbid")
Amount = Annotated[int, Field(ge=0, lt=PROJECT_STEP)]


@checked(frozen=True, slots=True, kw_only=True, config=STRICT)
class Seed:
    """How much to make. `{n}` in `names` is the number; several `status` take turns."""

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
    status: str | tuple[str, ...] = "active"
    created_from: str = CREATED_FROM
    created_step: Annotated[float, Field(ge=0)] | None = None
    token: str | None = None

    @model_validator(mode="after")
    def _has_a_status(self) -> Self:
        if not self.status:
            raise ValueError("status: at least one is needed")
        moment(self.created_from)
        return self

    @property
    def statuses(self) -> tuple[str, ...]:
        """The states to give out in turn."""
        return (self.status,) if isinstance(self.status, str) else self.status

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
            customer_id=CUSTOMER_ID,
        )
    _change(known, given)
    for kind, children in _given_children(given):
        known.children[kind].update((child.id, child) for child in children)
    organization.add([known])


def _change(project: Project, given: GivenProject) -> None:
    project.name = given.project_name or project.name
    project.status = given.status or project.status
    project.customer_id = given.customer_id or project.customer_id
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
    number_from = already if start is None else 0
    for index in range(number_from, number_from + seed.projects):
        id_ = (FIRST_ID if start is None else start) + index
        at = born + index * seed.step
        yield Project(
            id=str(id_),
            name=seed.names.replace("{n}", f"{index + 1:04d}"),
            status=seed.statuses[index % len(seed.statuses)],
            created_at=at,
            modified_at=at,
            customer_id=CUSTOMER_ID,
            children={kind: _children(seed, kind, id_, index) for kind in CHILD_KINDS},
        )


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
