"""Loaded into a worker by the bench (`--include`): counts SQL statements.

Written to BENCH_TALLY at the worker's end.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from celery import signals
from sqlalchemy import Engine, event

statements: Counter[str] = Counter()


@event.listens_for(Engine, "before_cursor_execute")
def _count(*args: Any) -> None:  # noqa: ANN401  SQLAlchemy's own parameters
    statements[" ".join(str(args[2]).split())[:80]] += 1


@event.listens_for(Engine, "commit")
def _count_commit(_: Any) -> None:  # noqa: ANN401  SQLAlchemy's own parameter
    statements["COMMIT"] += 1


@signals.worker_shutdown.connect
def _end(**_: object) -> None:
    if path := os.environ.get("BENCH_TALLY"):
        Path(path).write_text(json.dumps(statements.most_common()), encoding="utf-8")
