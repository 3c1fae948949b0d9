"""The versions of Zoho Books: what each of them offers, and in which words it answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.sandbox.dialect import Situation, Verb
from worker.sandbox.state import Kind

ANY = "*"  # stands for an id in the shape of a path
Shapes = Mapping[tuple[str, ...], Mapping[str, tuple[Verb, Kind]]]
Said = Mapping[Situation, tuple[int, int, str]]

# A path has a shape, its words with every id left out; the shape and the method say what is asked.
SHAPES: Shapes = {
    ("organizations",): {"GET": (Verb.ORGANIZATIONS, Kind.PROJECT)},
    ("projects",): {"GET": (Verb.LIST, Kind.PROJECT)},
    ("projects", "timer"): {"DELETE": (Verb.TIMER, Kind.TIMER)},
    ("projects", ANY): {
        "GET": (Verb.DETAIL, Kind.PROJECT),
        "DELETE": (Verb.DELETE, Kind.PROJECT),
    },
    ("projects", ANY, "comments"): {"GET": (Verb.COMMENTS, Kind.COMMENT)},
    ("projects", ANY, "comments", ANY): {"DELETE": (Verb.DELETE, Kind.COMMENT)},
    ("projects", ANY, "tasks", ANY): {"DELETE": (Verb.DELETE, Kind.TASK)},
    ("projects", ANY, "users", ANY): {"DELETE": (Verb.DELETE, Kind.USER)},
}
ONLY_V4: Shapes = {
    ("projects",): {
        "GET": (Verb.LIST, Kind.PROJECT),
        "DELETE": (Verb.BULK, Kind.PROJECT),
    },
    ("projects", ANY, "documents", ANY): {"DELETE": (Verb.DELETE, Kind.DOCUMENT)},
}

SAID_V4: Said = {
    Situation.UNKNOWN_URL: (404, 5, "Invalid URL Passed"),
    Situation.BAD_METHOD: (405, 37, "The HTTP method is not allowed for the requested resource"),
    Situation.BAD_ORGANIZATION: (400, 2, "Invalid value passed for organization-id"),
    Situation.BAD_PARAMETER: (400, 2, "Invalid value passed for a parameter"),
    Situation.TOO_MANY_IDS: (400, 4, "The number of ids passed exceeds the maximum allowed."),
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
SAID_V3: Said = {
    **SAID_V4,
    Situation.UNKNOWN_URL: (404, 5, "Invalid URL Passed."),
    Situation.BAD_METHOD: (405, 37, "The HTTP method specified is not supported by this URL."),
    Situation.BAD_ORGANIZATION: (400, 2, "Invalid value passed for organization_id"),
    Situation.BAD_TOKEN: (401, 14, "You are not authorized: the token is invalid or has expired."),
    Situation.NO_SCOPE: (401, 57, "You are not authorized to perform this operation."),
    Situation.BROKEN: (500, 1000, "Internal error. Please contact support."),
    Situation.REFUSED: (
        400,
        1025,
        "This project cannot be deleted as it is associated with transactions.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the API; `is_flat`: people and customers are not wrapped in an object."""

    shapes: Shapes
    said: Said
    deleted: Mapping[Kind, str]
    absent: str
    is_flat: bool


V4 = Version(
    shapes={**SHAPES, **ONLY_V4},
    said=SAID_V4,
    deleted={
        Kind.PROJECT: "The project has been deleted.",
        Kind.TASK: "The task has been deleted.",
        Kind.USER: "The staff has been removed",
        Kind.DOCUMENT: "The attachment has been removed from the project.",
        Kind.COMMENT: "The comment has been deleted.",
        Kind.TIMER: "Timer has been deleted.",
    },
    absent="{Kind} does not exist.",
    is_flat=False,
)
V3 = Version(
    shapes=SHAPES,
    said=SAID_V3,
    deleted={
        Kind.PROJECT: "The project has been deleted successfully.",
        Kind.TASK: "Task deleted.",
        Kind.USER: "The staff has been removed from the project.",
        Kind.COMMENT: "The comment was deleted.",
        Kind.TIMER: "The timer has been stopped.",
    },
    absent="The {kind} you are looking for does not exist",
    is_flat=True,
)
