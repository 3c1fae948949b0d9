from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from worker.cli.params import FOR_EVER, Duration, Instant, WaitCommand, wait_option


@click.command(cls=WaitCommand)
@click.argument("job")
@wait_option
def confirm(job: str, wait: timedelta | None) -> None:
    click.echo(f"{job} {wait}")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["JOB"], "JOB None"),
        (["JOB", "--wait"], f"JOB {FOR_EVER}"),
        (["--wait", "JOB"], f"JOB {FOR_EVER}"),
        (["JOB", "--wait=30m"], "JOB 0:30:00"),
        (["JOB", "--wait", "1h30m"], "JOB 1:30:00"),
        (["--wait", "90s", "JOB"], "JOB 0:01:30"),
        (["JOB", "--wait=2d"], "JOB 2 days, 0:00:00"),
        (["--", "--wait"], "--wait None"),
    ],
)
def test_wait_may_stand_with_and_without_a_duration(args: list[str], said: str) -> None:
    assert CliRunner().invoke(confirm, args).output == f"{said}\n"


@pytest.mark.parametrize("text", ["soon", "5", "-5s", "5 s", "m", "1.5h", "\u0665s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


def test_an_instant_keeps_its_zone_and_one_without_stays_without() -> None:
    at = Instant().convert("2026-11-21T22:00:00+02:00", None, None)
    naive = Instant().convert("2026-11-21 22:00", None, None)

    assert at == datetime(2026, 11, 21, 20, tzinfo=UTC)
    assert naive.tzinfo is None


@pytest.mark.parametrize(
    "text", ["tomorrow", "2026-02-30", "0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"]
)
def test_a_time_that_is_none_in_utc_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Instant().convert(text, None, None)
