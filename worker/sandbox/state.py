"""What lives at the provider: organisations, their projects, and what hangs on them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from worker.sandbox.limits import Meter

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - a made-up token of a made-up provider


class Kind(StrEnum):
    """What can be deleted."""

    PROJECT = "project"  # holds all the others
    TASK = "task"  # inline in its project
    USER = "user"  # a person on a project; deleting takes the person off
    DOCUMENT = "document"  # an attachment, inline in its project
    COMMENT = "comment"  # only seen in a list of its own


CHILD_KINDS = (Kind.TASK, Kind.USER, Kind.DOCUMENT, Kind.COMMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Something that hangs on a project."""

    id: str
    name: str
    is_current_user: bool = False
    is_system: bool = False


@dataclass(slots=True, kw_only=True)
class Project:
    """A project with its living children, by kind and id."""

    id: str
    name: str
    status: str
    created_at: float
    modified_at: float
    customer_id: str
    children: dict[Kind, dict[str, Child]] = field(
        default_factory=lambda: {kind: {} for kind in CHILD_KINDS}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an organisation's account may do, and how it answers where the documents are silent."""

    token: str = DEFAULT_TOKEN
    scopes: frozenset[str] = frozenset({"READ", "DELETE"})
    absent_status: int = 404
    comments_listed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """Something deleted that reads go on showing for a while."""

    thing: Project | Child
    until: float


class Organization:
    """One customer of the provider: its data, its rules and its meter."""

    def __init__(self, organization_id: str, rules: Rules, meter: Meter) -> None:
        self.id = organization_id
        self.rules = rules
        self.meter = meter
        self.projects: dict[str, Project] = {}
        self.ghosts: dict[tuple[Kind, str, str], Ghost] = {}
        self.seeded = 0
        self.version = 0

    def add(self, projects: Iterable[Project]) -> None:
        """Put projects there; one with the same id is replaced."""
        self.projects.update((project.id, project) for project in projects)
        self.version += 1

    def delete(self, kind: Kind, id_: str, parent_id: str | None, now: float) -> Kind | None:
        """Delete for ever; what is returned is the kind of what was not there, if anything."""
        if kind is Kind.PROJECT:
            if self.projects.pop(id_, None) is None:
                return Kind.PROJECT
            self.version += 1
            return None
        project = self.projects.get(parent_id or "")
        if project is None:
            return Kind.PROJECT
        if project.children[kind].pop(id_, None) is None:
            return kind
        project.modified_at = now
        self.version += 1
        return None

    def living(self, kind: Kind, id_: str, parent_id: str | None) -> Project | Child | None:
        """The object itself, if it lives."""
        if kind is Kind.PROJECT:
            return self.projects.get(id_)
        project = self.projects.get(parent_id or "")
        return project.children[kind].get(id_) if project else None

    def haunt(self, kind: Kind, id_: str, parent_id: str | None, ghost: Ghost) -> None:
        """Let reads show a deleted object until the ghost's time has come."""
        self.ghosts[kind, parent_id or "", id_] = ghost
        self.version += 1

    def lay_ghosts(self, now: float) -> None:
        """Forget the ghosts whose time has come."""
        if not self.ghosts:
            return
        ended = [key for key, ghost in self.ghosts.items() if ghost.until <= now]
        for key in ended:
            del self.ghosts[key]
        self.version += bool(ended)

    def seen(self, project_id: str) -> Project | None:
        """The project as a read shows it: living, or still visible."""
        project = self.projects.get(project_id)
        if project is not None or not self.ghosts:
            return project
        ghost = self.ghosts.get((Kind.PROJECT, "", project_id))
        return ghost.thing if ghost and isinstance(ghost.thing, Project) else None

    def all_seen(self) -> Iterator[Project]:
        """Every project as reads show it."""
        yield from self.projects.values()
        for ghost in self.ghosts.values():
            if isinstance(ghost.thing, Project) and ghost.thing.id not in self.projects:
                yield ghost.thing

    def children_seen(self, project: Project, kind: Kind) -> list[Child]:
        """The children of one kind as reads show them."""
        children = dict(project.children[kind])
        for (ghost_kind, parent_id, id_), ghost in self.ghosts.items():
            if ghost_kind is kind and parent_id == project.id and isinstance(ghost.thing, Child):
                children.setdefault(id_, ghost.thing)
        return list(children.values())


class World:
    """Every organisation of the sandbox, by id."""

    def __init__(self) -> None:
        self.organizations: dict[str, Organization] = {}

    def organization(self, organization_id: str) -> Organization:
        """The organisation of this id, made if it is new."""
        known = self.organizations.get(organization_id)
        if known is None:
            known = Organization(organization_id, Rules(), Meter())
            self.organizations[organization_id] = known
        return known
