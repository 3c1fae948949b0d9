"""Slots of policies on both databases: one job or one miss each, whoever decides, and when."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from worker.bootstrap import Desk
from worker.cli.desk import SilentBell
from worker.domain.errors import InvalidInput, NotFound
from worker.domain.schedule import Schedule
from worker.policies import PolicyDesk, check_policy
from worker.ports import Job, SlotEnd, SlotRow
from worker.standing import Standing, standings
from worker.store.models import JOBS
from worker.store.policies import Policies

MINUTELY = Schedule("* * * * *", "UTC")
CONFIG = """\
[accounts.acme]
provider = "zoho_books"
base_url = "http://127.0.0.1:1/books/v4"
organization_id = "10234695"
token = "env:BULKDEL_TEST_TOKEN"

[policies.clean]
account = "acme"
schedule = "* * * * *"
select = { status = "inactive", last_modified_before = "365d" }
cascade = ["tasks", "users"]
guard = { max_items = 500, max_percent = 10, max_times_median = 5 }
"""


class Place:
    """A desk with a file that can be rewritten."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.path = folder / "bulkdel.toml"
        self.write(CONFIG)
        environ = {"BULKDEL_DATABASE_URL": database_url, "BULKDEL_CONFIG": str(self.path)}
        self.desk = Desk.open(environ, SilentBell())
        self.policies = PolicyDesk(self.desk)
        self.store = Policies(self.desk.db)

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    def known_since(self, ago: timedelta, schedule: Schedule = MINUTELY) -> datetime:
        since = self.now() - ago
        self.store.note("clean", schedule, since)
        return since

    def now(self) -> datetime:
        return self.desk.jobs.now()

    def slots(self) -> list[SlotRow]:
        return list(reversed(self.store.slots("clean", 10_000)))

    def jobs(self) -> int:
        with self.desk.db.read() as conn:
            wanted = select(func.count()).select_from(JOBS).where(JOBS.c.policy == "clean")
            return conn.execute(wanted).scalar_one()

    def job(self) -> Job:
        (row,) = [row for row in self.slots() if row.job_id]
        return self.desk.jobs.get(row.job_id or "")

    def standing(self) -> Standing:
        (one,) = standings(self.desk)
        return one


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Place]:
    place = Place(database_url, tmp_path)
    yield place
    place.desk.db.dispose()


def test_of_several_slots_the_newest_is_run_and_the_others_are_missed(place: Place) -> None:
    since = place.known_since(timedelta(minutes=5))

    place.policies.settle("clean")

    rows = place.slots()
    assert [row.slot for row in rows] == list(MINUTELY.between(since, rows[-1].slot))
    assert [row.ended for row in rows] == [SlotEnd.MISSED] * (len(rows) - 1) + [SlotEnd.FIRED]
    assert all(row.why for row in rows[:-1])
    assert place.jobs() == 1


def test_a_run_is_a_job_with_the_policys_name_selection_and_guard(place: Place) -> None:
    place.known_since(timedelta(minutes=1))

    place.policies.settle("clean")

    job = place.job()
    assert (job.policy, job.who.name, job.account) == ("clean", "policy:clean", "acme")
    assert set(job.options.filters) == {"status", "last_modified_before"}
    assert job.options.cascade == ("task", "user")
    assert job.options.guard_max_items == 500
    assert job.options.guard_max_percent == 10
    assert job.options.guard_max_times_median == 5
    assert not job.options.confirms_itself


def test_the_last_run_is_told_whoever_started_it_beside_the_last_by_schedule(place: Place) -> None:
    by_hand = place.policies.run("clean").job
    assert [(run.job.id, run.slot) for run in place.standing().runs] == [(by_hand.id, None)]

    place.known_since(timedelta(minutes=1))
    place.policies.settle("clean")
    row = place.slots()[-1]
    assert [(run.job.id, run.slot) for run in place.standing().runs] == [(row.job_id, row.slot)]

    again = place.policies.run("clean").job
    place.policies.run("clean", dry_run=True)  # a preview is no run
    told = [(run.job.id, run.slot) for run in place.standing().runs]
    assert told == [(again.id, None), (row.job_id, row.slot)]


