"""`policies` and `policy`: what they print, and that a preview deletes nothing."""

import json
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.unit.cli.conftest import CONFIG, Bulkdel, Played, one
from worker.bootstrap import Desk
from worker.domain.schedule import Schedule
from worker.policies import request_of
from worker.store.policies import Policies

POLICY = """
[policies.clean]
account = "acme"
schedule = "0 3 * * *"
timezone = "Europe/Berlin"
select = { status = "inactive" }
cascade = ["none"]
confirm = "auto"
"""


@pytest.fixture(autouse=True)
def _a_policy(environ: dict[str, str]) -> None:
    Path(environ["BULKDEL_CONFIG"]).write_text(CONFIG + POLICY)


def test_a_policy_is_listed_with_its_next_five_runs_by_its_own_clock(bulkdel: Bulkdel) -> None:
    result = bulkdel("policies")

    assert result.exit_code == 0, result.output
    assert "At 03:00 every day (Europe/Berlin)" in result.stdout
    assert result.stdout.count(" 03:00:00 CE") == 5
    assert "no beat has seen it yet" in result.stdout
    assert "ALARM" not in result.stdout


def test_the_list_as_json_has_what_the_page_says(bulkdel: Bulkdel) -> None:
    told = one(bulkdel("policies", "--json"))

    fields = [
        "name",
        "account",
        "schedule",
        "timezone",
        "words",
        "confirm",
        "next",
        "last",
        "last_run",
        "missed",
        "alarm",
    ]
    assert list(told) == fields
    assert len(told["next"]) == 5
    page = Path("docs/json.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| `policies` |")]
    assert all(f"`{field}`" in row for field in fields)


def test_a_policy_says_what_it_takes_along_what_bounds_it_and_what_came_of_its_last_run(
    bulkdel: Bulkdel, environ: dict[str, str], played: Played
) -> None:
    guard = "guard = { max_items = 500, max_percent = 10, max_times_median = 5 }"
    Path(environ["BULKDEL_CONFIG"]).write_text(f"{CONFIG}{POLICY}{guard}\n")
    store, schedule = Policies(played.desk.db), Schedule("0 3 * * *", "Europe/Berlin")
    now = played.desk.jobs.now()
    store.note("clean", schedule, now - timedelta(days=1, hours=1))
    slot = next(iter(schedule.between(now - timedelta(days=1, hours=1), now)))
    policy = played.desk.config.policies["clean"]
    job = played.desk.submit(request_of(policy, slot=slot), ()).job

    said = bulkdel("policies").stdout

    assert "cascade  none\n" in said
    limits = "at most 500 items, 10 % of the account's projects, 5 times its usual run"
    assert f"guard    {limits}\n" in said
    assert f"job {job.id}: planning" in said


def test_a_run_by_hand_is_the_last_one_and_says_by_whom(bulkdel: Bulkdel, played: Played) -> None:
    by_hand = one(bulkdel("policy", "run", "clean", "--no-wait-plan", "--json"))
    policy = played.desk.config.policies["clean"]
    played.desk.submit(request_of(policy, dry_run=True), ())  # a preview is no run

    said, told = bulkdel("policies").stdout, one(bulkdel("policies", "--json"))

    (last,) = [line for line in said.splitlines() if line.startswith("  last ")]
    assert last.endswith(f"job {by_hand['id']}: planning, by hand, by ada")
    assert "by its schedule never: no beat has seen it yet" in said
    assert told["last"] is None
    assert told["last_run"] == {
        "job_id": by_hand["id"],
        "state": "planning",
        "at": by_hand["created_at"],
        "slot": None,
        "actor": "ada",
    }


def test_a_missed_slot_is_told_with_its_reason_and_is_an_alarm(
    bulkdel: Bulkdel, desk: Desk
) -> None:
    now = desk.jobs.now()
    store, schedule = Policies(desk.db), Schedule("0 3 * * *", "Europe/Berlin")
    store.note("clean", schedule, now - timedelta(days=1, hours=1))
    slots = list(schedule.between(now - timedelta(days=1, hours=1), now))
    store.miss("clean", [(slot, "nobody was there") for slot in slots])

    said = bulkdel("policies").stdout

    local = slots[-1].astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{len(slots)} in all; {local:%a %Y-%m-%d} 03:00:00" in said
    assert "ALARM" in said
    assert "nobody was there" in said


def test_without_a_policy_the_list_says_how_to_make_one(
    bulkdel: Bulkdel, environ: dict[str, str]
) -> None:
    Path(environ["BULKDEL_CONFIG"]).write_text(CONFIG)

    result = bulkdel("policies")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "[policies.NAME]" in result.stderr


@pytest.mark.usefixtures("worker")
def test_a_preview_is_a_dry_run(bulkdel: Bulkdel) -> None:
    told = one(bulkdel("policy", "preview", "clean", "--json"))

    assert (told["policy"], told["mode"], told["state"]) == ("clean", "dry_run", "succeeded")


def test_a_run_is_a_job_of_the_person_who_asked(bulkdel: Bulkdel, played: Played) -> None:
    told = one(bulkdel("policy", "run", "clean", "--no-wait-plan", "--json"))

    assert (told["policy"], told["mode"], told["actor"]) == ("clean", "run", "ada")
    assert played.desk.jobs.get(told["id"]).options.confirms_itself


@pytest.mark.parametrize("verb", ["preview", "run"])
def test_a_name_nobody_wrote_is_exit_2_with_the_nearest(bulkdel: Bulkdel, verb: str) -> None:
    result = bulkdel("policy", verb, "claen")

    assert result.exit_code == 2
    assert "did you mean `clean`" in result.stderr


def test_a_policy_its_provider_does_not_take_is_exit_2_with_its_line(
    bulkdel: Bulkdel, environ: dict[str, str]
) -> None:
    Path(environ["BULKDEL_CONFIG"]).write_text(CONFIG + POLICY.replace("status", "stats"))

    run, listed = bulkdel("policy", "run", "clean"), bulkdel("policies", "--json")

    assert run.exit_code == 2
    assert "`stats` in [policies.clean.select] (line 12)" in run.stderr
    assert "line 12" in json.loads(listed.stdout)["alarm"]
