"""Loaded into a worker by a test (`--include`): how long each task ran, one line of JSON each."""

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import signals

FILE = "BULKDEL_TEST_TASKS"

_began: dict[str, float] = {}


@signals.task_prerun.connect
def _begin(task_id: str, **_: Any) -> None:  # noqa: ANN401  # whatever Celery sends
    _began[task_id] = time.time()


@signals.task_postrun.connect
def _end(task_id: str, task: Any, **_: Any) -> None:  # noqa: ANN401  # whatever Celery sends
    began, ended = _began.pop(task_id), time.time()
    line = {"task": task.name, "pid": os.getpid(), "began": began, "ended": ended}
    with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
