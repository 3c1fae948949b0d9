"""Loaded into a worker by the bench (`--include`): counts SQL statements, samples its stacks.

Written at the worker's end to BENCH_TALLY and BENCH_PROFILE; a stack is a line of frames with
the number of samples in which a thread was at work in it.
"""

import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from celery import signals
from sqlalchemy import Engine, event

EVERY = 0.004
IDLE = frozenset({"wait", "select", "poll", "accept", "get", "_worker", "drain_events", "run"})
DEEP = 40

statements: Counter[str] = Counter()
stacks: Counter[str] = Counter()
_over = threading.Event()


@event.listens_for(Engine, "before_cursor_execute")
def _count(*args: Any) -> None:  # noqa: ANN401  SQLAlchemy's own parameters
    statements[" ".join(str(args[2]).split())[:80]] += 1


@event.listens_for(Engine, "commit")
def _count_commit(_: Any) -> None:  # noqa: ANN401  SQLAlchemy's own parameter
    statements["COMMIT"] += 1


def _sample() -> None:
    mine = threading.get_ident()
    while not _over.wait(EVERY):
        for ident, frame in sys._current_frames().items():  # noqa: SLF001  there is no other way
            if ident != mine and frame.f_code.co_name not in IDLE:
                stacks[_stack(frame)] += 1


def _stack(frame: FrameType | None) -> str:
    names: list[str] = []
    while frame is not None and len(names) < DEEP:
        code = frame.f_code
        names.append(f"{Path(code.co_filename).stem}:{code.co_name}")
        frame = frame.f_back
    return ";".join(reversed(names))


@signals.worker_ready.connect
def _begin(**_: object) -> None:
    if "BENCH_PROFILE" in os.environ:
        threading.Thread(target=_sample, name="sampler", daemon=True).start()


@signals.worker_shutdown.connect
def _end(**_: object) -> None:
    _over.set()
    if path := os.environ.get("BENCH_TALLY"):
        Path(path).write_text(json.dumps(statements.most_common()), encoding="utf-8")
    if path := os.environ.get("BENCH_PROFILE"):
        lines = [f"{stack} {count}" for stack, count in stacks.most_common()]
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
