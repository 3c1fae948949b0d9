"""What a policy says, what it says by default, and what it must not say."""

from datetime import timedelta
from pathlib import Path

import pytest

from worker.config.accounts import Config, load
from worker.domain.errors import InvalidInput

ACME = """\
[accounts.acme]
provider = "zoho_books"
base_url = "https://www.zohoapis.com/books/v4"
organization_id = "10234695"
token = "env:ACME_TOKEN"
"""
POLICY = """
[policies.p]
account = "acme"
schedule = "0 3 * * *"
select = { status = "inactive" }
"""


def read(folder: Path, text: str) -> Config:
    path = folder / "bulkdel.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def test_every_default_of_a_policy(tmp_path: Path) -> None:
    policy = read(tmp_path, ACME + POLICY).policies["p"]

    assert policy.model_dump() == {
        "name": "p",
        "account": "acme",
        "schedule": "0 3 * * *",
        "timezone": "UTC",
        "select": {"status": "inactive"},
        "cascade": (),
        "cascade_mode": "foreground",
        "keep_projects": False,
        "recheck_children": True,
        "on_child_refused": "stop",
        "options": (),
        "priority": 5,
        "reason": "scheduled cleanup",
        "start_within": timedelta(hours=1),
        "guard": {"max_items": None, "max_percent": None, "max_times_median": None},
        "confirm": "ask",
    }


def test_filters_are_kept_as_text(tmp_path: Path) -> None:
    select = '{ is_billable = true, customer_id = 46, status = "active" }'
    text = ACME + POLICY.replace('{ status = "inactive" }', select)

    policy = read(tmp_path, text).policies["p"]

    assert policy.select == {"is_billable": "true", "customer_id": "46", "status": "active"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('{ status = "inactive" }', "{}", "an empty one is never read as everything"),
        ('{ status = "inactive" }', '"inactive"', "`[policies.p]`|must be a table"),
        ('"inactive"', '" "', "`status` in \\[policies.p.select\\]"),
        ('"inactive"', "[]", "`status` in \\[policies.p.select\\]"),
        ('"inactive"', "1.5", "`status` in \\[policies.p.select\\]"),
        ('schedule = "0 3 * * *"', "", "`schedule` in \\[policies.p\\] .* is needed"),
        ('"0 3 * * *"', '" "', "`schedule`"),
        ('"0 3 * * *"', '"0 25 * * *"', "`schedule` .*line 9.*bad hour"),
        ('"0 3 * * *"', '"0 0 31 4,6 *"', "`schedule`"),
        ("schedule", 'start_within = "0s"\nschedule', "`start_within`"),
        ("schedule", 'cascade_mode = "sideways"\nschedule', "`cascade_mode`"),
        ("schedule", "priority = 10\nschedule", "`priority`"),
        ("schedule", 'reason = " "\nschedule', "`reason`"),
        ("schedule", 'tmezone = "UTC"\nschedule', "did you mean `timezone`"),
        ("schedule", 'timezone = "Mars"\nschedule', "is not a time zone"),
        ("schedule", 'confirm = "yes"\nschedule', "`confirm`"),
        ("schedule", 'cascade = "all"\nschedule', "`cascade` .* must be a list"),
        ("schedule", "guard.max_items = 0\nschedule", "`max_items`"),
        ("schedule", "guard.max_percent = 101\nschedule", "`max_percent`"),
        ("schedule", "guard.max_times_median = 0\nschedule", "`max_times_median`"),
    ],
)
def test_a_policy_outside_its_rules_is_refused(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    with pytest.raises(InvalidInput, match=what):
        read(tmp_path, ACME + POLICY.replace(old, new))
