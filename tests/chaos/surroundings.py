"""Faults of what the workers rest on: broker, database, messages, beat, clocks."""

import json
import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
from redis.exceptions import RedisError

from tests.acceptance.waiting import eventually
from tests.chaos.crashes import pause
from tests.chaos.drill import NAME
from tests.chaos.scene import Scene
from tests.chaos.servers import OwnPostgres
from worker.processes import spawn
from worker.programs import beat_argv

QUEUE = "celery"
OUTAGE = 20.0
HOUR = 3600


def cut_connections(scene: Scene) -> None:
    """Every connection to Redis is cut."""
    with scene.struck(), scene.drill.redis.client() as redis:
        redis.client_kill_filter(_type="normal", skipme=True)


def kill_redis(scene: Scene, *, keeps: bool) -> None:
    """kill -9 of Redis, back after 0 to 5 s; without persistence it comes back empty."""
    redis = scene.drill.redis
    with scene.struck():
        redis.kill()
    pause(scene.rng.uniform(0, 5))
    redis.keeps = keeps
    if not keeps:
        for kept in redis.home.rglob("appendonly.aof*"):  # its list of files as well
            kept.unlink()
    redis.start()
    scene.healed()


def flush_redis(scene: Scene) -> None:
    """FLUSHALL: messages and the books of the limits are gone."""
    with scene.struck(), scene.drill.redis.client() as redis:
        redis.flushall()


def restart_rabbit(scene: Scene) -> None:
    """RabbitMQ is stopped and started; the workers are not."""
    rabbit = scene.drill.rabbit
    assert rabbit is not None
    with scene.struck():
        rabbit.kill(scene.rng.choice([signal.SIGTERM, signal.SIGKILL]))
    rabbit.start()
    scene.healed()


def kill_backend(scene: Scene) -> None:
    """A backend ends: by PostgreSQL's word, or by kill -9, after which all start anew."""
    postgres = scene.drill.postgres
    all_start_anew = scene.rng.random() < 0.5
    with scene.struck():
        victims = set(postgres.backends(NAME))
        victim = scene.rng.choice(sorted(victims))
        if all_start_anew:
            scene.crashes += 1  # what was in hand may be taken for lost
            os.kill(victim, signal.SIGKILL)
        else:
            victims = {victim}
            with postgres.connect() as connection:
                connection.execute("SELECT pg_terminate_backend(%s)", (victim,))
    what = "the database without the backends that were killed"
    eventually(lambda: _is_rid_of(postgres, victims), within=60, what=what)


def _is_rid_of(postgres: OwnPostgres, victims: set[int]) -> bool:
    """Whether the server answers again: while it recovers, it takes nobody."""
    try:
        return victims.isdisjoint(postgres.backends(NAME))
    except psycopg.OperationalError:
        return False


def stop_postgres(scene: Scene, *, outage: float) -> None:
    """`stop -m immediate`, and a start after the outage."""
    scene.crashes += 1  # what was in hand may be taken for lost
    with scene.struck():
        scene.drill.postgres.stop_at_once()
    pause(outage)
    scene.drill.postgres.start()
    scene.healed()


def disturb_messages(scene: Scene) -> None:
    """Doubled, dropped, reordered, delayed; and what nobody can read, knows or expects."""
    with scene.struck():
        pass
    with scene.drill.redis.client() as redis:
        for _ in range(12):
            with suppress(RedisError):
                waiting = redis.lrange(QUEUE, 0, -1)
                trick = scene.rng.choice(("double", "drop", "reverse", "rubbish", "stranger"))
                if trick == "drop":
                    redis.delete(QUEUE)
                elif trick == "reverse":
                    redis.delete(QUEUE)
                    redis.lpush(QUEUE, *(waiting or [_message(scene)]))
                elif trick == "double":
                    redis.lpush(QUEUE, *[_message(scene)] * 5)
                elif trick == "rubbish":
                    redis.lpush(QUEUE, scene.rng.choice(RUBBISH))
                else:
                    redis.lpush(QUEUE, _message(scene, **scene.rng.choice(STRANGE)))
            pause(scene.rng.uniform(0.1, 0.6))
    alive = [child for child in scene.drill.workers if child.ended() is None]
    if len(alive) != 2:
        scene.told.violations.append("a message ended a worker")
        scene.drill.start_workers(2)
    scene.healed()


