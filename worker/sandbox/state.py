"""What lives at the provider: organisations, their projects, and what hangs on them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from worker.sandbox.limits import Limits, Meter
from worker.sandbox.oauth import OAuth
from worker.sandbox.rules import BulkRules, Refused, TrutoRules

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - a made-up token of a made-up provider


class Kind(StrEnum):
    """What can be deleted."""

    PROJECT = "project"  # holds all the others
    TASK = "task"  # inline in its project
    USER = "user"  # a person on a project; deleting takes the person off
    DOCUMENT = "document"  # an attachment, inline in its project
    COMMENT = "comment"  # only seen in a list of its own
    TIMER = "timer"  # the one clock a caller may have running; on no project


CHILD_KINDS = (Kind.TASK, Kind.USER, Kind.DOCUMENT, Kind.COMMENT)
TOKEN_LIMITS = Limits(windows=((500, 10.0),))  # of one API token over all its accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Something that hangs on a project."""

    id: str
    name: str
    is_current_user: bool = False
    is_system: bool = False


@dataclass(slots=True, kw_only=True)
class Traits:
    """What a project can be found by, beside name, status and times."""

    customer_id: str
    customer_name: str | None = None
    description: str | None = None
    billing_type: str = "based_on_project_hours"
    budget_type: str = "total_project_cost"
    rate: float = 100.0
    from_zoho_people: bool = False
    owner: str | None = None
    stage: str | None = None
    account: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Project:
    """A project with its living children, by kind and id."""

    id: str
    name: str
    status: str
    created_at: float
    modified_at: float
    traits: Traits
    children: dict[Kind, dict[str, Child]] = field(
        default_factory=lambda: {kind: {} for kind in CHILD_KINDS}
    )

    @property
    def description(self) -> str:
        """What it says of itself."""
        given = self.traits.description
        return f"About {self.name}." if given is None else given

    @property
    def customer_name(self) -> str:
        """Whom it is for."""
        return self.traits.customer_name or f"Customer {self.traits.customer_id[-4:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an organisation's account may do, and how it answers where the documents are silent."""

    token: str = DEFAULT_TOKEN
    scopes: frozenset[str] = frozenset({"READ", "DELETE", "SETTINGS"})
    absent_status: int = 404
    comments_listed: bool = True
    hidden_status: str = ""  # what lists leave out unless it is asked for
    no_timer_status: int = 400
    no_timer_code: int = 1002
    no_timer_text: str = "There is no timer running."
    quota_headers: bool = False


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
        self.oauth = OAuth()
        self.bulk = BulkRules()
        self.truto: TrutoRules | None = None
        self.refused: dict[tuple[Kind, str], Refused] = {}
        self.timers: set[str] = set()
        self.projects: dict[str, Project] = {}
        self.ghosts: dict[tuple[Kind, str, str], Ghost] = {}
        self.seeded = 0
        self.made_by_rivals = 0
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
        self.oauth = OAuth()
        self._token_meters: dict[str, Meter] = {}

    def organization(self, organization_id: str) -> Organization:
        """The organisation of this id, made if it is new."""
        known = self.organizations.get(organization_id)
        if known is None:
            known = Organization(organization_id, Rules(), Meter())
            known.oauth = self.oauth
            self.organizations[organization_id] = known
        return known

    def token_meter(self, token: str) -> Meter:
        """The meter of one API token, over all the accounts it is used for."""
        known = self._token_meters.get(token)
        if known is None:
            known = Meter()
            known.set(TOKEN_LIMITS)
            self._token_meters[token] = known
        return known

    @property
    def token_meters(self) -> dict[str, Meter]:
        """Every API token that has a meter."""
        return dict(self._token_meters)
