import json
from collections.abc import Callable

import pytest
from click.testing import Result

from tests.unit.cli.conftest import ONE, Bulkdel, Played, one
from worker.cli.control import outcomes_of
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Bucket, Outcome
from worker.domain.states import JobState, Waiting
from worker.ports import Note

Submitted = Callable[..., str]


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    "args",
    [
        ("plan", "j-none"),
        ("confirm", "j-none", "--yes"),
        ("show", "j-none"),
        ("show", "--key", "none"),
        ("watch", "j-none"),
        ("explain", "j-none"),
        ("explain", "4711"),
        ("report", "j-none"),
        ("pause", "j-none"),
        ("resume", "j-none"),
        ("cancel", "j-none"),
        ("retry", "j-none"),
    ],
)
def test_a_job_that_is_not_there_is_wrong_input(bulkdel: Bulkdel, args: tuple[str, ...]) -> None:
    result = bulkdel(*args, "--json")

    assert result.exit_code == 2
    assert one(result)["error"] == one(result)["error"] | {"code": "not_found", "exit_code": 2}


def test_a_job_is_confirmed_by_its_word_alone(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted("1", "2", "3", "4")
    word = played.plan(job_id).plan.word

    wrong = bulkdel("confirm", job_id, "--word", "delete 5 acme 0000")
    none = bulkdel("confirm", job_id)
    yes = bulkdel("confirm", job_id, "--yes")
    right = bulkdel("confirm", job_id, "--word", word, "--json")

    assert [wrong.exit_code, none.exit_code, yes.exit_code, right.exit_code] == [5, 5, 5, 0]
    assert f'--word "{word}"' in none.stderr
    assert one(right)["state"] == "scheduled"


def test_a_plan_that_is_not_made_yet_cannot_be_confirmed(
    bulkdel: Bulkdel, submitted: Submitted
) -> None:
    result = bulkdel("confirm", submitted(), "--yes")

    assert result.exit_code == 5


@pytest.mark.usefixtures("worker")
def test_confirm_waits_for_the_end_if_asked(bulkdel: Bulkdel) -> None:
    job_id = str(one(bulkdel("submit", *ONE, "--ids", "1", "--json"))["id"])

    result = bulkdel("confirm", "--wait", job_id, "--yes", "--json")

    assert result.exit_code == 0, result.output
    assert one(result)["state"] == "succeeded"


def test_the_items_of_a_plan_are_listed_as_json_lines(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted("1", "2")
    played.plan(job_id)

    listed = rows(bulkdel("plan", job_id, "--items", "--json"))
    shown = bulkdel("plan", job_id, "--items").stdout

    assert [item["external_id"] for item in listed] == ["1", "2"]
    assert "project 2" in shown


def test_jobs_are_listed_newest_first_and_limited(bulkdel: Bulkdel, submitted: Submitted) -> None:
    ids = [submitted(str(n)) for n in range(1, 4)]

    listed = rows(bulkdel("jobs", "--json"))
    table = bulkdel("jobs", "--limit", "2").stdout.splitlines()

    assert [job["id"] for job in listed] == ids[::-1]
    assert table[0].split() == ["job", "account", "state", "settled", "submitted", "why"]
    assert len(table) == 3
    assert len(rows(bulkdel("jobs", "--limit", "1", "--all", "--json"))) == 3
    assert rows(bulkdel("jobs", "--account", "other", "--json")) == []


def test_a_job_is_shown_by_id_and_by_key(bulkdel: Bulkdel, submitted: Submitted) -> None:
    job_id = submitted(more=("--idempotency-key", "run-7"))

    assert one(bulkdel("show", "--key", "run-7", "--json"))["id"] == job_id
    assert bulkdel("show", job_id).stdout.startswith(f"Job {job_id} is planning.")
    assert bulkdel("show").exit_code == 2
    assert bulkdel("show", job_id, "--key", "run-7").exit_code == 2


def test_a_job_is_paused_resumed_and_cancelled(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted()
    played.plan(job_id)
    bulkdel("confirm", job_id, "--yes")

    paused = bulkdel("pause", job_id)
    watched = bulkdel("watch", job_id)
    resumed = one(bulkdel("resume", job_id, "--json"))
    cancelled = one(bulkdel("cancel", job_id, "--json"))
    played.close(job_id)
    over = bulkdel("watch", job_id)

    assert paused.stdout == f"Job {job_id} is paused.\n"
    assert watched.exit_code == 7
    assert resumed["state"] == "scheduled"
    assert cancelled["stopping"] == "cancelled"
    assert over.exit_code == 7
    assert bulkdel("resume", job_id).exit_code == 5


def test_what_a_job_left_is_retried_as_a_new_job(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted("1", "2", "3")
    played.ends["2"] = Outcome.FAILED_REFUSED
    played.plan(job_id)
    early = bulkdel("retry", job_id)
    bulkdel("confirm", job_id, "--yes")
    played.finish(job_id)

    retried = one(bulkdel("retry", job_id, "--no-wait-plan", "--json"))
    nothing = bulkdel("retry", job_id, "--outcome", "unknown")
    strange = bulkdel("retry", job_id, "--outcome", "lost")

    assert early.exit_code == 5
    assert retried["parent_job_id"] == job_id
    assert retried["counts"] == retried["counts"] | {"total": 1}
    assert (nothing.exit_code, strange.exit_code) == (2, 2)
    assert "failed_refused 1" in nothing.stderr


def test_outcomes_are_chosen_by_their_own_word_or_their_buckets() -> None:
    assert outcomes_of(["unknown"]) == [Outcome.UNKNOWN]
    assert outcomes_of(["failed_refused", "failed_refused"]) == [Outcome.FAILED_REFUSED]
    assert set(outcomes_of([bucket.value for bucket in Bucket])) == set(Outcome)
    with pytest.raises(InvalidInput, match="no outcome 'lost'"):
        outcomes_of(["lost"])


def test_a_report_groups_equal_reasons_and_says_what_to_do(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted("1", "2", "3")
    played.ends |= {"1": Outcome.FAILED_REFUSED, "3": Outcome.FAILED_REFUSED}
    played.plan(job_id)
    bulkdel("confirm", job_id, "--yes")
    played.finish(job_id)

    page = bulkdel("report", job_id)
    report = one(bulkdel("report", job_id, "--json"))

    assert page.exit_code == 0
    assert "2 failed_refused" in page.stdout
    assert f"bulkdel retry {job_id} --outcome failed" in page.stdout
    (group,) = report["groups"]
    assert group["ids"] == ["project 1", "project 3"]
    assert group["reason"] == "locked by an open invoice"


def test_explain_says_what_a_job_waits_for_and_that_no_worker_lives(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted()
    played.wait_on(job_id, Waiting.QUOTA_RESET, "the day's calls are used up")

    said = bulkdel("explain", job_id).stdout

    assert "It waits on quota_reset: the day's calls are used up" in said
    assert "It goes on by itself when the day's quota is given anew." in said
    assert "No worker is alive" in said


def test_explain_tells_an_item_with_its_audit_entries(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted("1")
    played.ends["1"] = Outcome.FAILED_REFUSED
    played.plan(job_id)
    (item,) = played.desk.jobs.items(job_id)
    before = bulkdel("explain", str(item.id)).stdout
    bulkdel("confirm", job_id, "--yes")
    played.finish(job_id)

    after = bulkdel("explain", str(item.id))
    told = one(bulkdel("explain", str(item.id), "--json"))

    assert "Its job is awaiting_confirmation." in before
    assert "It ended failed_refused: locked by an open invoice." in after.stdout
    assert "call" in after.stdout
    assert told["outcome"] == "failed_refused"
    assert told["explanation"]


def test_a_job_without_credentials_ends_the_watch_with_4(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted()
    played.wait_on(job_id, Waiting.CREDENTIALS, "the token was refused")

    result = bulkdel("watch", job_id, "--json")

    assert result.exit_code == 4
    assert "accounts check acme" in result.stderr


def test_what_a_provider_wrote_cannot_steer_the_terminal(
    bulkdel: Bulkdel, played: Played, submitted: Submitted
) -> None:
    job_id = submitted()
    played.wait_on(job_id, Waiting.PROVIDER_OUTAGE, "says \x1b[2J \u202e gone")

    for result in (bulkdel("show", job_id), bulkdel("explain", job_id), bulkdel("plan", job_id)):
        assert result.exit_code == 0
        assert "\x1b" not in result.output
        assert "\u202e" not in result.output


def test_an_expired_plan_is_5(bulkdel: Bulkdel, played: Played, submitted: Submitted) -> None:
    job_id = submitted()
    played.plan(job_id)
    late = Note(actor="worker", why="too late", columns={"stopping": JobState.EXPIRED.value})
    played.desk.jobs.change(job_id, lambda _job, _at: late)
    played.close(job_id)

    assert bulkdel("watch", job_id).exit_code == 5
    assert "expired" in bulkdel("explain", job_id).stdout


def test_a_database_without_tables_is_9_and_says_what_to_run(
    bulkdel: Bulkdel, environ: dict[str, str], tmp_path: object
) -> None:
    environ["BULKDEL_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.db"

    result = bulkdel("jobs", "--json")

    assert result.exit_code == 9
    assert "bulkdel db upgrade" in one(result)["error"]["fix"]
