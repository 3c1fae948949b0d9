import pytest
from pydantic import ValidationError

from worker.sandbox.dialect import Call, Route
from worker.sandbox.faults import FaultKind, Faults, Match, Rule
from worker.sandbox.state import Kind


def a_call(path: str = "/books/v4/projects/1", method: str = "DELETE", page: str = "1") -> Call:
    return Call(method=method, path=path, query="", params={"page": page}, authorization="")


def hits(faults: Faults, calls: list[Call]) -> list[bool]:
    route = Route(kind=Kind.PROJECT, id="1")
    return [faults.choose(call, route, "1") is not None for call in calls]


def ruled(*rules: Rule, seed: int = 0) -> Faults:
    faults = Faults(seed)
    faults.set(rules)
    return faults


def test_first_n_hits_the_first_requests_only() -> None:
    faults = ruled(Rule(kind=FaultKind.REFUSE, first_n=2))

    assert hits(faults, [a_call()] * 4) == [True, True, False, False]


def test_every_n_hits_each_nth_request() -> None:
    faults = ruled(Rule(kind=FaultKind.REFUSE, every_n=2, count=1))

    assert hits(faults, [a_call()] * 5) == [False, True, False, False, False]


def test_per_id_hits_each_path_so_many_times() -> None:
    faults = ruled(Rule(kind=FaultKind.REFUSE, per_id=1))

    assert hits(faults, [a_call("/a"), a_call("/a"), a_call("/b")]) == [True, False, True]


def test_a_lot_is_drawn_alike_whatever_the_order_of_the_calls() -> None:
    calls = [a_call(f"/{n}") for n in range(1000)]
    rule = Rule(kind=FaultKind.REFUSE, probability=0.3)

    forwards = hits(ruled(rule, seed=7), calls)
    backwards = hits(ruled(rule, seed=7), calls[::-1])
    otherwise = hits(ruled(rule, seed=8), calls)

    assert forwards == backwards[::-1] != otherwise
    assert 240 < sum(forwards) < 360


def test_a_request_repeated_draws_a_new_lot() -> None:
    faults = ruled(Rule(kind=FaultKind.REFUSE, probability=0.5))

    assert 60 < sum(hits(faults, [a_call()] * 200)) < 140


def test_the_first_rule_that_hits_is_the_one_fault() -> None:
    faults = ruled(Rule(kind=FaultKind.REFUSE, first_n=1), Rule(kind=FaultKind.SLOW))
    route = Route(kind=Kind.PROJECT, id="1")

    chosen = [faults.choose(a_call(), route, "1") for _ in range(2)]

    assert [rule.kind for rule in chosen if rule] == [FaultKind.REFUSE, FaultKind.SLOW]
    assert [row["hits"] for row in faults.stats()] == [1, 1]


@pytest.mark.parametrize(
    "match",
    [
        Match(method="GET"),
        Match(path_regex="/tasks/"),
        Match(page=2),
        Match(organization_id="2"),
        Match(kind="task"),
        Match(ids=frozenset({"2"})),
    ],
)
def test_a_rule_leaves_other_requests_alone(match: Match) -> None:
    faults = ruled(Rule(kind=FaultKind.REFUSE, match=match))

    assert hits(faults, [a_call()]) == [False]


def test_a_rule_finds_the_request_it_is_about() -> None:
    match = Match(
        method="GET",
        path_regex=r"/projects/\d+$",
        page=2,
        organization_id="1",
        kind="project",
        ids=frozenset({"1"}),
    )

    faults = ruled(Rule(kind=FaultKind.REFUSE, match=match))

    assert hits(faults, [a_call(method="GET", page="2")]) == [True]


def test_a_pattern_nobody_can_read_is_refused_at_once() -> None:
    with pytest.raises(ValidationError):
        Match(path_regex="(")
