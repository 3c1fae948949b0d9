"""Python's cycle collector leaves a worker's calls alone."""

import gc
from collections.abc import Iterator

import pytest

from worker.runtime import COLLECT_AFTER, spare_the_collector


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_was_loaded_at_the_start_is_looked_at_no_more() -> None:
    spare_the_collector()

    assert gc.get_threshold()[0] == COLLECT_AFTER
    assert gc.get_freeze_count() > 10_000


def test_cycles_are_still_found() -> None:
    spare_the_collector()
    ring: list[object] = []
    ring.append(ring)
    del ring

    assert gc.collect() >= 1