RUBBISH = ("\x00\xff", "{", "[]", "7", "null", '"text"', "{}", '{"body": 1, "headers": {}}')
STRANGE: tuple[dict[str, object], ...] = (
    {"task": "bulkdel.nobody_knows"},
    {"args": []},
    {"args": ["a", "b", "c"]},
    {"args": [{"account": 1}]},
    {"args": ["no-such-account"]},
    {"task": "bulkdel.plan_job", "args": ["no-such-job"]},
    {"content_type": "application/x-python-serialize"},
    {"headers": {"version": 99}},
)


def _message(scene: Scene, **change: object) -> str:
    """A ring as Celery writes it into Redis; `change` makes something else of it."""
    import base64  # noqa: PLC0415

    args = change.get("args", [scene.site.account])
    task = change.get("task", "bulkdel.run_slice")
    body = base64.b64encode(json.dumps([args, {}, {}]).encode()).decode()
    own = f"drill-{scene.rng.getrandbits(64):x}"
    headers = {"lang": "py", "task": task, "id": own, "root_id": own, "retries": 0}
    extra = change.get("headers", {})
    properties = {
        "correlation_id": own,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": own,
    }
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": change.get("content_type", "application/json"),
        "headers": {**headers, **(extra if isinstance(extra, dict) else {})},
        "properties": properties,
    }
    return json.dumps(message)


def no_beat(scene: Scene) -> None:
    """Nothing strikes but the absence of beat: doorbells are lost too, the sweep must do."""
    with scene.struck(), scene.drill.redis.client() as redis:
        redis.delete(QUEUE)


def two_beats(scene: Scene) -> None:
    """Two beats at once, neither knowing of the other."""
    beats = []
    with scene.struck():
        for _ in range(2):
            log = scene.drill.home / "beats.log"
            command = ["env", "-C", str(scene.drill.home), *beat_argv()]
            beats.append(spawn(command, extra_env=scene.drill.stack.env, log=log))
    pause(6)
    ended = [beat for beat in beats if beat.ended() is not None]
    if ended:
        scene.told.violations.append("a beat ended by itself")
    for beat in beats:
        beat.kill()
    scene.healed()


def worker_under_clock(scene: Scene) -> None:
    """Before such a round: one worker alone, with a clock that can be moved."""
    scene.drill.kill_workers()
    scene.drill.wait_for(scene.drill.start_worker(extra=scene.drill.clock()))


def worker_clock(scene: Scene) -> None:
    """The clock of the worker jumps by an hour; another joins it a little later."""
    with scene.struck():
        scene.drill.orders("clock", str(scene.rng.choice([HOUR, -HOUR])))
    pause(2)
    scene.drill.start_workers(2)


def database_clock(scene: Scene) -> None:
    """The clock of PostgreSQL jumps by an hour while a job runs."""
    scene.loosens, scene.crashes = True, scene.crashes + 1
    with scene.struck():
        scene.drill.orders("clock", str(scene.rng.choice([HOUR, -HOUR])))


def database_under_clock(scene: Scene) -> None:
    """Before such a round: PostgreSQL is started with a clock that can be moved."""
    postgres = scene.drill.postgres
    if postgres.clock:
        scene.drill.orders("clock", "0")
        return
    postgres.clock = scene.drill.clock()
    postgres.kill(signal.SIGINT)
    postgres.start()
    with suppress(psycopg.Error), postgres.connect(NAME) as connection:
        connection.execute("SELECT 1")


OUTAGES = {
    "PostgreSQL: stop -m immediate and start": partial(stop_postgres, outage=0.5),
    "PostgreSQL: 20 s outage": partial(stop_postgres, outage=OUTAGE),
}


def home_of(scene: Scene) -> Path:
    """Where the logs of this drill are."""
    return scene.drill.home
