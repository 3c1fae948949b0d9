"""Whether this process hears doorbells: a worker whose broker is gone hears none.

Celery comes back to a broker later the longer it was gone, half a minute at worst. Meanwhile a
worker that had work must wake itself.
"""

import threading

from celery import bootsteps

_began = threading.Event()
_deaf = threading.Event()


def is_worker() -> bool:
    """Whether this process has ever listened for doorbells."""
    return _began.is_set()


def is_deaf() -> bool:
    """Whether it has listened, and the broker is gone."""
    return _deaf.is_set()


class Hearing(bootsteps.StartStopStep):
    """Started each time Celery's consumer has found its broker, stopped when it lost it."""

    requires: tuple[type[bootsteps.Step] | str, ...] = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: object) -> None:  # noqa: ARG002  as Celery calls it
        _began.set()
        _deaf.clear()

    def stop(self, parent: object) -> None:  # noqa: ARG002  as Celery calls it
        _deaf.set()
