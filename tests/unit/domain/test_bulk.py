"""What the first chunk of a job says of the provider's bulk delete, and how the rest is parted."""

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.bulk import (
    LEAST,
    NEVER,
    NOT_GONE,
    PARTLY,
    TOO_MUCH,
    TRIES,
    Advice,
    Bulk,
    Probe,
    Stage,
    advise,
    calls_of,
    groups,
    place_of,
    proven_by_reads,
)
from worker.domain.outcomes import Outcome
from worker.domain.states import ItemState
from worker.domain.steps import TAKEN, Step

ON_TRIAL = Bulk(stage=Stage.CANARY, canary=(2, 3), witnesses=(1, 4), tries=1)
LAST_TRIAL = replace(ON_TRIAL, tries=TRIES)
HELD = Probe(id=2, step=Step.CANARY, state=ItemState.BLOCKED, source=0)
UNDER_WAY = replace(HELD, state=ItemState.SENT)
LOOKED_AT = Probe(id=2, step=Step.LOOK, state=ItemState.PENDING, source=TAKEN, attempts=1)
GONE = replace(LOOKED_AT, state=ItemState.SETTLED, outcome=Outcome.DELETED)
STAYED = Probe(id=2, step=Step.DELETE, state=ItemState.BLOCKED, source=TAKEN, attempts=1)
BY_ITSELF = replace(STAYED, state=ItemState.SETTLED, outcome=Outcome.DELETED, attempts=2)
REFUSED = replace(BY_ITSELF, outcome=Outcome.FAILED_REFUSED)
LOST_THEN_ALONE = replace(BY_ITSELF, source=0)
UNREAD = Probe(id=1, step=Step.WITNESS, state=ItemState.PENDING, source=0)
THERE = replace(UNREAD, state=ItemState.BLOCKED, source=1)
READ_AGAIN = replace(UNREAD, source=1)
STILL_THERE = Probe(id=1, step=Step.CHUNK, state=ItemState.PENDING, source=0)
ABSENT_BEFORE = replace(UNREAD, state=ItemState.SETTLED, outcome=Outcome.ALREADY_ABSENT)
WENT_TOO = replace(THERE, state=ItemState.SETTLED, outcome=Outcome.DELETED)
OUT_OF_SIGHT = replace(WENT_TOO, outcome=Outcome.FAILED_PRECHECK)
RENAMED = replace(WENT_TOO, outcome=Outcome.SKIPPED_CHANGED)

FLOW = {
    "no canary": ((), (), Advice.CHOOSE, ""),
    "neighbours unread": ((HELD, HELD), (UNREAD, THERE), Advice.WAIT, ""),
    "both there": ((HELD, HELD), (THERE, THERE), Advice.SEND, ""),
    "one there": ((HELD, HELD), (ABSENT_BEFORE, THERE), Advice.SEND, ""),
    "none there": ((HELD, HELD), (ABSENT_BEFORE, ABSENT_BEFORE), Advice.CHOOSE, ""),
    "half a pair": ((HELD, REFUSED), (THERE, THERE), Advice.CHOOSE, ""),
    "under way": ((UNDER_WAY, UNDER_WAY), (THERE, THERE), Advice.WAIT, ""),
    "answered": ((LOOKED_AT, LOOKED_AT), (THERE, THERE), Advice.READ_AGAIN, ""),
    "read again": ((GONE, GONE), (READ_AGAIN, STILL_THERE), Advice.WAIT, ""),
    "looks open": ((GONE, LOOKED_AT), (STILL_THERE, STILL_THERE), Advice.WAIT, ""),
    "all well": ((GONE, GONE), (STILL_THERE, STILL_THERE), Advice.TRUST, ""),
    "renamed": ((GONE, GONE), (RENAMED, STILL_THERE), Advice.TRUST, ""),
    "neighbour gone": ((GONE, GONE), (WENT_TOO, STILL_THERE), Advice.PAUSE, TOO_MUCH),
    "gone unseen": ((LOOKED_AT, GONE), (WENT_TOO, STILL_THERE), Advice.PAUSE, TOO_MUCH),
    "out of sight": ((GONE, GONE), (OUT_OF_SIGHT, STILL_THERE), Advice.CHOOSE, ""),
    "nothing gone": ((STAYED, STAYED), (STILL_THERE, STILL_THERE), Advice.TURN_BACK, NOT_GONE),
    "one gone": ((GONE, STAYED), (STILL_THERE, STILL_THERE), Advice.FINISH, ""),
    "one left": ((GONE, BY_ITSELF), (STILL_THERE, STILL_THERE), Advice.TURN_BACK, PARTLY),
    "one refused": ((GONE, REFUSED), (STILL_THERE, STILL_THERE), Advice.TRUST, ""),
    "both refused": ((REFUSED, REFUSED), (STILL_THERE, STILL_THERE), Advice.CHOOSE, ""),
    "lost": ((LOST_THEN_ALONE, LOST_THEN_ALONE), (STILL_THERE, THERE), Advice.READ_AGAIN, ""),
    "lost, tried": (
        (LOST_THEN_ALONE, LOST_THEN_ALONE),
        (STILL_THERE, STILL_THERE),
        Advice.CHOOSE,
        "",
    ),
}


