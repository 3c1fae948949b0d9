"""Zoho Books from the first call to the last: filters, cleanup, the timer, background."""

from pathlib import Path

import pytest

from tests.integration.stage import OLD, ORGANIZATION, TOKEN, Stage, on_stage
from worker.domain.errors import InvalidInput
from worker.domain.states import JobState

pytestmark = pytest.mark.enable_socket

SEED = {"status": ["active", "inactive"], "names": "Bridge {n}"}


def codes(stage: Stage, job_id: str) -> set[str]:
    return {finding.code for finding in stage.desk.jobs.get(job_id).plan.findings}


# --- filters -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (("status=inactive",), {"status": "inactive"}),
        (("project_name_contains=17",), {"project_name_contains": "17"}),
        (
            ("created_before=2025-03-01", "status=active"),
            {"created_time_millis_less_than": "1740787200000", "status": "active"},
        ),
    ],
    ids=str,
)
async def test_filters_select_what_the_provider_says_they_select(
    stage: Stage, given: tuple[str, ...], asked: dict[str, str]
) -> None:
    await stage.tell("seed", ORGANIZATION, projects=450, created_step=40_000, **SEED)
    expected = set(await stage.tell("select", ORGANIZATION, asked))
    before = set(await stage.left())

    job = await stage.run(filters=given, cascade=("none",))

    assert job.state is JobState.SUCCEEDED
    assert 0 < len(expected) < 450
    assert stage.selected(job) == expected
    assert before - set(await stage.left()) == expected


async def test_portable_filters_of_v3_are_held_against_its_list(stage: Stage) -> None:
    await stage.tell("seed", OLD, projects=250, created_step=40_000, **SEED)
    before = "2025-03-01T00:00:00Z"
    asked = {"created_time_millis_less_than": "1740787200000"}
    expected = set(await stage.tell("select", OLD, asked))

    job = await stage.run(account="old", filters=(f"created_before={before}",), cascade=("none",))

    assert 0 < len(expected) < 250
    assert stage.selected(job) == expected


async def test_a_selection_with_children_is_read_before_it_is_deleted(stage: Stage) -> None:
    await stage.tell("seed", ORGANIZATION, projects=6, tasks=2, **SEED)

    job = await stage.run(filters=("status=inactive",), cascade=("tasks",))

    assert stage.outcomes(job) == {("project", "deleted"): 3, ("task", "deleted"): 6}


async def test_what_is_protected_is_spared_as_soon_as_it_is_found(stage: Stage) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=4, **SEED)
    facts = stage.desk.settings.config
    text = facts.read_text().replace("max_items = 100000\n", f'protect.ids = ["{ids[1]}"]\n')
    facts.write_text(text)

    job = await stage.run(filters=("status=inactive",), cascade=("none",))

    assert stage.outcomes(job) == {
        ("project", "deleted"): 1,
        ("project", "skipped_protected"): 1,
    }


async def test_projects_without_a_name_hold_no_plan_up(stage: Stage) -> None:
    await stage.tell("seed", ORGANIZATION, projects=2, names="")
    await stage.tell("seed", ORGANIZATION, projects=2, names="Bridge {n}")

    job = await stage.run(filters=("status=active",), cascade=("none",))

    assert stage.outcomes(job) == {("project", "deleted"): 4}


@pytest.mark.parametrize("cascade", ["none", "tasks"])
async def test_projects_without_a_name_are_spared_where_names_are_protected(
    stage: Stage, cascade: str
) -> None:
    nameless = await stage.tell("seed", ORGANIZATION, projects=2, names="", tasks=1)
    named = await stage.tell("seed", ORGANIZATION, projects=2, names="Bridge {n}")
    config = stage.desk.settings.config
    rule = 'max_items = 100000\nprotect = { names = ["*KEEP*"] }\n'
    config.write_text(config.read_text().replace("max_items = 100000\n", rule))

    job = await stage.run([*nameless, *named], cascade=(cascade,))

    assert stage.outcomes(job) == {
        ("project", "deleted"): 2,
        ("project", "skipped_protected"): 2,
    }
    assert set(await stage.left()) == set(nameless)


async def test_a_filter_that_selects_nothing_ends_well_and_says_so(stage: Stage) -> None:
    await stage.tell("seed", ORGANIZATION, projects=4, **SEED)

    job = await stage.run(filters=("status=completed",), cascade=("none",))

    assert (job.state, job.plan.items) == (JobState.SUCCEEDED, 0)
    assert "nothing_selected" in codes(stage, job.id)
    assert len(await stage.left()) == 4


@pytest.mark.parametrize("given", ["", "status=", "state=x", "created_before=soon", "status=all"])
async def test_a_wrong_filter_keeps_no_job(stage: Stage, given: str) -> None:
    with pytest.raises(InvalidInput):
        stage.submit(filters=(given,), cascade=("none",))

    assert not stage.desk.jobs.recent()


