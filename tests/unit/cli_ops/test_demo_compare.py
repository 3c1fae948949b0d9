"""The ledger of the sandbox and the audit log, compared item by item."""

from worker.domain.calls import Target
from worker.domain.outcomes import Outcome
from worker.services.demo import SHOWN, Deletion, Ending, compare

PROJECT = Target(kind="project", external_id="1")
TASK = Target(kind="task", external_id="7", parent_external_id="1")


def gone(seq: int, target: Target) -> Deletion:
    return Deletion(seq=seq, target=target, took_effect=True)


def asked(seq: int, target: Target) -> Deletion:
    return Deletion(seq=seq, target=target, took_effect=False)


def ended(target: Target, outcome: Outcome = Outcome.DELETED) -> Ending:
    return Ending(target=target, outcome=outcome)


def test_children_then_their_project_each_once_is_as_it_should_be() -> None:
    assert compare([gone(1, TASK), gone(2, PROJECT)], [ended(TASK), ended(PROJECT)]) == []


def test_the_same_user_in_two_projects_is_two_items() -> None:
    one = Target(kind="user", external_id="5", parent_external_id="1")
    two = Target(kind="user", external_id="5", parent_external_id="2")

    assert compare([gone(1, one), gone(2, two)], [ended(one), ended(two)]) == []


def test_an_item_called_deleted_that_still_lives_is_found() -> None:
    assert compare([], [ended(TASK)]) == [
        "task 7 of project 1 is deleted in the audit log, but the provider deleted it 0 times"
    ]


def test_an_item_deleted_twice_is_found() -> None:
    assert compare([gone(1, PROJECT), gone(2, PROJECT)], [ended(PROJECT)]) == [
        "project 1 is deleted in the audit log, but the provider deleted it 2 times"
    ]


def test_an_item_that_went_and_is_called_failed_is_found() -> None:
    assert compare([gone(1, PROJECT)], [ended(PROJECT, Outcome.FAILED_REFUSED)]) == [
        "project 1 is failed_refused in the audit log, but the provider deleted it 1 times"
    ]


def test_a_second_call_without_effect_is_allowed() -> None:
    assert compare([gone(1, PROJECT), asked(2, PROJECT)], [ended(PROJECT)]) == []


def test_a_call_for_what_is_no_item_is_found_even_without_effect() -> None:
    assert compare([asked(1, PROJECT)], []) == [
        "project 1 was asked to be deleted, but is no item of the job"
    ]


def test_an_item_that_ended_twice_is_found() -> None:
    assert compare([gone(1, PROJECT)], [ended(PROJECT), ended(PROJECT)]) == [
        "project 1 ended 2 times in the audit log"
    ]


def test_a_project_that_went_before_its_child_is_found() -> None:
    ledger = [gone(1, PROJECT), asked(2, TASK)]

    assert compare(ledger, [ended(PROJECT), ended(TASK, Outcome.ALREADY_ABSENT)]) == [
        "task 7 of project 1 was asked to be deleted after its project had gone"
    ]


def test_no_more_problems_than_a_person_reads_are_told() -> None:
    items = [ended(Target(kind="project", external_id=str(n))) for n in range(100)]

    assert len(compare([], items)) == SHOWN