@pytest.mark.parametrize("name", FLOW)
def test_the_canary_says_what_comes_next(name: str) -> None:
    canary, witnesses, advice, why = FLOW[name]

    assert advise(ON_TRIAL, canary, witnesses) == (advice, why)


@pytest.mark.parametrize(
    "name", ["none there", "half a pair", "out of sight", "both refused", "lost, tried"]
)
def test_trials_that_tell_nothing_come_to_an_end(name: str) -> None:
    canary, witnesses, _, _ = FLOW[name]

    assert advise(LAST_TRIAL, canary, witnesses) == (Advice.TURN_BACK, NEVER)


PROBES = st.builds(
    Probe,
    id=st.just(1),
    step=st.sampled_from([Step.CANARY, Step.LOOK, Step.DELETE, Step.WITNESS, Step.CHUNK]),
    state=st.sampled_from(list(ItemState)),
    source=st.sampled_from([TAKEN, 0, 1]),
    attempts=st.integers(0, 2),
    outcome=st.sampled_from([None, Outcome.DELETED, Outcome.FAILED_REFUSED]),
)


@given(st.lists(PROBES, min_size=2, max_size=2), st.lists(PROBES, min_size=2, max_size=2))
def test_trust_takes_a_project_gone_together_and_no_neighbour_gone(
    canary: list[Probe], witnesses: list[Probe]
) -> None:
    advice, _ = advise(ON_TRIAL, canary, witnesses)

    if advice is Advice.TRUST:
        assert any(probe.went_together for probe in canary)
        assert not any(probe.is_open for probe in canary)
        assert not any(w.step is Step.WITNESS and w.is_open for w in witnesses)
        gone = [w for w in witnesses if w.step is Step.WITNESS and w.outcome is Outcome.DELETED]
        assert gone == []


@given(st.integers(1, 50), st.integers(LEAST, 5_000))
def test_a_canary_and_its_neighbours_lie_within_the_plan(tries: int, count: int) -> None:
    place = place_of(tries, count)

    assert 0 <= place <= count - LEAST


def test_canaries_are_taken_at_different_places() -> None:
    places = [place_of(tries, 1_000) for tries in range(TRIES)]

    assert len(set(places)) == TRIES


@given(st.lists(st.integers(-1, 300), max_size=60), st.integers(1, 200))
def test_chunks_take_all_in_order_and_none_larger_than_one_of_it_may_go_with(
    sources: list[int], size: int
) -> None:
    sizes = groups(sources, size)

    assert sum(sizes) == len(sources)
    ends = list(accumulate(sizes))
    for end, number in zip(ends, sizes, strict=True):
        most = [
            min(source, size) if source > 0 else size for source in sources[end - number : end]
        ]
        assert 1 <= number <= min(most)


def test_chunks_are_full_where_nothing_was_refused() -> None:
    assert groups([0] * 60, 25) == [25, 25, 10]


def test_halves_go_before_others_join_them() -> None:
    assert groups([13] * 25 + [0] * 25, 25) == [13, 13, 24]


@pytest.mark.parametrize(
    ("count", "pages", "calls"),
    [
        (10_000, 50, {"DELETE projects": 401, "GET project": 6, "GET projects": 1}),
        (10_000, 60, {"DELETE projects": 401, "GET project": 6, "GET projects": 17}),
        (10, 8, {"DELETE projects": 2, "GET project": 14}),
        (10, 7, {"DELETE projects": 2, "GET project": 6, "GET projects": 12}),
    ],
)
def test_the_price_counts_chunks_the_canary_and_the_proof(
    count: int, pages: int, calls: dict[str, int]
) -> None:
    assert calls_of(count, size=25, pages=pages, page_size=200) == calls


def test_a_read_each_proves_few_and_a_listing_many() -> None:
    assert proven_by_reads(5, 5)
    assert not proven_by_reads(6, 5)
