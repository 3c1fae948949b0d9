"""The frozen plan: its hash, its word, its price, and what is protected."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import EPOCH, a_child, a_purse, a_seen, a_target
from worker.domain.limits import Purse, Window
from worker.domain.plan import NAMELESS, PlanHash, Protection, price, word_of

ROW = st.tuples(
    st.integers(0, 10**6),
    st.sampled_from(["project", "task"]),
    st.integers(0, 10**19).map(str),
    st.just("") | st.integers(0, 10**19).map(str),
)
Rows = list[tuple[int, str, str, str]]
NO_LATENCY = timedelta(0)
MINUTE = timedelta(minutes=1)


def digest(rows: Rows, header: str = "acme") -> str:
    plan = PlanHash(header)
    plan.feed(rows)
    return plan.digest


@given(one=st.lists(ROW, max_size=6), other=st.lists(ROW, max_size=6))
def test_two_plans_share_a_hash_only_if_they_are_the_same(one: Rows, other: Rows) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@given(rows=st.lists(ROW, min_size=2, max_size=6, unique=True))
def test_order_is_part_of_the_hash(rows: Rows) -> None:
    assert digest(rows) != digest(rows[::-1])


@given(rows=st.lists(ROW, max_size=8), cut=st.integers(0, 8))
def test_a_plan_may_be_fed_in_parts(rows: Rows, cut: int) -> None:
    plan = PlanHash("acme")

    plan.feed(rows[:cut])
    plan.feed(rows[cut:])

    assert plan.digest == digest(rows)


def test_the_header_is_part_of_the_hash() -> None:
    assert digest([], "acme") != digest([], "crm")
    assert len(digest([])) == 64


@given(count=st.integers(0, 10**7), rows=st.lists(ROW, max_size=3))
def test_the_word_holds_the_count_the_account_and_the_end_of_the_hash(
    count: int, rows: Rows
) -> None:
    word = word_of(count, "acme", digest(rows))

    assert word == f"delete {count} acme {digest(rows)[60:]}"


# --- price -------------------------------------------------------------------


def seconds(calls: int, *purses: Purse, latency: timedelta = NO_LATENCY) -> float:
    return price({"DELETE project": calls}, purses, latency=latency, now=EPOCH).seconds


def test_calls_are_summed_over_the_endpoints() -> None:
    cost = price(
        {"DELETE project": 3, "GET project": 3}, [a_purse()], latency=NO_LATENCY, now=EPOCH
    )

    assert cost.calls == 6
    assert cost.by_endpoint == {"DELETE project": 3, "GET project": 3}


def test_what_fits_into_the_window_waits_for_nothing() -> None:
    assert seconds(0, a_purse()) == 0
    assert seconds(100, a_purse()) == 0


def test_the_windows_set_the_time_of_a_large_plan() -> None:
    assert seconds(1_100, a_purse()) == 600
    assert seconds(1_100, a_purse(rate_share=0.5)) == pytest.approx(1_260)


def test_the_tightest_window_counts() -> None:
    windows = (Window(calls=100, per=MINUTE), Window(calls=200, per=60 * MINUTE))

    assert seconds(400, a_purse(windows=windows)) == 3_600


def test_the_places_in_flight_set_the_time_of_slow_calls() -> None:
    assert seconds(100, a_purse(in_flight=5), latency=timedelta(seconds=1)) == 20


def test_every_purse_is_paid() -> None:
    loose, tight = a_purse(name="acme"), a_purse(name="token", in_flight=1)

    assert seconds(60, loose, tight, latency=timedelta(seconds=1)) == 60


@pytest.mark.parametrize(
    ("calls", "hours"), [(0, 0), (800, 0), (801, 3), (1_600, 3), (1_601, 27), (2_401, 51)]
)
def test_what_is_beyond_our_share_of_the_day_waits_for_its_reset(calls: int, hours: int) -> None:
    at = (EPOCH + timedelta(hours=3)).time()
    purse = Purse(name="acme", per_day=1_000, day_share=0.8, day_reset=at)

    assert seconds(calls, purse) == hours * 3_600


def test_the_share_of_a_day_is_that_of_the_tightest_purse() -> None:
    purses = [a_purse(per_day=1_000), a_purse(name="token", per_day=400), a_purse(name="other")]

    assert (
        price({"DELETE project": 100}, purses, latency=NO_LATENCY, now=EPOCH).quota_share == 0.25
    )
    assert price({}, [a_purse()], latency=NO_LATENCY, now=EPOCH).quota_share is None


@given(
    calls=st.integers(0, 10**6),
    more=st.integers(0, 10**5),
    in_flight=st.integers(1, 50),
    per_day=st.none() | st.integers(1, 10**5),
)
def test_more_calls_never_cost_less(
    calls: int, more: int, in_flight: int, per_day: int | None
) -> None:
    purse = a_purse(in_flight=in_flight, per_day=per_day)
    latency = timedelta(milliseconds=300)

    few, many = (
        seconds(calls, purse, latency=latency),
        seconds(calls + more, purse, latency=latency),
    )

    assert 0 <= few <= many


def test_the_first_call_beyond_a_window_waits_for_the_window() -> None:
    assert seconds(101, a_purse()) >= 59


def test_the_price_and_the_gate_take_the_same_share() -> None:
    purse = a_purse(rate_share=0.29)

    assert seconds(2 * purse.window_limits()[0], purse) == 60


# --- protection --------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Protection(ids=frozenset({"42"})), "protected id 42"),
        (Protection(names=("*KEEP*",)), "protected name pattern *KEEP*"),
        (Protection(names=("nothing", "Br[io]*")), "protected name pattern Br[io]*"),
    ],
)
def test_a_protection_says_which_rule_spares(rule: Protection, why: str) -> None:
    assert rule.why(a_seen("42", name="Bridge KEEP it")) == why


@pytest.mark.parametrize(
    "rule",
    [
        Protection(),
        Protection(ids=frozenset({"4"})),
        Protection(names=("bridge",)),
        Protection(names=("Bri",)),
    ],
)
def test_what_no_rule_names_is_not_protected(rule: Protection) -> None:
    assert rule.why(a_seen("42", name="Bridge")) == ""


@pytest.mark.parametrize("name", ["M\u00fcller", "Mu\u0308ller"])
@pytest.mark.parametrize("pattern", ["M\u00fcl*", "Mu\u0308l*"])
def test_a_name_is_protected_however_its_accents_are_written(pattern: str, name: str) -> None:
    assert Protection(names=(pattern,)).why(a_seen(name=name))


@pytest.mark.parametrize(
    ("protected", "spelled"), [("7", "007"), ("007", "7"), ("AB-1", "ab-1"), ("0", "000")]
)
def test_an_id_is_protected_however_it_is_spelled(protected: str, spelled: str) -> None:
    rule = Protection(ids=frozenset({protected}))

    assert rule.why(a_seen(spelled)) == f"protected id {spelled}"
    assert rule.why_below(a_seen("9", target=a_target("9", "task", spelled)))
    assert not rule.why(a_seen(f"{spelled}1"))


def test_a_child_without_a_name_matches_no_pattern() -> None:
    assert Protection(names=("*",)).why(a_child(name="")) == ""


def test_a_project_without_a_name_is_spared_where_names_are_protected() -> None:
    nameless = a_seen("42", name="")

    assert Protection(names=("*KEEP*",)).why(nameless) == NAMELESS
    assert Protection(ids=frozenset({"7"})).why(nameless) == ""