def test_deciding_twice_changes_nothing(place: Place) -> None:
    place.known_since(timedelta(minutes=3))
    place.policies.settle("clean")
    before = place.slots()

    place.policies.settle("clean")

    assert place.slots()[: len(before)] == before
    assert place.jobs() == len([row for row in place.slots() if row.job_id])


def test_many_who_decide_at_the_same_time_give_each_slot_one_job(place: Place) -> None:
    place.known_since(timedelta(minutes=3))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: place.policies.settle("clean"), range(16)))

    rows = place.slots()
    assert len({row.slot for row in rows}) == len(rows)
    assert place.jobs() == len([row for row in rows if row.job_id]) >= 1
    assert len({row.job_id for row in rows if row.job_id}) == place.jobs()


def test_a_slot_recorded_as_missed_gets_no_job_any_more(place: Place) -> None:
    place.known_since(timedelta(minutes=1))
    (slot,) = MINUTELY.between(place.now() - timedelta(minutes=1), place.now())
    place.store.miss("clean", [(slot, "somebody was faster")])

    place.policies._fire(place.desk.config.policies["clean"], slot)

    assert place.jobs() == 0


def at(moment: datetime) -> str:
    return f"{moment.minute} {moment.hour} * * *"


@pytest.mark.parametrize(
    ("ago", "within", "ended"), [(30, "1h", SlotEnd.FIRED), (90, "1h", SlotEnd.MISSED)]
)
def test_a_late_slot_is_run_within_its_time_and_missed_after_it(
    place: Place, ago: int, within: str, ended: SlotEnd
) -> None:
    line = at(place.now() - timedelta(minutes=ago))
    place.write(
        CONFIG.replace("* * * * *", line).replace(
            "[policies.clean]", f'[policies.clean]\nstart_within = "{within}"'
        )
    )
    place.known_since(timedelta(hours=3), Schedule(line, "UTC"))

    place.policies.settle("clean")

    assert [row.ended for row in place.slots()] == [ended]
    assert place.jobs() == (ended is SlotEnd.FIRED)


def test_a_new_policy_owes_nothing_for_the_time_before_its_file(place: Place) -> None:
    rung: list[str] = []

    place.policies.look(rung.append)
    place.policies.settle("clean")

    rows = place.slots()
    assert all(row.slot > place.now() - timedelta(minutes=2) for row in rows)


def test_a_changed_schedule_loses_no_slot_that_was_due_before(place: Place) -> None:
    now = place.now()
    old = Schedule(at(now - timedelta(minutes=10)), "UTC")
    place.known_since(timedelta(hours=2), old)
    place.write(CONFIG.replace("* * * * *", at(now + timedelta(hours=5))))

    place.policies.settle("clean")

    (row,) = place.slots()
    assert row.ended is SlotEnd.FIRED
    assert row.slot.minute == (now - timedelta(minutes=10)).minute
    _, known = place.store.all()
    assert known["clean"].schedule.line == at(now + timedelta(hours=5))


def test_another_zone_is_another_schedule_from_then_on(place: Place) -> None:
    now = place.now()
    berlin = Schedule("0 3 * * *", "Europe/Berlin")
    place.known_since(timedelta(seconds=1), berlin)
    tokyo = CONFIG.replace("* * * * *", "0 3 * * *").replace(
        "[policies.clean]", '[policies.clean]\ntimezone = "Asia/Tokyo"'
    )
    place.write(tokyo)

    place.policies.settle("clean")

    _, known = place.store.all()
    assert known["clean"].schedule.zone == "Asia/Tokyo"
    assert known["clean"].through >= now - timedelta(seconds=1)
    assert next(known["clean"].schedule.after(now)).astimezone(UTC).hour == 18


