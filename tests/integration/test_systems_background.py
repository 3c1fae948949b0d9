"""Background against foreground: the same set gone, at another price, with audits as designed."""

from collections import Counter

import pytest

from tests.integration.stage import OLD, ORGANIZATION, Stage
from worker.ports import Job
from worker.store.audit_log import Filter, query

pytestmark = pytest.mark.enable_socket

SEED = {"projects": 12, "tasks": 1, "users": 1, "documents": 1, "comments": 1}


def settling(stage: Stage, job: Job) -> Counter[tuple[str, str]]:
    """How many entries give an item its outcome, by event and kind."""
    entries = query(stage.desk.db, Filter(job=job.id), limit=1_000)
    return Counter((entry.event, entry.kind) for entry in entries if entry.outcome)


async def test_background_ends_the_same_set_with_fewer_calls(stage: Stage) -> None:
    ends = {}
    for mode in ("foreground", "background"):
        ids = await stage.tell("seed", ORGANIZATION, **SEED)
        before = len(await stage.deletions())
        job = await stage.run(ids, cascade=("all",), cascade_mode=mode)
        made = len(await stage.deletions()) - before
        ends[mode] = (job, made, settling(stage, job))

    fore, back = ends["foreground"], ends["background"]
    assert await stage.left() == {}
    assert (fore[1], back[1]) == (60, 12)
    assert fore[0].plan.calls == 60 + 2 * 12
    assert back[0].plan.calls == 12
    assert fore[0].plan.by_kind == back[0].plan.by_kind
    children = ("comment", "document", "task", "user")
    assert fore[2] == Counter({("call", kind): 12 for kind in (*children, "project")})
    assert back[2] == Counter(
        {("call", "project"): 12} | {("item.settled", kind): 12 for kind in children}
    )


async def test_a_refused_project_leaves_what_was_to_go_with_it(stage: Stage) -> None:
    ids = await stage.tell("seed", OLD, projects=2, tasks=2)
    await stage.tell("refused", OLD, [ids[0]], text="Invoices first.")

    job = await stage.run(ids, account="old", cascade=("all",), cascade_mode="background")

    assert stage.outcomes(job) == {
        ("project", "failed_refused"): 1,
        ("project", "deleted"): 1,
        ("task", "dependency_failed"): 2,
        ("task", "deleted_with_parent"): 2,
    }
