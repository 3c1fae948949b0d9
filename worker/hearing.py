"""Whether this process hears doorbells: a worker whose broker is gone hears none.

Celery comes back to a broker later the longer it was gone, half a minute at worst. Meanwhile a
worker that had work must wake itself.
"""

import threading
from collections.abc import Callable

from celery import bootsteps

_began = threading.Event()
_deaf = threading.Event()
_at_loss: list[Callable[[], object]] = []


def is_worker() -> bool:
    """Whether this process has ever listened for doorbells."""
    return _began.is_set()


def is_deaf() -> bool:
    """Whether it has listened, and the broker is gone."""
    return _deaf.is_set()


def at_loss(call: Callable[[], object]) -> None:
    """Have this called each time the broker is lost: messages in its memory or ours went along."""
    _at_loss.append(call)


class Hearing(bootsteps.StartStopStep):
    """Started each time Celery's consumer has found its broker, stopped when it lost it."""

    requires: tuple[type[bootsteps.Step] | str, ...] = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: object) -> None:  # noqa: ARG002  as Celery calls it
        _began.set()
        _deaf.clear()

    def stop(self, parent: object) -> None:  # noqa: ARG002  as Celery calls it
        _deaf.set()
        for call in _at_loss:
            call()