def test_what_the_provider_does_not_take_is_missed_with_its_line(place: Place) -> None:
    place.known_since(timedelta(minutes=1))
    place.write(CONFIG.replace("status =", "stats ="))

    place.policies.settle("clean")

    (row,) = [row for row in place.slots() if row.slot == place.slots()[-1].slot]
    assert row.ended is SlotEnd.MISSED
    assert "`stats` in [policies.clean.select] (line 10)" in row.why
    assert place.standing().alarm


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("status =", "stats =", r"`stats` in \[policies.clean.select\] \(line 10\).*did you mean"),
        ('"tasks"', '"timers"', r"`cascade` in \[policies.clean\] \(line 11\).*no kind 'timers'"),
        ('cascade = ["tasks", "users"]\n', "", "`cascade`.*"),
        ('"365d"', '"soon"', r"`last_modified_before`.*line 10"),
        ("guard", "keep_projects = true\ncascade_mode = 'background'\nguard", "keep-projects"),
        ("guard", "options = { truto_raw = true }\nguard", r"`options` in \[policies.clean\]"),
    ],
)
def test_a_policy_is_held_against_its_provider_and_the_line_is_named(
    place: Place, old: str, new: str, what: str
) -> None:
    place.write(CONFIG.replace(old, new))
    config = place.desk.config

    with pytest.raises(InvalidInput, match=what):
        check_policy(config, config.policies["clean"], place.now())


def test_beat_rings_for_what_is_due_and_not_again_at_once(place: Place) -> None:
    rung: list[str] = []
    place.known_since(timedelta(minutes=2))

    wait = place.policies.look(rung.append)
    again = PolicyDesk(place.desk)
    again.look(rung.append)
    again.look(rung.append)

    assert timedelta(0) <= wait <= timedelta(seconds=5)
    assert rung[:2] == ["clean", "clean"]  # once by each of the two beats
    assert len(rung) <= 3  # the third only if a minute has just ended


def test_beat_goes_by_the_file_as_it_was_while_it_cannot_be_read(place: Place) -> None:
    rung: list[str] = []
    place.known_since(timedelta(minutes=2))
    place.policies._readable()
    place.write("[policies.clean")

    place.policies.look(rung.append)

    assert rung == ["clean"]
    assert place.store.all()[1].keys() == {"clean"}


def test_a_policy_that_left_the_file_starts_anew_when_it_comes_back(place: Place) -> None:
    place.known_since(timedelta(days=2))
    place.write(CONFIG.partition("[policies.clean]")[0])

    place.policies.look(lambda _: None)
    gone = place.store.all()[1]
    place.write(CONFIG)
    place.policies.look(lambda _: None)

    assert gone == {}
    assert place.store.all()[1]["clean"].since > place.now() - timedelta(minutes=2)


def test_a_file_that_is_not_there_forgets_no_policy(place: Place) -> None:
    place.known_since(timedelta(minutes=2))
    place.path.unlink()

    place.policies.look(lambda _: None)

    assert place.store.all()[1].keys() == {"clean"}


def test_the_sweep_records_what_nobody_ran_and_runs_nothing(place: Place) -> None:
    place.known_since(timedelta(minutes=10))

    place.policies.watch()

    rows = place.slots()
    assert len(rows) >= 8
    assert {row.ended for row in rows} == {SlotEnd.MISSED}
    assert place.jobs() == 0


def test_a_slot_that_nobody_decided_for_a_minute_is_an_alarm(place: Place) -> None:
    place.known_since(timedelta(minutes=3))

    assert "did not run" in place.standing().alarm
    place.policies.settle("clean")

    standing = place.standing()
    assert standing.alarm == ""
    assert standing.missed >= 1
    assert standing.last_missed is not None
    assert len(standing.next) == 5


def test_a_run_by_hand_is_the_persons_and_stands_for_no_slot(place: Place) -> None:
    kept = place.policies.run("clean")

    assert kept.job.policy == "clean"
    assert kept.job.who.name == place.desk.who.name
    assert place.slots() == []


@pytest.mark.parametrize("what", ["run", "preview"])
def test_no_run_by_hand_of_a_policy_nobody_wrote(place: Place, what: str) -> None:
    call: dict[str, Callable[[], object]] = {
        "run": lambda: place.policies.run("claen"),
        "preview": lambda: place.policies.run("claen", dry_run=True),
    }

    with pytest.raises(NotFound, match="did you mean `clean`"):
        call[what]()


def test_thousands_of_slots_are_missed_bit_by_bit(place: Place) -> None:
    place.known_since(timedelta(days=2))

    for _ in range(4):
        place.policies.settle("clean")

    rows = place.slots()
    assert len(rows) >= 2 * 24 * 60
    assert [row.slot for row in rows] == sorted({row.slot for row in rows})
    assert rows[-1].job_id
