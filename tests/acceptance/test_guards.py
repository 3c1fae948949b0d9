"""Acceptance point 5: what must not be deleted is not even asked for, and the input is checked."""

import json

import pytest

from tests.acceptance.commands import Ran, Reply
from tests.acceptance.site import Site
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.number(5)

SHAPES = {
    "a path": "42/../../users/7",
    "dots": "..",
    "encoded dots": "%2e%2e",
    "a line end": "42\r\nX-Evil: 1",
    "a leading zero": "042",
    "ten thousand digits": "4" * 10_000,
}


def _deleted(site: Site, ids: list[str]) -> Reply:
    """A small job, run to its end."""
    return site.submit(ids, "--cascade", "all", "--yes", "--wait=1m").json


def _outcomes(site: Site, job_id: str) -> dict[str, str]:
    asked = "SELECT external_id, outcome FROM items WHERE job_id = :job"
    return {row[0]: row[1] for row in site.sql(asked, job=job_id)}


def _asked_to_go(site: Site) -> set[str]:
    return {row["id"] for row in site.deletions()}


def _nothing_was_done(site: Site) -> None:
    assert site.stack.run("jobs", "--account", site.account, "--json").ended(0).lines == []
    assert site.ledger() == []


def _submit(site: Site, content: str, *options: str, name: str = "ids.txt") -> Ran:
    path = site.stack.home / f"{site.account}-{name}"
    path.write_bytes(content.encode())
    given = ["--ids-file", str(path), "--reason", "test", "--account", site.account]
    return site.stack.run("submit", *given, *options, "--json")


def test_a_protected_id_is_spared(site: Site) -> None:
    kept, gone = site.seed(2)
    site.configure(f'protect = {{ ids = ["{kept}"] }}')

    job = _deleted(site, [kept, gone])

    assert _outcomes(site, job["id"]) == {kept: "skipped_protected", gone: "deleted"}
    assert _asked_to_go(site) == {gone}
    site.judge(job)


def test_a_protected_name_is_spared(site: Site) -> None:
    (kept,), (gone,) = site.seed(1, names="Please KEEP me"), site.seed(1)
    site.configure('protect = { names = ["*KEEP*"] }')

    job = _deleted(site, [kept, gone])

    assert _outcomes(site, job["id"]) == {kept: "skipped_protected", gone: "deleted"}
    assert _asked_to_go(site) == {gone}


def test_a_protected_child_spares_its_project(site: Site) -> None:
    kept, gone = site.seed(2, tasks=1)
    (child,) = site.stack.control.state(site.organization)[kept]["tasks"]
    site.configure(f'protect = {{ ids = ["{child}"] }}')

    job = _deleted(site, [kept, gone])

    assert _outcomes(site, job["id"])[kept] == "skipped_protected"
    assert not {kept, child} & _asked_to_go(site)


def test_an_absent_id_is_already_absent_and_never_asked_to_go(site: Site) -> None:
    (gone,) = site.seed(1)

    job = _deleted(site, ["4600000009999", gone])

    assert _outcomes(site, job["id"]) == {"4600000009999": "already_absent", gone: "deleted"}
    assert _asked_to_go(site) == {gone}


def test_a_duplicate_is_counted_and_is_no_item(site: Site) -> None:
    one, two = site.seed(2)

    job = _deleted(site, [one, two, one, one])

    assert job["plan"]["duplicates"] == 2
    assert _outcomes(site, job["id"]) == {one: "deleted", two: "deleted"}
    assert len(site.deletions()) == 2


def test_a_target_of_another_live_job_is_left_to_it(site: Site) -> None:
    one, two = site.seed(2)
    first = site.planned([one])

    second = _deleted(site, [one, two])

    assert _outcomes(site, second["id"]) == {one: "skipped_duplicate", two: "deleted"}
    assert _asked_to_go(site) == {two}
    assert site.show(first)["state"] == "awaiting_confirmation"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_id_of_the_wrong_shape_is_refused(site: Site, shape: str) -> None:
    told = _submit(site, json.dumps(shape), "--cascade", "all", name="ids.jsonl").ended(2)

    assert "line 1" in told.stdout + told.stderr
    _nothing_was_done(site)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        pytest.param("", ["--cascade", "all"], id="an empty file"),
        pytest.param("project_id\n", ["--cascade", "all"], id="a header only"),
        pytest.param("42\n", ["--cascade", "invoices"], id="an unknown kind"),
        pytest.param("42\n", [], id="no cascade"),
        pytest.param("42\n", ["--cascade", "all", "--account", "nobody"], id="no such account"),
    ],
)
def test_an_input_that_is_no_request_is_refused(
    site: Site, content: str, options: list[str]
) -> None:
    _submit(site, content, *options).ended(2)

    _nothing_was_done(site)


def test_a_missing_token_parks_the_account_before_any_call(site: Site) -> None:
    site.configure('token = "env:NOBODY_HAS_SET_THIS"')

    told = site.submit(site.seed(1), "--cascade", "all", code=4)

    assert told.json["waiting_on"]["code"] == "credentials"
    assert site.ledger() == []


def test_a_wrong_token_parks_the_account_after_one_call(site: Site) -> None:
    site.stack.control.organization(site.organization, token="another")

    told = site.submit(site.seed(1), "--cascade", "all", code=4)

    assert told.json["waiting_on"]["code"] == "credentials"
    assert told.json["counts"]["open"] == 1
    assert [row["method"] for row in site.ledger()] == ["GET"]


def test_a_wrong_word_confirms_nothing(site: Site) -> None:
    job = site.planned(site.seed(2))
    wrong = job["plan"]["word"][:-4] + "0000"

    site.stack.run("confirm", job["id"], "--word", wrong, "--json").ended(5)

    assert site.show(job)["state"] == "awaiting_confirmation"
    assert site.deletions() == []


def test_yes_does_not_confirm_what_takes_a_word(site: Site) -> None:
    site.configure("auto_confirm_max = 2")

    site.submit(site.seed(3), "--cascade", "all", "--yes", "--wait", code=5)

    assert site.deletions() == []


def test_a_plan_over_the_cap_is_refused(site: Site) -> None:
    site.configure("max_items = 2")
    job = site.submit(site.seed(3), "--cascade", "all", code=5).json

    site.stack.run("confirm", job["id"], "--word", job["plan"]["word"], "--json").ended(5)

    assert site.deletions() == []


@pytest.mark.timeout(180)
def test_a_listing_that_breaks_off_is_completed_once_it_can_be(site: Site) -> None:
    ids = site.seed(450)
    page = {"method": "GET", "path_regex": "/projects$", "page": 3}
    site.faults({"kind": "error_before", "match": page})
    job = site.submit(ids, "--cascade", "none", "--no-wait-plan").json
    waiting = eventually(
        lambda: (
            now if (now := site.show(job))["waiting_on"]["code"] == "provider_outage" else None
        ),
        within=30,
        what="a job that waits for page 3",
    )
    assert (waiting["state"], waiting["plan"]["complete"]) == ("planning", False)
    site.stack.run("confirm", job["id"], "--word", "delete 450", "--json").ended(5)

    site.stack.control.clear_faults()

    planned = eventually(
        lambda: now if (now := site.show(job))["plan"]["complete"] else None,
        within=60,
        what="the plan, by itself",
    )
    assert planned["plan"]["items"] == 450
    assert planned["counts"]["open"] == 450
    assert site.deletions() == []
