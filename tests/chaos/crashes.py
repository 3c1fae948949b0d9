"""Faults of the worker processes: killed, asked to end, frozen, killed at a named point."""

import os
import signal
from threading import Event

from tests.acceptance.waiting import eventually
from tests.chaos.drill import LEASE
from tests.chaos.entry import Point
from tests.chaos.scene import Scene
from worker.processes import Child


def pause(seconds: float) -> None:
    """Let real time pass: what happens in it is the point."""
    Event().wait(seconds)


def kill_all(scene: Scene) -> None:
    """kill -9 of every worker group, new ones after 0 to 5 s."""
    scene.crashes += 1
    with scene.struck():
        scene.drill.kill_workers()
    pause(scene.rng.uniform(0, 5))
    scene.drill.start_workers(2)
    scene.healed()


def terminate(scene: Scene) -> None:
    """SIGTERM, then kill -9 after 0 to 10 s."""
    scene.crashes += 1
    with scene.struck():
        for child in scene.drill.workers:
            child.terminate()
    pause(scene.rng.uniform(0, 10))
    scene.drill.kill_workers()
    scene.drill.start_workers(2)
    scene.healed()


def roll(scene: Scene) -> None:
    """A rolling restart: one worker after the other is asked to end, and a new one comes."""
    scene.crashes += 2
    with scene.struck():
        pass
    for child in list(scene.drill.workers):
        child.terminate()
        if child.wait(scene.rng.uniform(0, 10)) is None:
            child.kill()
        scene.drill.start_workers(2)
    scene.healed()


def freeze(scene: Scene) -> None:
    """SIGSTOP of the worker that holds the lease for longer than it lasts, then SIGCONT."""
    scene.loosens, scene.crashes = True, scene.crashes + 1
    holder = _holder(scene)
    os.killpg(holder.pid, signal.SIGSTOP)
    scene.count()
    scene.healed()
    pause(LEASE + scene.rng.uniform(12, 16))
    os.killpg(holder.pid, signal.SIGCONT)


def one_worker(scene: Scene) -> None:
    """Before such a round: one process for both accounts, so that it rings for one of them."""
    for child in scene.drill.workers[1:]:
        child.terminate()
        child.wait(30)
    scene.drill.start_workers(1)


def die_at(point: Point, scene: Scene) -> None:
    """The worker kills itself at a named point, while a call of its is in flight."""
    scene.crashes += 1
    order = scene.drill.orders("die", point)
    what = f"a death {point}, or the end of the jobs"
    eventually(lambda: _one_that_died(scene) or scene.is_over(), within=60, what=what)
    order.unlink(missing_ok=True)
    dead = _one_that_died(scene)
    if dead is None:
        scene.told.note = "over before anybody died"  # a miss: nothing was counted
        scene.healed()
        return
    scene.count()
    scene.drill.workers.remove(dead)
    pause(scene.rng.uniform(0, 3))
    scene.drill.start_workers(2)
    scene.healed()


def _one_that_died(scene: Scene) -> Child | None:
    return next((child for child in scene.drill.workers if child.ended() is not None), None)


def _holder(scene: Scene) -> Child:
    """The worker that works one of the accounts just now."""

    def look() -> Child | None:
        asked = "SELECT lease_owner FROM accounts WHERE name IN (:one, :other)"
        names = {"one": scene.site.account, "other": scene.beside.account}
        pids = {str(owner).rpartition(":")[2] for (owner,) in scene.site.sql(asked, **names)}
        return next((one for one in scene.drill.workers if str(one.pid) in pids), None)

    return eventually(look, within=20, what="a holder of the lease")
