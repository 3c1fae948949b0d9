"""Acceptance points 1 to 3 of the systems: bulk deletes on real workers."""

import pytest

from tests.acceptance.commands import Reply
from tests.acceptance.judge import effects
from tests.acceptance.site import Site

BULK = "bulk_delete = { enabled = true, size = 25 }"
WHOLE = ("--cascade", "none")


def bulk_site(site: Site, mode: str, projects: int) -> list[str]:
    site.configure(BULK)
    ids = site.seed(projects, created_step=30)
    site.stack.control.bulk(site.organization, mode=mode)
    return ids


def run(site: Site, ids: list[str], *, code: int = 0) -> Reply:
    job = site.planned(ids, *WHOLE)
    return site.confirm(job, wait="30m", code=code).json


def together(site: Site) -> list[Reply]:
    return [row for row in site.deletions() if row["ids"]]


@pytest.mark.number("systems-1")
@pytest.mark.timeout(1800)
def test_chunks_take_a_fraction_of_the_calls_and_every_id_is_proven(
    site: Site, full: bool
) -> None:
    count, most = (10_000, 470) if full else (500, 40)
    ids = bulk_site(site, "ok", count)

    ended = run(site, ids)

    assert ended["state"] == "succeeded"
    assert ended["counts"]["by_outcome"] == {"deleted": count}
    assert len(site.ledger()) <= most
    assert not site.stack.control.state(site.organization)
    site.judge(ended)
    site.judge_as_told(ended)


@pytest.mark.number("systems-1")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", ["atomic", "silent_partial"])
def test_exactly_the_refused_ids_fail(site: Site, full: bool, mode: str) -> None:
    count, most = (10_000, 1_800) if full else (500, 130)
    ids = bulk_site(site, mode, count)
    refused = set(ids[::100])
    site.stack.control.refused(site.organization, refused)

    ended = run(site, ids, code=3)

    failed = {row["external_id"] for row in site.items(ended) if row["outcome"] != "deleted"}
    assert failed == refused == set(site.stack.control.state(site.organization))
    assert ended["counts"]["by_outcome"] == {
        "deleted": count - len(refused),
        "failed_refused": len(refused),
    }
    assert len(site.ledger()) <= most
    site.judge(ended)


@pytest.mark.number("systems-2")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "mode",
    ["silent_partial", pytest.param("atomic", marks=pytest.mark.number("systems-2", full=True))],
)
def test_a_rival_at_work_makes_nothing_false(site: Site, full: bool, mode: str) -> None:
    count = 5_000 if full else 400
    ids = bulk_site(site, mode, count + count // 2)
    ours = [one for place, one in enumerate(ids) if place % 3 != 1]
    site.stack.control.refused(site.organization, ours[7::200])
    job = site.planned(ours, *WHOLE)
    rate = 20 if full else 250  # a short job is over within a second
    site.stack.control.rival(
        site.organization, rate=rate, seconds=600, ids=ids, back_seconds=86_400 * 300
    )

    ended = site.confirm(job, wait="30m", code=3).json
    site.stack.control.stop_rival(site.organization)

    deeds = site.stack.control.rival_deeds(site.organization)["deeds"]
    taken = {deed["id"] for deed in deeds if deed["action"] == "deleted"}
    gone, living = effects(site.ledger()), site.stack.control.state(site.organization)
    asked = {one for row in site.deletions() for one in row["ids"] or [row["id"]]}
    assert asked <= set(ours)
    for row in site.items(ended):
        one, outcome = row["external_id"], row["outcome"]
        by_us = gone["project", one, ""]
        assert outcome in {"deleted", "already_absent", "failed_refused"}, row
        if outcome == "failed_refused":
            assert not by_us
        else:
            assert one not in living
            assert bool(by_us) != (one in taken)
        if outcome == "already_absent":
            assert one in taken
    assert taken & set(ours), "the rival took nothing of ours: the test shows nothing"


@pytest.mark.number("systems-3")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("unknown_parameter", "2"),
        pytest.param("unknown_parameter", "4", marks=pytest.mark.number("systems-3", full=True)),
        pytest.param("unknown_url", "5", marks=pytest.mark.number("systems-3", full=True)),
        pytest.param("off", "37", marks=pytest.mark.number("systems-3", full=True)),
        ("ignore", "0"),
    ],
)
def test_no_bulk_delete_costs_one_call_and_a_new_word(
    site: Site, full: bool, mode: str, code: str
) -> None:
    count = 1_000 if full else 60
    ids = bulk_site(site, mode, count)
    if mode == "unknown_parameter":
        site.stack.control.bulk(site.organization, mode=mode, unknown_code=int(code))
    job = site.planned(ids, *WHOLE)
    site.confirm(job)

    again = site.turned_back(job, within=60)

    assert again["state"] == "awaiting_confirmation"
    assert again["plan"]["word"] != job["plan"]["word"]
    assert again["plan"]["calls"] == count
    assert len(together(site)) == len(site.deletions()) == 1
    assert together(site)[0]["code"] == int(code)
    assert len(site.stack.control.state(site.organization)) == count
    assert site.stack.run("confirm", job["id"], "--word", job["plan"]["word"]).code == 5

    ended = site.confirm(again, wait="30m").json

    assert ended["counts"]["by_outcome"] == {"deleted": count}
    assert len(together(site)) == 1
    site.judge(ended)
