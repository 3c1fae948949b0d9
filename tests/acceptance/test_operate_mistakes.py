"""OPERATE, point 7: ten mistakes of a tired operator, and nothing goes that should not."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.conftest import Stacks
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, Stack
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.number("operate-7")

GIVEN = ("--cascade", "all", "--reason", "test")


@pytest.fixture(
    params=[Kind.SQLITE, pytest.param(Kind.POSTGRES, marks=pytest.mark.number(full=True))], ids=str
)
def stack(request: pytest.FixtureRequest, stacks: Stacks) -> Stack:
    return stacks.running(request.param)


@pytest.mark.parametrize("count", [60, 12])
def test_1_the_wrong_account(site: Site, other_site: Site, count: int) -> None:
    ids = other_site.seed(count)

    told = site.submit(ids, "--cascade", "all", code=7).json

    assert told["state"] == "paused"
    assert "wrong list or wrong account?" in told["waiting_on"]["sentence"]
    assert site.deletions() == other_site.deletions() == []


def test_2_the_wrong_file(site: Site) -> None:
    path = site.stack.home / f"{site.account}-invoices.csv"
    path.write_text("invoice,customer\nINV-1,Ada\nINV-2,Bob\n", encoding="utf-8")

    told = site.stack.run(
        "submit", "--account", site.account, "--ids-file", str(path), *GIVEN, "--json"
    ).ended(2)

    assert told.json["error"]["fix"]
    assert site.ledger() == []


def test_3_an_empty_file(site: Site) -> None:
    site.seed(3)

    site.submit([], "--cascade", "all", "--yes", code=2)

    assert site.ledger() == []


def test_4_ran_it_twice(site: Site) -> None:
    ids, bystanders = site.seed(3), site.seed(2)
    first = site.planned(ids)

    meanwhile = site.submit(ids, "--cascade", "all", "--yes", "--wait=1m").json
    site.confirm(first, wait="1m")
    again = site.submit(ids, "--cascade", "all", "--yes", "--wait=1m").json

    assert meanwhile["counts"]["by_outcome"] == {"skipped_duplicate": 3}
    assert again["counts"]["by_outcome"] == {"already_absent": 3}
    assert sorted(row["id"] for row in site.deletions()) == sorted(ids)
    assert not set(bystanders) & {row["id"] for row in site.deletions()}


def test_5_an_old_plan(site: Site) -> None:
    job = site.planned(site.seed(3))
    site.change("UPDATE jobs SET planned_at = '2020-01-01 00:00:00' WHERE id = :job", job)

    site.stack.run("confirm", job["id"], "--word", job["plan"]["word"]).ended(5)

    assert site.deletions() == []


def test_6_the_wrong_word(site: Site) -> None:
    job, other = site.planned(site.seed(3)), site.planned(site.seed(4))

    site.stack.run("confirm", job["id"], "--word", other["plan"]["word"]).ended(5)
    site.stack.run("confirm", job["id"], "--word", "yes").ended(5)

    assert site.deletions() == []


def test_7_a_loop_in_a_shell(site: Site) -> None:
    site.configure("max_items_per_day = 2")
    ids = site.seed(4)

    codes = [
        site.submit([one], "--cascade", "none", "--yes", "--wait=1m", code=code).code
        for one, code in zip(ids, (0, 0, 5, 5), strict=True)
    ]
    unset = site.stack.run("submit", "--account", site.account, "--ids", "", *GIVEN, "--yes")

    assert codes == [0, 0, 5, 5]
    assert unset.code == 2
    assert [row["id"] for row in site.deletions()] == ids[:2]


def test_8_ctrl_c(site: Site) -> None:
    ids = site.seed(3)
    site.stack.control.latency(3)
    waiting = site.stack.begin(
        "submit", "--account", site.account, "--ids", ",".join(ids), *GIVEN, "--no-input", "--wait"
    )
    eventually(site.ledger, within=30, what="the first read")

    waiting.send_signal(signal.SIGINT)

    _, said = waiting.communicate(timeout=60)
    site.stack.control.latency(0)
    (job,) = site.stack.run("jobs", "--account", site.account, "--json").lines
    assert waiting.returncode == 130
    assert job["id"] in said
    assert site.has_plan(job, within=60)["state"] == "awaiting_confirmation"
    assert site.deletions() == []


def test_9_two_terminals(site: Site) -> None:
    ids = site.seed(3)
    job = site.planned(ids)
    word = ("confirm", job["id"], "--word", job["plan"]["word"])

    with ThreadPoolExecutor(2) as both:
        codes = [one.code for one in both.map(lambda _: site.stack.run(*word), range(2))]

    site.ended(job, within=60)
    assert sorted(codes) == [0, 5]
    assert sorted(row["id"] for row in site.deletions()) == sorted(ids)


def test_10_cron_without_a_terminal(site: Site) -> None:
    site.configure("auto_confirm_max = 2")
    ids = site.seed(3)

    unasked = site.submit(ids[:1], "--cascade", "all").json
    site.submit(ids[1:2], "--cascade", "all", "--no-input", "--wait=1m", code=5)
    site.submit(ids, "--cascade", "all", "--yes", "--wait=1m")

    assert unasked["state"] == "awaiting_confirmation"
    assert not {row["id"] for row in site.deletions()} & set(ids[:2])
