"""Acceptance point systems-5: one access token for all processes, and what its end means."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.conftest import ON_SERVICES, Stacks, a_site
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, Stack, a_stack
from tests.acceptance.systems import ZOHO_V4, Consent, with_oauth
from tests.acceptance.waiting import eventually

pytestmark = [
    pytest.mark.number("systems-5"),
    ON_SERVICES,
    pytest.mark.timeout(3000),
    pytest.mark.xdist_group("oauth"),
]

PROCESSES = 8
FRESH = 0.88
"""The share of a token's life in which nobody replaces it: all but the last tenth, and latency."""
ALLOWED = 10
"""Refreshes the provider allows in ten minutes."""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Eight worker processes."""
    with a_stack(Kind.POSTGRES, tmp_path_factory.mktemp("crew")) as stack:
        stack.start_workers(PROCESSES, concurrency=2)
        yield stack


@pytest.fixture
def stack(request: pytest.FixtureRequest, stacks: Stacks, full: bool) -> Stack:
    """Eight worker processes; the two that others use too where it has to be short."""
    if not full:
        return stacks.running(request.param)
    crew: Stack = request.getfixturevalue("crew")
    return crew


@pytest.fixture
def consent(stack: Stack) -> Consent:
    """A login that no other test has."""
    return Consent(name=f"consent{len(list(stack.home.glob('consent*.client')))}")


@pytest.fixture
def sites(stack: Stack, consent: Consent) -> Iterator[list[Site]]:
    """Three accounts with one login, so that several processes want its token at once."""
    with ExitStack() as ending:
        yield [ending.enter_context(_a_site(stack, consent)) for _ in range(3)]
        stack.control.latency(0)


@contextmanager
def _a_site(stack: Stack, consent: Consent) -> Iterator[Site]:
    yield from a_site(stack, with_oauth(ZOHO_V4, consent))


def test_a_job_that_outlives_its_tokens_refreshes_each_once(
    sites: list[Site], consent: Consent, full: bool
) -> None:
    life, latency, calls = (20.0, 0.3, 15) if full else (2.0, 0.3, 4)
    many, few = (5_000, 300) if full else (60, 10)
    give(sites, consent, "first", life=life)
    site = sites[0]
    jobs = [_slowly(one, many if one is site else few, calls) for one in sites]
    site.stack.control.latency(latency)
    for one, job in zip(sites, jobs, strict=True):
        one.confirm(job)

    ended = [one.ended(job, within=1800) for one, job in zip(sites, jobs, strict=True)]

    grant = _grant(site, "first")
    refreshed = grant["refreshed_at"]
    print(f"{len(refreshed)} refreshes, gaps {[round(gap, 2) for gap in _gaps(refreshed)]}")
    assert len(refreshed) >= 3
    assert min(_gaps(refreshed)) >= FRESH * life
    assert grant["peak"] <= ALLOWED
    assert grant["denied"] == []
    for one, job in zip(sites, ended, strict=True):
        assert job["state"] == "succeeded"
        assert job["counts"]["by_outcome"] == {"deleted": job["counts"]["total"]}
        one.judge(job)
    if full:
        workers = {
            entry["actor"]
            for one, job in zip(sites, jobs, strict=True)
            for entry in one.audit(job)
        }
        assert sum(worker.startswith("worker@") for worker in workers) > PROCESSES / 2


def test_no_item_is_lost_to_a_token_that_ends_before_its_time(
    sites: list[Site], consent: Consent, full: bool
) -> None:
    give(sites, consent, "ended", life=3600)
    both = sites[:2]
    jobs = [_slowly(one, 1_000 if full else 60, 4) for one in both]
    site = sites[0]
    site.stack.control.latency(1)
    for one, job in zip(both, jobs, strict=True):
        one.confirm(job)
    eventually(lambda: all(map(_has_begun, both)), within=60, what="deletions of both")

    assert site.stack.control.expire("ended") == 1
    site.stack.control.latency(0)

    ended = [one.ended(job, within=1800) for one, job in zip(both, jobs, strict=True)]
    assert _grant(site, "ended")["refreshes"] == 2
    assert any(row["status"] == 401 for one in both for row in one.ledger())
    for one, job in zip(both, ended, strict=True):
        assert job["counts"]["by_outcome"] == {"deleted": job["counts"]["total"]}
        one.judge(job)


def test_a_consent_taken_back_parks_the_account_until_there_is_a_new_one(
    sites: list[Site], consent: Consent, full: bool
) -> None:
    site = sites[0]
    give(sites, consent, "withdrawn", life=3600)
    job = _slowly(site, 1_000 if full else 60, 4)
    site.stack.control.latency(1)
    site.confirm(job)
    eventually(lambda: _has_begun(site), within=60, what="the first deletions")

    site.stack.control.revoke("withdrawn")
    site.stack.control.latency(0)

    parked = eventually(lambda: _parked(site), within=60, what="an account that is parked")
    shown = site.show(job)
    assert "refresh token is dead" in parked["text"]
    assert f"put the new refresh token in file:{site.stack.home / consent.name}" in parked["text"]
    assert shown["state"] == "running"
    assert shown["waiting_on"]["code"] == "credentials"
    assert shown["counts"]["failed"] == shown["counts"]["unprocessed"] == 0
    assert shown["counts"]["open"] > 0
    assert len(_grant(site, "withdrawn")["denied"]) == 1

    give(sites, consent, "given again", life=3600)
    if not full:  # at full length it is left to notice that by itself, within a minute
        site.stack.run("accounts", "check", site.account).ended(0)
    ended = site.ended(job, within=300)

    assert ended["state"] == "succeeded"
    assert ended["counts"]["by_outcome"] == {"deleted": ended["counts"]["total"]}
    site.judge(job)


@pytest.mark.number(full=True)  # ten minutes have to pass
def test_refreshes_that_are_used_up_make_a_job_wait_and_fail_nothing(
    sites: list[Site], consent: Consent
) -> None:
    give(sites, consent, "often", life=20)
    jobs = [_slowly(one, 250, 1) for one in sites]
    site = sites[0]
    site.stack.control.latency(1)
    for one, job in zip(sites, jobs, strict=True):
        one.confirm(job)

    said = eventually(lambda: _no_refresh_left(site, jobs[0]), within=400, what="a job that waits")
    ended = [one.ended(job, within=1200) for one, job in zip(sites, jobs, strict=True)]

    grant = _grant(site, "often")
    assert "refreshes in 10 min" in said
    assert grant["peak"] <= ALLOWED < grant["refreshes"]
    assert grant["denied"] == []
    for one, job in zip(sites, ended, strict=True):
        assert job["counts"]["by_outcome"] == {"deleted": job["counts"]["total"]}
        one.judge(job)


def give(sites: Sequence[Site], consent: Consent, refresh_token: str, *, life: float) -> None:
    """Let somebody consent to calls in the organisations of all these accounts."""
    organizations = [site.organization for site in sites]
    consent.give(sites[0].stack, refresh_token, *organizations, life=life)


def _slowly(site: Site, projects: int, calls: int) -> Reply:
    """A plan of so many projects; its calls go out so many at a time."""
    site.configure(f"limits = {{ windows = [], per_day = 0, in_flight = {calls} }}")
    return site.planned(site.seed(projects), "--cascade", "none")


def _grant(site: Site, refresh_token: str) -> dict[str, Any]:
    (grant,) = [
        one for one in site.stack.control.grants() if one["refresh_token"] == refresh_token
    ]
    return grant


def _gaps(times: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def _has_begun(site: Site) -> bool:
    return len(site.deletions()) > 5


def _parked(site: Site) -> Reply | None:
    lines = site.stack.run("accounts", "--json").ended(0).lines
    parked: list[Reply | None] = [
        line["parked"] for line in lines if line["account"] == site.account
    ]
    return parked[0]


def _no_refresh_left(site: Site, job: Reply) -> str:
    waiting = site.show(job)["waiting_on"] or {"sentence": ""}
    return waiting["sentence"] if "refreshes" in waiting["sentence"] else ""
