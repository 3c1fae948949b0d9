"""What Truto writes into its bodies: unified objects, the provider's own words, and errors."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from worker.sandbox.rules import TrutoProvider, TrutoRules
from worker.sandbox.state import Project

# What a project of a seed is called here: the words of Zoho are taken for those of the provider.
STATUSES: Mapping[TrutoProvider, Mapping[str, str]] = {
    TrutoProvider.CAPSULE: {"active": "open", "inactive": "closed", "completed": "closed"},
    TrutoProvider.PIPELINER: {"active": "in progress", "inactive": "completed"},
}
Object = dict[str, Any]


def compact(body: object) -> bytes:
    """JSON without spaces."""
    return json.dumps(body, separators=(",", ":")).encode()


def iso(at: float) -> str:
    """A time as Truto writes it: 2025-08-06T04:35:43.000Z."""
    text = datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def status_of(project: Project, provider: TrutoProvider) -> str:
    """The unified status of a project."""
    word = project.status.lower()
    return STATUSES[provider].get(word, word)


def unified(project: Project, rules: TrutoRules) -> Object:
    """A project as the unified API shows it."""
    traits = project.traits
    shown: Object = {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "status": status_of(project, rules.provider),
        "amount": traits.rate,
        "currency": "USD",
        "account": _named(traits.account, "Account"),
        "contact": [],
        "opportunity": [],
        "owner": _named(traits.owner, "Owner"),
        "stage": _named(traits.stage, "Stage"),
        "tags": [{"id": tag, "name": tag} for tag in traits.tags],
        "close_date": None,
        "created_at": iso(project.created_at),
        "updated_at": iso(project.modified_at),
        "last_activity_at": iso(project.modified_at),
    }
    if rules.remote_data:
        shown["remote_data"] = remote(project, rules.provider)
    return shown


def remote(project: Project, provider: TrutoProvider) -> Object:
    """A project as the provider itself shows it."""
    status = status_of(project, provider)
    if provider is TrutoProvider.CAPSULE:
        times = {"createdAt": iso(project.created_at), "updatedAt": iso(project.modified_at)}
        return {"id": project.id, "name": project.name, "status": status.upper(), **times}
    times = {"created": iso(project.created_at), "modified": iso(project.modified_at)}
    return {"id": project.id, "name": project.name, "status": status, **times}


def trimmed(shown: Object, pairs: Iterable[tuple[str, str]]) -> Object:
    """An object without what the caller does not want to see."""
    given = list(pairs)
    unwanted = {value for name, value in given if name == "truto_exclude_fields[]"}
    if ("truto_ignore_remote_data", "true") in given:
        unwanted.add("remote_data")
    return {name: value for name, value in shown.items() if name not in unwanted}


def error(status: int, message: str, *, rules: TrutoRules | None = None) -> bytes:
    """An error body; with `rules` it is the provider's error, in the provider's words."""
    body: Object = {"statusCode": status, "error": HTTPStatus(status).phrase, "message": message}
    if rules is not None:
        body["truto_is_remote_error"] = True
        body["raw_response"] = {"message": message}
        if rules.empty_message:
            body["message"] = ""
        if rules.error_insight:
            body["truto_error_insight"] = {"provider": str(rules.provider), "status": status}
    return compact(body)


def _named(id_: str | None, word: str) -> Object | None:
    return None if id_ is None else {"id": id_, "name": f"{word} {id_}"}
