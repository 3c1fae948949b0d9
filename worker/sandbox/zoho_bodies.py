"""What Zoho Books writes into its bodies: envelopes, lists and details."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from worker.sandbox.state import Child, Kind, Organization, Project

ORGANIZATION_NAME = "Sandbox Ltd"
INDIA = timezone(timedelta(hours=5, minutes=30))


def envelope(code: int, message: str, **payload: object) -> bytes:
    """The one shape of every answer; a code that is not 0 is a failure."""
    body = {"code": code, "message": message, **payload}
    return json.dumps(body, separators=(",", ":")).encode()


def stamp(at: float) -> str:
    """A time as the provider writes it: 2025-08-06T10:05:43+0530."""
    return datetime.fromtimestamp(at, tz=INDIA).strftime("%Y-%m-%dT%H:%M:%S%z")


def project_list(
    projects: Sequence[Project], page_context: Mapping[str, object], *, is_flat: bool
) -> bytes:
    """One page of projects."""
    rows = [_summary(project, is_flat=is_flat) for project in projects]
    return envelope(0, "success", projects=rows, page_context=page_context)


def project_detail(organization: Organization, project: Project, *, is_flat: bool) -> bytes:
    """One project with its tasks, users and documents; comments are not in it."""
    detail = _summary(project, is_flat=is_flat)
    detail["is_from_zoho_people"] = project.traits.from_zoho_people
    for field, kind, write in FLAT_PARTS if is_flat else PARTS:
        children = organization.children_seen(project, kind)
        detail[field] = [write(child) for child in children]
    return envelope(0, "success", project=detail)


def comment_list(organization: Organization, project: Project) -> bytes:
    """The comments of one project."""
    children = organization.children_seen(project, Kind.COMMENT)
    return envelope(0, "success", comments=[_comment(child) for child in children])


def organization_list(organization: Organization) -> bytes:
    """The organisations of a token: here it is always one."""
    row = {"organization_id": organization.id, "name": ORGANIZATION_NAME, "is_default_org": True}
    return envelope(0, "success", organizations=[row])


def _summary(project: Project, *, is_flat: bool) -> dict[str, Any]:
    traits = project.traits
    customer = {"customer_id": traits.customer_id, "customer_name": project.customer_name}
    return {
        "project_id": project.id,
        "project_name": project.name,
        "project_code": f"P-{project.id[-4:]}",
        **(customer if is_flat else {"customer": customer}),
        "description": project.description,
        "status": project.status,
        "status_formatted": project.status.capitalize(),
        "billing_type": traits.billing_type,
        "budget_type": traits.budget_type,
        "rate": f"{traits.rate:.2f}",
        "created_time": stamp(project.created_at),
        "last_modified_time": stamp(project.modified_at),
        "has_attachment": bool(project.children[Kind.DOCUMENT]),
        "users_working": len(project.children[Kind.USER]),
    }


def _task(child: Child) -> dict[str, Any]:
    return {
        "task_id": child.id,
        "task_name": child.name,
        "description": "",
        "rate": 50,
        "status": "completed",
        "is_billable": True,
    }


def _person(child: Child) -> dict[str, Any]:
    return {
        "user_id": child.id,
        "is_current_user": child.is_current_user,
        "user_name": child.name,
        "user_email": f"user{child.id[-4:]}@example.com",
        "user_status": "active",
        "role": {"role_id": "5000000000995", "role_name": "admin"},
    }


def _user(child: Child) -> dict[str, Any]:
    return {"user": _person(child), "rate": 0, "total_hours": "00:00", "cost_rate": 75}


def _flat_user(child: Child) -> dict[str, Any]:
    return {**_person(child), "user_role": "admin", "rate": "0.00", "budget_hours": "0"}


def _document(child: Child) -> dict[str, Any]:
    return {
        "document_id": child.id,
        "document_name": child.name,
        "file_name": child.name,
        "document_size": "1024000",
        "document_type": child.name.rpartition(".")[2],
        "is_comment": "false",
    }


Part = tuple[str, Kind, Callable[[Child], dict[str, Any]]]
TASKS: Part = ("tasks", Kind.TASK, _task)
PARTS: Sequence[Part] = (
    TASKS,
    ("users", Kind.USER, _user),
    ("documents", Kind.DOCUMENT, _document),
)
FLAT_PARTS: Sequence[Part] = (TASKS, ("users", Kind.USER, _flat_user))


def _comment(child: Child) -> dict[str, Any]:
    return {
        "comment_id": child.id,
        "description": child.name,
        "commented_by": "John Doe",
        "comment_type": "system" if child.is_system else "internal",
    }
