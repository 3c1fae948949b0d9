"""Zoho Books v4: its paths, its codes, its words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote

from worker.sandbox.dialect import Answer, Call, Effect, Outcome, Route, Situation, Verb
from worker.sandbox.state import Kind, Organization, World
from worker.sandbox.zoho_bodies import comment_list, envelope, project_detail, project_list
from worker.sandbox.zoho_lists import Lists

ANY = "*"  # stands for an id in the shape of a path

# A path has a shape, its words with every id left out; the shape and the method say what is asked.
SHAPES: Mapping[tuple[str, ...], Mapping[str, tuple[Verb, Kind]]] = {
    ("projects",): {"GET": (Verb.LIST, Kind.PROJECT)},
    ("projects", ANY): {
        "GET": (Verb.DETAIL, Kind.PROJECT),
        "DELETE": (Verb.DELETE, Kind.PROJECT),
    },
    ("projects", ANY, "comments"): {"GET": (Verb.COMMENTS, Kind.COMMENT)},
    ("projects", ANY, "comments", ANY): {"DELETE": (Verb.DELETE, Kind.COMMENT)},
    ("projects", ANY, "tasks", ANY): {"DELETE": (Verb.DELETE, Kind.TASK)},
    ("projects", ANY, "users", ANY): {"DELETE": (Verb.DELETE, Kind.USER)},
    ("projects", ANY, "documents", ANY): {"DELETE": (Verb.DELETE, Kind.DOCUMENT)},
}
NOT_IDS = frozenset({"", "timer"})  # an empty segment, and a resource we do not offer yet

SAID: Mapping[Situation, tuple[int, int, str]] = {
    Situation.UNKNOWN_URL: (404, 5, "Invalid URL Passed"),
    Situation.BAD_METHOD: (405, 37, "The HTTP method is not allowed for the requested resource"),
    Situation.BAD_ORGANIZATION: (400, 2, "Invalid value passed for organization-id"),
    Situation.BAD_PARAMETER: (400, 2, "Invalid value passed for a parameter"),
    Situation.BAD_TOKEN: (401, 14, "Invalid value passed for authtoken."),
    Situation.NO_SCOPE: (401, 57, "You are not authorized to perform this operation"),
    Situation.WINDOW_FULL: (429, 44, "Your organization has exceeded the calls per minute."),
    Situation.DAY_SPENT: (429, 45, "Your organization has exceeded the calls per day."),
    Situation.CROWDED: (429, 1070, "The maximum number of in process requests is reached."),
    Situation.BLOCKED: (429, 43, "You have been blocked for some time: too many requests."),
    Situation.BROKEN: (500, 1000, "We are sorry. There was an internal error."),
    Situation.REFUSED: (
        400,
        1025,
        "Projects associated with invoices or time entries cannot be deleted.",
    ),
}
DELETED_WORDS: Mapping[Kind, str] = {
    Kind.PROJECT: "The project has been deleted.",
    Kind.TASK: "The task has been deleted.",
    Kind.USER: "The staff has been removed",
    Kind.DOCUMENT: "The attachment has been removed from the project.",
    Kind.COMMENT: "The comment has been deleted.",
}
ABSENT = 1002
SCOPES: Mapping[Verb, str] = {
    Verb.LIST: "READ",
    Verb.DETAIL: "READ",
    Verb.COMMENTS: "READ",
    Verb.DELETE: "DELETE",
}


def _ok(body: bytes) -> Answer:
    return Answer(status=200, code=0, body=body)


DELETED: Mapping[Kind, Outcome] = MappingProxyType(
    {
        kind: Outcome(effect=Effect.DELETED, answer=_ok(envelope(0, words)))
        for kind, words in DELETED_WORDS.items()
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZohoBooks:
    """The dialect; prefix and the name of the organisation parameter differ between versions."""

    prefix: str = "/books/v4"
    organization_param: str = "organization-id"
    lists: Lists = field(default_factory=Lists)

    def route(self, method: str, path: str) -> Route:
        words = path[len(self.prefix) :].split("/")[1:]
        ids = [unquote(word) if "%" in word else word for word in words[1::2]]
        shape = tuple(ANY if index % 2 else word for index, word in enumerate(words))
        methods = None if NOT_IDS.intersection(ids) else SHAPES.get(shape)
        if methods is None:
            return Route(refusal=self.say(Situation.UNKNOWN_URL))
        found = methods.get(method)
        if found is None:
            return Route(refusal=self.say(Situation.BAD_METHOD))
        verb, kind = found
        own_id = ids.pop() if len(words) % 2 == 0 else None
        return Route(verb=verb, kind=kind, id=own_id, parent_id=ids[-1] if ids else None)

    def organization_id(self, call: Call) -> str | None:
        return call.params.get(self.organization_param)

    def admit(self, world: World, call: Call, route: Route) -> Organization | Answer:
        organization = world.organizations.get(call.params.get(self.organization_param, ""))
        if organization is None:
            return self.say(Situation.BAD_ORGANIZATION)
        if call.authorization != f"Zoho-oauthtoken {organization.rules.token}":
            return self.say(Situation.BAD_TOKEN)
        if route.verb is not None and SCOPES[route.verb] not in organization.rules.scopes:
            return self.say(Situation.NO_SCOPE)
        return organization

    def act(self, organization: Organization, call: Call, route: Route, now: float) -> Outcome:
        if route.refusal is not None or route.verb is None or route.kind is None:
            return _nothing(route.refusal or self.say(Situation.UNKNOWN_URL))
        if route.verb is Verb.DELETE:
            missing = organization.delete(route.kind, route.id or "", route.parent_id, now)
            return DELETED[route.kind] if missing is None else _absent(organization, missing)
        organization.lay_ghosts(now)
        if route.verb is Verb.LIST:
            return self._list(organization, call)
        if route.verb is Verb.COMMENTS and not organization.rules.comments_listed:
            return _nothing(self.say(Situation.UNKNOWN_URL))
        return _look(organization, route)

    def say(
        self,
        situation: Situation,
        *,
        status: int | None = None,
        code: int | None = None,
        text: str | None = None,
    ) -> Answer:
        usual_status, usual_code, usual_text = SAID[situation]
        said = usual_code if code is None else code
        body = envelope(said, usual_text if text is None else text)
        return Answer(status=status or usual_status, code=said, body=body)

    def _list(self, organization: Organization, call: Call) -> Outcome:
        try:
            projects, context = self.lists.page(organization, call.params)
        except ValueError:
            return _nothing(self.say(Situation.BAD_PARAMETER))
        return Outcome(effect=Effect.READ, answer=_ok(project_list(projects, context)))


def _look(organization: Organization, route: Route) -> Outcome:
    is_comments = route.verb is Verb.COMMENTS
    project = organization.seen((route.parent_id if is_comments else route.id) or "")
    if project is None:
        return _absent(organization, Kind.PROJECT)
    body = comment_list if is_comments else project_detail
    return Outcome(effect=Effect.READ, answer=_ok(body(organization, project)))


def _absent(organization: Organization, kind: Kind) -> Outcome:
    text = f"{kind.value.capitalize()} does not exist."
    body = envelope(ABSENT, text)
    return _nothing(Answer(status=organization.rules.absent_status, code=ABSENT, body=body))


def _nothing(answer: Answer) -> Outcome:
    return Outcome(effect=Effect.NONE, answer=answer)