# --- cleanup -----------------------------------------------------------------


async def test_a_cleanup_deletes_the_children_and_keeps_the_projects(stage: Stage) -> None:
    ids = await stage.tell(
        "seed",
        ORGANIZATION,
        projects=3,
        tasks=2,
        users=2,
        comments=2,
        system_comments=1,
        current_user=True,
    )

    job = await stage.run(ids, cascade=("all",), keep_projects=True)

    assert job.state is JobState.SUCCEEDED
    assert job.action == "cleanup"
    assert "kept" in codes(stage, job.id)
    assert job.plan.kept["project"] == 3
    assert ("project", "deleted") not in stage.outcomes(job)
    assert set(await stage.left()) == set(ids)
    assert {row["kind"] for row in await stage.deletions()} == {"task", "user", "comment"}


# --- the timer ---------------------------------------------------------------


@pytest.mark.parametrize(("running", "outcome"), [(True, "deleted"), (False, "already_absent")])
async def test_the_timer_is_stopped_before_all_else(
    stage: Stage, *, running: bool, outcome: str
) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=3)
    await stage.tell("timer", ORGANIZATION, running=running)

    job = await stage.run(ids, cascade=("none",), stop_timer=True)

    assert job.state is JobState.SUCCEEDED
    assert stage.outcomes(job) == {("timer", outcome): 1, ("project", "deleted"): 3}
    assert (await stage.deletions())[0]["kind"] == "timer"


@pytest.mark.parametrize("kind", ["lost_after", "lost_before"])
async def test_a_timer_whose_answer_is_lost_is_stopped_again(stage: Stage, kind: str) -> None:
    await stage.tell("timer", ORGANIZATION)
    ids = await stage.tell("seed", ORGANIZATION, projects=1)
    await stage.tell("faults", [{"kind": kind, "match": {"kind": "timer"}, "first_n": 1}])

    job = await stage.run(ids, cascade=("none",), stop_timer=True)

    assert stage.outcomes(job)["timer", "deleted"] == 1
    assert [row["kind"] for row in await stage.deletions()] == ["timer", "timer", "project"]


# --- background --------------------------------------------------------------


async def test_background_deletes_the_project_alone_and_its_children_with_it(
    stage: Stage,
) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=3, tasks=2)

    job = await stage.run(ids, cascade=("all",), cascade_mode="background")

    assert stage.outcomes(job) == {
        ("project", "deleted"): 3,
        ("task", "deleted_with_parent"): 6,
    }
    assert {row["kind"] for row in await stage.deletions()} == {"project"}


@pytest.mark.parametrize(
    ("choice", "project"), [("stop", "dependency_failed"), ("proceed", "deleted")]
)
async def test_a_child_that_is_refused_holds_its_project_unless_told_otherwise(
    stage: Stage, choice: str, project: str
) -> None:
    ids = await stage.tell("seed", ORGANIZATION, projects=2, tasks=1)
    task = (await stage.left())[ids[0]]["tasks"][0]
    await stage.tell("refused", ORGANIZATION, [task], kind="task")

    job = await stage.run(ids, cascade=("tasks",), on_child_refused=choice)

    outcomes = stage.outcomes(job)
    assert outcomes["task", "failed_refused"] == 1
    ended = {i.seen.target.external_id: str(i.outcome) for i in stage.items(job)}
    assert ended[ids[0]] == project
    assert ended[ids[1]] == "deleted"


async def test_our_own_user_and_system_comments_go_with_their_project(stage: Stage) -> None:
    ids = await stage.tell(
        "seed", ORGANIZATION, projects=2, users=2, current_user=True, system_comments=1
    )

    job = await stage.run(ids, cascade=("all",))

    assert job.state is JobState.SUCCEEDED
    outcomes = stage.outcomes(job)
    assert outcomes["comment", "deleted_with_parent"] == 2
    assert outcomes["user", "deleted_with_parent"] == 2
    assert {row["kind"] for row in await stage.deletions()} == {"user", "project"}


# --- comments that cannot be listed -------------------------------------------------


async def test_an_account_that_lists_no_comments_has_none_to_delete(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    async with on_stage(sqlite_url, tmp_path, more="lists_comments = false") as stage:
        await stage.tell("organization", ORGANIZATION, token=TOKEN, comments_listed=False)
        ids = await stage.tell("seed", ORGANIZATION, projects=2, tasks=1, comments=1)

        with pytest.raises(InvalidInput, match="no kind 'comments'"):
            stage.submit(ids, cascade=("comments",))
        job = await stage.run(ids, cascade=("all",))

        assert stage.outcomes(job) == {("project", "deleted"): 2, ("task", "deleted"): 2}
        assert "blind" in codes(stage, job.id)
