import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import ONE, Bulkdel, Played, one
from worker.bootstrap import Desk
from worker.domain.outcomes import Outcome
from worker.domain.plan import Finding, FindingLevel
from worker.domain.states import JobState, Waiting

LIST = ("submit", *ONE, "--ids", "101,102")


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("submit", *ONE), "exactly one of"),
        ((*LIST, "--ids-file", "x"), "exactly one of"),
        ((*LIST, "--id-column", "x"), "belongs to --ids-file"),
        (("submit", *ONE, "--ids", ""), "there is no id"),
        (("submit", *ONE, "--ids", "101,,102"), "blank"),
        (("submit", *ONE, "--ids", "101,../7"), "not a project id"),
        (("submit", *ONE, "--ids-file", "missing.csv"), "cannot be read"),
        (("submit", "--account", "acme", "--ids", "1", "--reason", "r"), "children"),
        (("submit", "--account", "amce", *ONE[2:], "--ids", "1"), "no account"),
        ((*LIST, "--cascade", "invoices"), "has no kind"),
        (("submit", "--account", "acme", "--ids", "1", "--cascade", "none"), "--reason"),
        ((*LIST, "--priority", "10"), "priority"),
        ((*LIST, "--wait=soon"), "no length of time"),
        ((*LIST, "--no-wait-plan", "--wait"), "not with --wait"),
        ((*LIST, "--not-before", "tomorrow"), "no time"),
    ],
)
def test_wrong_input_is_2_and_keeps_nothing(
    bulkdel: Bulkdel, desk: Desk, args: tuple[str, ...], what: str
) -> None:
    result = bulkdel(*args)

    assert result.exit_code == 2, result.output
    assert what in result.stderr
    assert result.stdout == ""
    assert list(desk.jobs.recent()) == []


def test_a_job_is_planned_shown_and_not_confirmed(bulkdel: Bulkdel, worker: Played) -> None:
    result = bulkdel(*LIST)

    assert result.exit_code == 0, result.output
    assert "deletes    2 items: 2 projects" in result.stdout
    assert "Nothing has been deleted." in result.stdout
    assert "--yes" in result.stdout
    (job,) = worker.desk.jobs.recent()
    assert job.state is JobState.AWAITING_CONFIRMATION


@pytest.mark.usefixtures("worker")
def test_with_json_stdout_is_the_job_once_its_plan_is_ready(bulkdel: Bulkdel) -> None:
    result = bulkdel(*LIST, "--json")

    job = one(result)
    assert result.exit_code == 0
    assert job["state"] == "awaiting_confirmation"
    assert job["plan"]["word"].startswith("delete 2 acme ")
    assert job["counts"]["total"] == 2


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("csv", "name,project_id\nA,101\nB,102\nB,102\n"),
        ("txt", "101\n102\n"),
        ("jsonl", '{"id": 101}\n"102"\n'),
    ],
)
def test_ids_come_from_a_file_in_any_of_three_forms(
    bulkdel: Bulkdel, tmp_path: Path, suffix: str, text: str
) -> None:
    path = tmp_path / f"ids.{suffix}"
    path.write_text(text)

    result = bulkdel("submit", *ONE, "--ids-file", str(path), "--no-wait-plan", "--json")

    assert result.exit_code == 0, result.output
    assert one(result)["counts"]["total"] == 2


def test_ids_come_from_standard_input(bulkdel: Bulkdel) -> None:
    result = bulkdel("submit", *ONE, "--ids-file", "-", "--no-wait-plan", "--json", stdin="7\n8\n")

    assert one(result)["counts"]["total"] == 2


def test_without_a_worker_the_job_is_kept_and_it_says_how_to_start_one(
    bulkdel: Bulkdel, desk: Desk
) -> None:
    result = bulkdel(*LIST, "--json")

    assert result.exit_code == 9
    assert "bulkdel up" in result.stderr
    assert one(result)["state"] == "planning"
    assert len(desk.jobs.recent()) == 1


@pytest.mark.usefixtures("worker")
def test_yes_confirms_a_small_plan_and_wait_sees_it_to_its_end(bulkdel: Bulkdel) -> None:
    result = bulkdel(*LIST, "--yes", "--wait=20s", "--json")

    job = one(result)
    assert result.exit_code == 0, result.output
    assert job["state"] == "succeeded"
    assert job["counts"]["succeeded"] == 2


def test_who_waits_is_told_when_the_plan_is_made_anew_and_wants_its_word(
    bulkdel: Bulkdel, worker: Played
) -> None:
    worker.turns_back = True

    result = bulkdel(*LIST, "--yes", "--wait=20s", "--json")

    assert result.exit_code == 5, result.output
    assert "waits for its word: bulkdel plan" in result.stderr
    assert one(result)["state"] == "awaiting_confirmation"


@pytest.mark.usefixtures("worker")
def test_yes_is_not_enough_for_a_large_plan(bulkdel: Bulkdel) -> None:
    result = bulkdel("submit", *ONE, "--ids", "1,2,3,4", "--yes", "--wait", "--json")

    assert result.exit_code == 5
    assert "takes its word" in result.stderr
    assert one(result)["state"] == "awaiting_confirmation"


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ({"101": Outcome.FAILED_REFUSED}, 3),
        ({"101": Outcome.FAILED_REFUSED, "102": Outcome.UNKNOWN}, 6),
        ({"101": Outcome.ALREADY_ABSENT}, 0),
        ({"101": Outcome.SKIPPED_CHANGED}, 0),
    ],
)
def test_the_exit_code_is_how_the_job_ended(
    bulkdel: Bulkdel, worker: Played, ends: dict[str, Outcome], code: int
) -> None:
    worker.ends.update(ends)

    result = bulkdel(*LIST, "--yes", "--wait")

    assert result.exit_code == code, result.output


