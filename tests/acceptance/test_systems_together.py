"""Acceptance point systems-8: six accounts of all kinds with one worker, and nothing mixes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.conftest import a_site
from tests.acceptance.site import ITEMS, Site
from tests.acceptance.stack import Kind, Stack, a_stack
from tests.acceptance.systems import (
    ZOHO_V3,
    ZOHO_V4,
    Consent,
    System,
    truto,
    with_oauth,
    with_token,
)
from tests.acceptance.warm import Warm

pytestmark = [pytest.mark.number("systems-8", full=True), pytest.mark.timeout(3000)]

FIRST_ID = 500_000_000
"""Where the ids of every account begin: they all have the same projects, by their ids."""
CASCADE = ("--cascade", "all")
PEOPLE = Consent(name="people")
TRUTO_TOKEN = "token-of-truto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of the six: how it is reached, what it is allowed, what is to go."""

    system: System
    calls: int  # in two seconds, by its own limit
    children: dict[str, int]
    options: tuple[str, ...]
    lines: tuple[str, ...] = ()  # of bulkdel.toml


MEMBERS = (
    Member(
        system=with_token(ZOHO_V4, "token-a"),
        calls=60,
        children={"tasks": 1, "documents": 1},
        options=CASCADE,
    ),
    Member(
        system=with_token(ZOHO_V4, "token-b"),
        calls=25,
        children={},
        options=("--cascade", "none"),
        lines=("bulk_delete = { enabled = true, size = 5 }",),
    ),
    Member(
        system=with_token(ZOHO_V3, "token-c"),
        calls=40,
        children={"tasks": 1, "comments": 1},
        options=CASCADE,
    ),
    Member(
        system=with_oauth(ZOHO_V4, PEOPLE),
        calls=30,
        children={"tasks": 2},
        options=("--cascade", "tasks"),
    ),
    Member(system=truto("capsule", token=TRUTO_TOKEN), calls=20, children={}, options=()),
    Member(system=truto("pipeliner", token=TRUTO_TOKEN), calls=35, children={}, options=()),
)


@pytest.fixture
def deployment(tmp_path: Path, warm: Warm | None) -> Iterator[Stack]:
    """One job store and one worker; Truto's token lies in the environment, Zoho's in files."""
    with a_stack(Kind.POSTGRES, tmp_path, warm=warm) as stack:
        stack.env["TRUTO_TOKEN"] = TRUTO_TOKEN
        stack.start_workers(1)
        yield stack


@pytest.fixture
def sites(deployment: Stack) -> Iterator[list[Site]]:
    """The six accounts, each with a limit of its own on both sides."""
    with ExitStack() as ending:
        sites = [ending.enter_context(_entered(deployment, member)) for member in MEMBERS]
        for site, member in zip(sites, MEMBERS, strict=True):
            deployment.control.limits(site.organization, windows=[[member.calls, 2]])
            token = ['token = "env:TRUTO_TOKEN"'] if 'provider = "truto"' in site.lines else []
            limits = f'limits = {{ windows = [[{member.calls}, "2s"]], per_day = 0 }}'
            site.configure(limits, *token, *member.lines)
            if member.lines:
                deployment.control.bulk(site.organization, mode="ok")
        PEOPLE.give(deployment, "people-1", sites[3].organization, life=3600)
        yield sites


@contextmanager
def _entered(stack: Stack, member: Member) -> Iterator[Site]:
    yield from a_site(stack, member.system)


def test_six_accounts_at_once_keep_to_themselves(sites: list[Site], full: bool) -> None:
    projects = 150 if full else 12
    members = list(zip(sites, MEMBERS, strict=True))
    seeded = [site.seed(projects, first_id=FIRST_ID, **m.children) for site, m in members]
    assert all(ids == seeded[0] for ids in seeded)
    # Each takes another part of what they have alike, so that a mixed-up call shows.
    parts = [ids[place : projects - 5 + place] for place, ids in enumerate(seeded)]
    handed = [
        site.submit(part, *member.options, "--no-wait-plan").json
        for (site, member), part in zip(members, parts, strict=True)
    ]
    jobs = [site.has_plan(job, within=1800) for site, job in zip(sites, handed, strict=True)]

    for site, job in zip(sites, jobs, strict=True):
        site.confirm(job)
    ended = [site.ended(job, within=1800) for site, job in zip(sites, jobs, strict=True)]

    stats = sites[0].stack.control.stats()["organizations"]
    for (site, member), job, part in zip(members, ended, parts, strict=True):
        assert job["state"] == "succeeded"
        assert job["counts"]["total"] == len(part) * (1 + sum(member.children.values()))
        assert any(row["ids"] for row in site.deletions()) is bool(member.lines)
        left = site.stack.control.state(site.organization)
        assert set(seeded[0]) - set(left) == set(part)
        assert _projects(site, job) == set(part)
        gone = {404} if member.lines else set()  # the first two of a bulk delete are looked for
        assert {row["status"] for row in site.ledger()} <= {200, 204} | gone
        assert {row["status"] for row in site.deletions()} <= {200, 204}
        (window,) = stats[site.organization]["windows"]
        assert window["peak"] <= member.calls
        assert {entry["account"] for entry in site.audit(job)} == {site.account}
        site.judge(job)
    peaks = [stats[site.organization]["windows"][0]["peak"] for site in sites]
    print(f"most calls in two seconds: {peaks} of {[member.calls for member in MEMBERS]}")
    # Nobody was held to the limit of another: who may do more than the slowest one did more.
    if full:
        assert peaks[0] > min(member.calls for member in MEMBERS)


def _projects(site: Site, job: Reply) -> set[str]:
    rows = site.sql(ITEMS, job=job["id"])
    return {row.external_id for row in rows if row.kind == "project"}
