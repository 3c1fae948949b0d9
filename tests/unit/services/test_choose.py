"""The call that each step asks for, and looks that share one."""

import pytest

from tests.builders import CATALOGUE, a_child, a_progress, a_seen, a_target, an_item
from worker.domain.calls import Action, Call, Seen
from worker.domain.steps import Step
from worker.services.choose import call_for, choose

CASCADE = ("comment", "task")


def call(step: Step, seen: Seen | None = None, source: int = 0) -> Call:
    progress = a_progress(step, source=source)
    item = an_item(seen=seen or a_seen("42"), progress=progress)
    return call_for(item, CATALOGUE, CASCADE)


def test_a_delete_names_its_target_and_nothing_else() -> None:
    child = a_child("7")

    assert call(Step.DELETE, child) == Call(action=Action.DELETE, targets=(child.target,))


@pytest.mark.parametrize("step", [Step.READ, Step.RECHECK])
@pytest.mark.parametrize(("source", "name"), [(0, "project"), (1, "comment")])
def test_a_check_reads_one_source_after_the_other(step: Step, source: int, name: str) -> None:
    expected = Call(action=Action.READ, targets=(a_target("42"),), source=name)

    assert call(step, source=source) == expected


@pytest.mark.parametrize(
    ("seen", "source"),
    [
        (a_seen("42"), "project"),
        (a_child("7", "task"), "project"),
        (a_child("7", "comment"), "comment"),
    ],
    ids=["project", "task", "comment"],
)
def test_a_look_reads_where_the_item_would_be_shown(seen: Seen, source: str) -> None:
    expected = Call(action=Action.READ, targets=(a_target("42"),), source=source)

    assert call(Step.LOOK, seen) == expected


def test_looks_at_the_children_of_a_project_share_a_read() -> None:
    look = a_progress(Step.LOOK)
    items = [
        an_item(1, seen=a_child("7"), progress=look),
        an_item(2, seen=a_child("9", "comment"), progress=look),
        an_item(3, seen=a_child("8"), progress=look),
    ]

    works = choose(items, CATALOGUE, {"j-1": CASCADE})

    assert [[item.id for item in work.items] for work in works] == [[1, 3], [2]]


def test_looks_of_two_jobs_are_two_calls() -> None:
    look = a_progress(Step.LOOK)
    items = [an_item(1, progress=look), an_item(1, job_id="j-2", progress=look)]

    works = choose(items, CATALOGUE, {"j-1": (), "j-2": ()})

    assert [work.job_id for work in works] == ["j-1", "j-2"]


def test_a_delete_is_never_shared() -> None:
    items = [an_item(1, seen=a_seen("42")), an_item(2, seen=a_seen("42"))]

    assert [len(work.items) for work in choose(items, CATALOGUE, {"j-1": ()})] == [1, 1]


def test_order_is_kept() -> None:
    items = [an_item(number) for number in (3, 1, 2)]

    works = choose(items, CATALOGUE, {"j-1": ()})

    assert [work.items[0].id for work in works] == [3, 1, 2]
    assert choose([], CATALOGUE, {}) == []