@pytest.mark.usefixtures("worker")
def test_a_dry_run_ends_as_succeeded(bulkdel: Bulkdel) -> None:
    result = bulkdel(*LIST, "--dry-run", "--json")

    job = one(result)
    assert result.exit_code == 0
    assert (job["mode"], job["state"]) == ("dry_run", "succeeded")


def test_the_same_key_gives_the_same_job_and_another_request_is_refused(
    bulkdel: Bulkdel,
) -> None:
    keyed = ("submit", *ONE, "--idempotency-key", "run-7", "--no-wait-plan", "--json")
    first = bulkdel(*keyed, "--ids", "1,2")
    again = bulkdel(*keyed, "--ids", "1,2")
    other = bulkdel(*keyed, "--ids", "1,3")

    assert one(first) == one(again)
    assert other.exit_code == 2
    assert one(other)["error"]["code"] == "key_reused"


def test_a_plan_over_a_guard_is_5_and_a_dry_run_of_it_is_not(
    bulkdel: Bulkdel, worker: Played
) -> None:
    finding = Finding(level=FindingLevel.REFUSAL, code="max_items", text="2 items are too many")
    worker.findings = (finding,)

    refused = bulkdel(*LIST, "--yes", "--wait")
    dry = bulkdel(*LIST, "--dry-run")

    assert refused.exit_code == 5
    assert "refusal    2 items are too many" in refused.stdout
    assert dry.exit_code == 0


def test_waiting_for_a_worker_that_stands_runs_out(bulkdel: Bulkdel, played: Played) -> None:
    played.is_alive()

    result = bulkdel(*LIST, "--wait=1s")

    assert result.exit_code == 8
    assert "goes on" in result.stderr


def test_a_job_without_credentials_is_4_and_says_what_to_do(
    bulkdel: Bulkdel, played: Played, submitted: Callable[..., str]
) -> None:
    played.is_alive()
    job_id = submitted(more=("--idempotency-key", "k"))
    played.wait_on(job_id, Waiting.CREDENTIALS, "the token was refused")

    result = bulkdel(*LIST, "--idempotency-key", "k", "--json")

    assert result.exit_code == 4
    assert "bulkdel accounts check acme" in result.stderr
    assert one(result)["waiting_on"]["code"] == "credentials"


@pytest.mark.usefixtures("worker")
def test_no_input_does_not_wait_for_a_word_nobody_gives(bulkdel: Bulkdel) -> None:
    result = bulkdel(*LIST, "--wait", "--no-input")

    assert result.exit_code == 5
    assert "not confirmed" in result.stderr


def test_a_time_without_a_zone_is_taken_as_utc_and_said(bulkdel: Bulkdel, desk: Desk) -> None:
    result = bulkdel(*LIST, "--not-before", "2036-01-02T03:04", "--no-wait-plan")

    assert "taken as UTC" in result.stderr
    (job,) = desk.jobs.recent()
    assert f"{job.start_at:%Y-%m-%dT%H:%M%z}" == "2036-01-02T03:04+0000"


@pytest.mark.usefixtures("worker")
def test_progress_is_on_stderr_and_never_an_animation(bulkdel: Bulkdel) -> None:
    result = bulkdel(*LIST, "--yes", "--wait", "--json")

    assert "\x1b" not in result.stderr
    assert "\r" not in result.stderr
    assert json.loads(result.stdout)["state"] == "succeeded"
    assert "planning" in result.stderr


# --- filters, cleanup, the timer, options ----------------------------------------

CHOSEN = ("submit", "--account", "acme", "--reason", "closed", "--cascade", "all")


def test_filters_options_and_choices_are_kept_with_the_job(bulkdel: Bulkdel, desk: Desk) -> None:
    given = ("--filter", "status=inactive", "--filter", "created_before=2025-01-31")
    how = ("--keep-projects", "--stop-timer", "--no-wait-plan", "--json")

    result = bulkdel(*CHOSEN, *given, *how)

    job = desk.jobs.get(one(result)["id"])
    assert result.exit_code == 0, result.output
    assert (job.action, job.options.keep_projects) == ("cleanup", True)
    assert job.options.filters == {
        "created_before": "2025-01-31T00:00:00.000Z",
        "status": "inactive",
    }
    assert [item.seen.target.kind for item in desk.jobs.items(job.id)] == ["timer"]
    detail = json.loads(bulkdel("audit", "--job", job.id, "--json").stdout.splitlines()[0])
    assert detail["detail"]["filters"] == dict(job.options.filters)


@pytest.mark.parametrize(
    ("wrong", "there"),
    [
        (("--filter", ""), "there are: status"),
        (("--filter", "status="), "active | inactive"),
        (("--filter", "stats=active"), "did you mean status"),
        (("--filter", "created_before=yesterday"), "365d"),
        (("--filter", "status=active", "--ids", "1"), "exactly one of"),
        (("--ids", "1", "--provider-option", "raw=1"), "leave --provider-option out"),
        (("--ids", "1", "--keep-projects", "--cascade-mode", "background"), "--cascade-mode"),
        ((), "--filter"),
    ],
    ids=str,
)
def test_a_wrong_choice_is_exit_2_says_what_there_is_and_keeps_no_job(
    bulkdel: Bulkdel, desk: Desk, wrong: tuple[str, ...], there: str
) -> None:
    result = bulkdel(*CHOSEN, *wrong)

    assert result.exit_code == 2
    assert there in result.stderr
    assert not desk.jobs.recent()


def test_a_cleanup_without_children_is_exit_2(bulkdel: Bulkdel) -> None:
    result = bulkdel("submit", *ONE, "--ids", "1", "--keep-projects")

    assert result.exit_code == 2
    assert "--cascade" in result.stderr
