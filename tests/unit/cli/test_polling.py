from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic

import pytest

from worker.cli import polling
from worker.cli.polling import poll
from worker.domain.errors import Unreachable

SOON = timedelta(seconds=5)


def looking(*seen: object) -> Callable[[], object]:
    each: Iterator[object] = iter(seen)

    def look() -> object:
        value = next(each)
        if isinstance(value, Exception):
            raise value
        return value

    return look


def test_what_is_so_already_is_not_waited_for() -> None:
    began = monotonic()

    assert poll(looking(1), lambda seen: seen == 1, SOON) == (1, True)
    assert monotonic() - began < polling.FIRST


def test_it_looks_again_until_it_is_so() -> None:
    assert poll(looking(1, 2, 3), lambda seen: seen == 3, SOON) == (3, True)


def test_when_the_time_is_over_what_was_seen_last_is_told() -> None:
    assert poll(lambda: 1, lambda _: False, timedelta(seconds=0.3)) == (1, False)


def test_a_database_that_comes_back_is_waited_for() -> None:
    away = Unreachable("away")

    assert poll(looking(1, away, away, 2), lambda seen: seen == 2, SOON) == (2, True)


def test_a_database_that_stays_away_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "PATIENCE", 0.1)

    with pytest.raises(Unreachable):
        poll(looking(1, *[Unreachable("away")] * 9), lambda _: False, SOON)
