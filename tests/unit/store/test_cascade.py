"""What settled items mean for the others, and which text a row may keep."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import EPOCH, a_case, a_progress, a_seen, an_answer, an_item, shows
from worker.domain.decide import decide
from worker.domain.outcomes import Bucket, Outcome, Verdict
from worker.domain.retry import RetryPolicy
from worker.domain.states import ItemState
from worker.domain.steps import GoOn, Settle, Step
from worker.domain.text import clean
from worker.ports import Change
from worker.store.cascade import Child, SettledItem, after_children, failures, with_parent
from worker.store.rows import change_values, seen_columns

GONE = [o for o in Outcome if o.bucket is Bucket.SUCCEEDED]
STILL_THERE = [o for o in Outcome if o.bucket is not Bucket.SUCCEEDED]
UNDER_WAY = sorted(set(ItemState) - {ItemState.SETTLED, ItemState.BLOCKED})


def a_sibling(
    state: ItemState = ItemState.SETTLED, rank: int = 0, outcome: Outcome | None = None
) -> Child:
    return Child(
        kind="task", external_id="7", rank=rank, state=state, outcome=outcome, provider_code=""
    )


def ended(outcome: Outcome) -> Child:
    return a_sibling(outcome=outcome)


def has_failed(child: Child) -> bool:
    return child.outcome is not None and child.outcome.bucket is Bucket.FAILED


# --- a project and its children ----------------------------------------------


@pytest.mark.parametrize("proceed", [False, True])
@pytest.mark.parametrize("state", UNDER_WAY)
def test_a_project_waits_for_every_child(state: ItemState, *, proceed: bool) -> None:
    children = [ended(Outcome.FAILED_REFUSED), a_sibling(state), a_sibling(ItemState.BLOCKED, 1)]

    assert after_children(children, proceed=proceed) is None


def test_the_next_kind_goes_once_the_one_before_is_done() -> None:
    children = [
        ended(Outcome.DELETED),
        a_sibling(ItemState.BLOCKED, 2),
        a_sibling(ItemState.BLOCKED, 1),
    ]

    assert after_children(children, proceed=False) == 1


def test_a_child_that_failed_does_not_stop_its_siblings() -> None:
    children = [ended(Outcome.FAILED_REFUSED), a_sibling(ItemState.BLOCKED, 1)]

    assert after_children(children, proceed=False) == 1


@pytest.mark.parametrize("outcome", GONE)
def test_a_project_goes_once_its_children_are_gone(outcome: Outcome) -> None:
    children = [ended(Outcome.DELETED), ended(outcome)]

    assert after_children(children, proceed=False) is Outcome.DELETED
    assert failures(children) == []


@pytest.mark.parametrize("outcome", STILL_THERE)
def test_a_child_that_is_still_there_keeps_its_project(outcome: Outcome) -> None:
    children = [ended(Outcome.DELETED), ended(outcome)]

    assert after_children(children, proceed=False) is kept_by(outcome)
    assert failures(children) == [children[1]]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o.bucket is Bucket.FAILED])
def test_a_project_goes_over_failed_children_if_that_was_asked_for(outcome: Outcome) -> None:
    assert after_children([ended(outcome)], proceed=True) is Outcome.DELETED


@given(
    children=st.lists(
        st.builds(
            a_sibling,
            state=st.sampled_from([s for s in ItemState if s is not ItemState.SETTLED]),
            rank=st.integers(0, 4),
        )
        | st.builds(ended, st.sampled_from(Outcome)),
        min_size=1,
        max_size=6,
    ),
    proceed=st.booleans(),
)
def test_a_project_is_never_let_go_over_a_child_that_is_not_done(
    children: list[Child], *, proceed: bool
) -> None:
    what = after_children(children, proceed=proceed)

    if isinstance(what, Outcome):
        assert all(child.state is ItemState.SETTLED for child in children)
        spared = [child for child in failures(children) if not has_failed(child)]
        assert (what is Outcome.DELETED) == (not (spared if proceed else failures(children)))
    if isinstance(what, int):
        assert any(c.rank == what and c.state is ItemState.BLOCKED for c in children)


@pytest.mark.parametrize(
    "outcome",
    [o for o in STILL_THERE if o.bucket is not Bucket.FAILED],
)
def test_a_child_that_was_spared_protects_its_project_even_then(outcome: Outcome) -> None:
    assert after_children([ended(outcome)], proceed=True) is kept_by(outcome)


def kept_by(outcome: Outcome) -> Outcome:
    """How a project ends that such a child alone keeps: spared as it was, or failed."""
    spared = {Outcome.SKIPPED_PROTECTED, Outcome.SKIPPED_HELD}
    return outcome if outcome in spared else Outcome.DEPENDENCY_FAILED


def test_a_failed_child_beside_a_spared_one_makes_its_project_fail() -> None:
    children = [ended(Outcome.SKIPPED_PROTECTED), ended(Outcome.FAILED_REFUSED)]

    assert after_children(children, proceed=False) is Outcome.DEPENDENCY_FAILED


# --- what goes with its project ----------------------------------------------


@pytest.mark.parametrize("parent", Outcome)
def test_what_goes_with_its_project_ends_with_it(parent: Outcome) -> None:
    outcome = with_parent(parent)

    assert (outcome is Outcome.DELETED_WITH_PARENT) == (parent in GONE)
    assert outcome.bucket is parent.bucket


def test_a_settled_item_is_told_by_its_item() -> None:
    item = an_item(3, seen=a_seen("42"), parent_item_id=2)

    settled = SettledItem.of(item, Outcome.DELETED, "gone")

    assert (settled.id, settled.kind, settled.external_id) == (3, "project", "42")
    assert (settled.parent_item_id, settled.outcome, settled.reason) == (2, "deleted", "gone")


def test_what_went_with_a_project_of_which_nobody_knows_is_unknown() -> None:
    assert with_parent(Outcome.UNKNOWN).bucket is Bucket.UNKNOWN


# --- rows --------------------------------------------------------------------


@given(text=st.text(), length=st.integers(0, 30))
def test_clean_text_is_printable_short_and_can_be_encoded(text: str, length: int) -> None:
    cleaned = clean(text, length)

    assert cleaned.isprintable()
    assert len(cleaned) <= length
    assert cleaned.encode().decode() == cleaned


@given(text=st.text(st.characters(exclude_categories=["C", "Z"]), max_size=30))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text, 30) == text


def test_a_change_is_written_as_decided() -> None:
    item = an_item(progress=a_progress(Step.LOOK, attempts=1, lost=1, looks=2))
    answer = an_answer(Verdict.UNAVAILABLE)
    decision = decide(a_case(), replace(item.progress, tries=5), answer, RetryPolicy(), 0.5)
    assert isinstance(decision, GoOn)

    values = change_values(Change(item=item, decision=decision), answer, EPOCH)

    assert (values["state"], values["looks"], values["tries"]) == ("verifying", 3, 0)
    assert values["due_at"] == EPOCH + decision.after
    assert values["outcome"] is None


def test_a_settled_item_is_due_no_more() -> None:
    end = Settle(outcome=Outcome.FAILED_REFUSED, reason="no\nway" * 100)

    values = change_values(Change(item=an_item(due_at=EPOCH), decision=end), an_answer(), EPOCH)

    assert (values["state"], values["outcome"], values["due_at"]) == (
        "settled",
        "failed_refused",
        None,
    )
    assert len(values["reason"]) == 300


@pytest.mark.parametrize(
    ("step", "verdict", "attempts"),
    [
        (Step.DELETE, Verdict.DELETED, 3),
        (Step.DELETE, Verdict.REFUSED, 3),
        (Step.LOOK, Verdict.ABSENT, 2),
        (Step.RECHECK, Verdict.ABSENT, 2),
    ],
)
def test_the_attempt_that_settled_an_item_counts(
    step: Step, verdict: Verdict, attempts: int
) -> None:
    item = an_item(progress=a_progress(step, attempts=2))
    change = Change(item=item, decision=Settle(outcome=Outcome.DELETED))

    assert change_values(change, an_answer(verdict), EPOCH)["attempts"] == attempts


@pytest.mark.parametrize(
    "name",
    ["N" * 201, "Bau\u00a0Nord", "👩\u200d🔧 shop", "a\u3000b"],
    ids=["long", "nbsp", "zwj", "wide"],
)
def test_a_project_whose_name_was_cleaned_is_still_the_same(name: str) -> None:
    read = a_seen(name=name)
    kept = replace(read, name=seen_columns(read)["name"])

    recheck = a_progress(Step.RECHECK)
    decision = decide(a_case(seen=kept), recheck, shows(read), RetryPolicy(), 0.5)

    assert isinstance(decision, GoOn)
