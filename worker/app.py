"""The Celery application, the doorbell it makes, and what a worker does at start and stop."""

import importlib.util
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from celery import Celery, signals
from kombu.exceptions import KombuError

from worker.bootstrap import Desk
from worker.config.broker import amqp_tls, without_tls
from worker.config.settings import Settings
from worker.domain.errors import BulkdelError
from worker.hearing import Hearing, at_loss, is_deaf, is_worker
from worker.messages import drop_unreadable
from worker.runtime import VERSION, Runtime, spare_the_collector
from worker.telemetry import adopt_libraries, configure, logger, tell
from worker.wiring import addresses

RUN_SLICE = "bulkdel.run_slice"
SWEEP = "bulkdel.sweep"
RUN_POLICY = "bulkdel.run_policy"
LONGEST_COUNTDOWN = timedelta(seconds=60)
HEARTBEAT = timedelta(seconds=5)
log = logger("app")


def celery_settings() -> Mapping[str, Any]:
    """The values of `celeryconfig.py`, from the wheel or from the repository's top level."""
    here = Path(__file__).resolve().parent
    places = (here / "_bundled" / "celeryconfig.py", here.parent / "celeryconfig.py")
    path = next(place for place in places if place.is_file())
    spec = importlib.util.spec_from_file_location("bulkdel_celeryconfig", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot read {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {key: value for key, value in vars(module).items() if not key.startswith("_")}


def make_app(environ: Mapping[str, str]) -> Celery:
    """The application by the environment. Without a broker it can be made, but not used."""
    try:
        broker = addresses(Settings.load(environ)).broker
    except BulkdelError:
        broker = "redis://127.0.0.1:1/0"  # nothing listens there: a ring is refused
    drop_unreadable()
    app = Celery("bulkdel", broker=without_tls(broker), include=["worker.tasks"])
    app.conf.update(celery_settings(), broker_use_ssl=amqp_tls(broker) or False)
    app.steps["consumer"].add(Hearing)
    return app


app = make_app(os.environ)


class CeleryBell:
    """The DoorBell port: one small message per ring, and no error if nobody can hear it."""

    def __init__(self, settings: Settings) -> None:
        self._is_on = settings.doorbells

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        """Ask for a slice of this account. Never raises: the sweep is the net below.

        A worker that hears no bells wakes itself, as messages and limits may be in one Redis.
        """
        if self._is_on and (is_deaf() or not send(RUN_SLICE, account, after)) and is_worker():
            runtime().begin_later(account, after)


def send(task: str, account: str, after: timedelta) -> bool:
    """Send one message; a broker that cannot be reached is a warning and False, not an error."""
    seconds = min(after, LONGEST_COUNTDOWN).total_seconds()
    try:
        app.send_task(task, args=[account], countdown=seconds or None, retry=False)
    except (KombuError, OSError) as error:
        log.warning("doorbell.lost", account=account, error=type(error).__name__)
        return False
    return True


class _SweepBell:
    """The sweep's own rings, heard even where doorbells are switched off or the broker is gone.

    Without a broker the process works the account itself: no call leaves without a permit, but
    what needs none goes on, and the jobs say what they wait for.
    """

    def ring(self, account: str, after: timedelta = timedelta(0)) -> None:
        if is_deaf() or not send(RUN_SLICE, account, after):
            runtime().begin_later(account, after)


@lru_cache(maxsize=1)
def runtime() -> Runtime:
    """The process' own runtime, made on first use."""
    settings = Settings.load(os.environ)
    return Runtime(Desk.open(os.environ, CeleryBell(settings), tell), sweep_bell=_SweepBell())


class Repeated(threading.Thread):
    """Does something every few seconds until it is told to stop; an error never ends it.

    Without a time it is done once.
    """

    def __init__(self, name: str, every: timedelta | None, what: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self._every = every
        self._what = what
        self._stop = threading.Event()

    def run(self) -> None:
        while True:
            try:
                self._what()
            except BulkdelError as error:
                log.warning("repeated.failed", name=self.name, what=error.what, fix=error.fix)
            except Exception:
                log.exception("repeated.broken", name=self.name)
            if self._every is None or self._stop.wait(self._every.total_seconds()):
                return

    def stop(self) -> None:
        self._stop.set()


_repeated: list[Repeated] = []


def _repeat(name: str, every: timedelta, what: Callable[[], object]) -> None:
    thread = Repeated(name, every, what)
    thread.start()
    _repeated.append(thread)


@signals.celeryd_init.connect
def _name(instance: Any, **_: object) -> None:  # noqa: ANN401  Celery's own class
    """Give workers of one machine names of their own: RabbitMQ lets one of a name in.

    It is the first that is heard of Celery, before it warns of anything: so logs begin here.
    """
    _logs()
    instance.hostname = f"worker-{os.getpid()}@{socket.gethostname()}"


@signals.setup_logging.connect
def _logs(**_: object) -> None:
    """Celery leaves logging alone where somebody hears this."""
    configure(Settings.load(os.environ).log_level)
    adopt_libraries()
    logging.captureWarnings(True)


@signals.worker_ready.connect
def _start(**_: object) -> None:
    settings = Settings.load(os.environ)
    spare_the_collector()
    log.info("worker.started", host=socket.gethostname(), pid=os.getpid(), version=VERSION)
    _repeat("heartbeat", HEARTBEAT, lambda: runtime().beat("worker"))
    if settings.sweep_seconds:
        every = timedelta(seconds=settings.sweep_seconds)
        _repeat("sweep", every, lambda: runtime().sweep(every))
        at_loss(lambda: _sweep_after_loss(every))


def _sweep_after_loss(every: timedelta) -> None:
    """Wake what the lost messages would have, and not at the next sweep."""
    if _repeated:  # else this process ends, and hangs up by itself
        Repeated("sweep after a loss", None, lambda: runtime().sweep_after_loss(every)).start()


@signals.beat_init.connect
def _start_beat(**_: object) -> None:
    log.info("beat.started", host=socket.gethostname(), pid=os.getpid(), version=VERSION)
    _repeat("heartbeat", HEARTBEAT, lambda: runtime().beat("beat"))


@signals.worker_shutting_down.connect
def _stop(**_: object) -> None:
    log.info("worker.stopping", host=socket.gethostname(), pid=os.getpid())
    for thread in _repeated:
        thread.stop()
    _repeated.clear()
    if runtime.cache_info().currsize:
        runtime().start_nothing()


@signals.worker_shutdown.connect
def _close(**_: object) -> None:
    if runtime.cache_info().currsize:
        runtime().close()
