"""The tables of moves: complete, connected, and asked before every move."""

from collections.abc import Mapping
from typing import TypeVar

import pytest

from worker.domain.errors import IllegalMove
from worker.domain.states import (
    ACTIVE,
    FINAL,
    HOLDING,
    ITEM_MOVES,
    JOB_MOVES,
    PAUSABLE,
    ItemState,
    JobState,
    check_move,
)

PAIRS = [(old, new) for old in JobState for new in JobState]


State = TypeVar("State", JobState, ItemState)


def reached_from(start: State, moves: Mapping[State, frozenset[State]]) -> set[State]:
    reached, fresh = {start}, {start}
    while fresh:
        fresh = {to for state in fresh for to in moves[state]} - reached
        reached |= fresh
    return reached


def test_every_state_has_its_row() -> None:
    assert set(JOB_MOVES) == set(JobState)
    assert set(ITEM_MOVES) == set(ItemState)


def test_every_job_state_is_reached_from_planning() -> None:
    assert reached_from(JobState.PLANNING, JOB_MOVES) == set(JobState)


def test_every_item_state_is_reached_from_pending() -> None:
    assert reached_from(ItemState.PENDING, ITEM_MOVES) == set(ItemState)


@pytest.mark.parametrize("state", JobState)
def test_every_job_can_come_to_an_end(state: JobState) -> None:
    assert reached_from(state, JOB_MOVES) & FINAL


@pytest.mark.parametrize("state", ItemState)
def test_every_item_can_be_settled(state: ItemState) -> None:
    assert ItemState.SETTLED in reached_from(state, ITEM_MOVES)


def test_the_final_states_are_the_published_ones() -> None:
    assert {
        JobState.SUCCEEDED,
        JobState.PARTIALLY_SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.REJECTED,
        JobState.EXPIRED,
        JobState.PLAN_FAILED,
    } == FINAL


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL))
def test_whatever_is_not_final_can_be_cancelled(state: JobState) -> None:
    assert JobState.CANCELLED in JOB_MOVES[state]


@pytest.mark.parametrize("state", sorted(PAUSABLE))
def test_a_pause_can_be_taken_back(state: JobState) -> None:
    assert state in JOB_MOVES[JobState.PAUSED]


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair[1] in JOB_MOVES[pair[0]]])
def test_a_move_of_the_table_is_let_through(old: JobState, new: JobState) -> None:
    check_move(old, new)


@pytest.mark.parametrize(
    ("old", "new"), [pair for pair in PAIRS if pair[1] not in JOB_MOVES[pair[0]]]
)
def test_any_other_move_raises(old: JobState, new: JobState) -> None:
    with pytest.raises(IllegalMove, match=f"from {old} to {new}"):
        check_move(old, new)


@pytest.mark.parametrize("state", JobState)
def test_no_state_moves_to_itself(state: JobState) -> None:
    assert state not in JOB_MOVES[state]


def test_nothing_is_deleted_without_a_confirmation() -> None:
    unconfirmed = {JobState.PLANNING, JobState.AWAITING_CONFIRMATION, JobState.AWAITING_APPROVAL}

    assert not [state for state in unconfirmed if JobState.RUNNING in JOB_MOVES[state]]


def test_only_live_jobs_are_worked_and_hold_their_targets() -> None:
    assert not ACTIVE & FINAL
    assert not HOLDING & FINAL
    assert JobState.PLANNING not in HOLDING
    assert JobState.PAUSED not in ACTIVE
