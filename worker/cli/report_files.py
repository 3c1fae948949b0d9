"""A job's items as files: by how they ended, as CSV and JSON Lines, with a manifest of hashes."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from worker.cli.audit_formats import cell, csv_line
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Bucket
from worker.domain.states import FINAL
from worker.ports import Item, Job
from worker.services.views import iso, item_view

VERSION = 1
MANIFEST = "manifest.json"
OPEN = "open"
FIELDS = (
    "item_id",
    "job_id",
    "kind",
    "external_id",
    "parent_external_id",
    "name",
    "status",
    "created",
    "goes_with_parent",
    "state",
    "outcome",
    "reason",
    "http_status",
    "provider_code",
    "attempts",
    "due_at",
)
"""The columns, in their order: the fields of an item."""


def write_report(job: Job, items: Iterator[Item], folder: Path) -> dict[str, Any]:
    """Write every item into the file of its bucket, and the manifest last; returns it.

    A folder without a manifest is one that was not finished. Items of a job that goes on, and
    have no outcome yet, are in `open`. Raises InvalidInput if the folder cannot be written, or
    holds a report already.
    """
    buckets = [bucket.value for bucket in Bucket] + ([] if job.state in FINAL else [OPEN])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(f"{folder} is not empty", fix="give a folder that is new")
        with _opened(folder, buckets) as files:
            rows = Counter(_written(item, files) for item in items)
        manifest = _manifest(job, folder, {bucket: rows[bucket] for bucket in buckets})
        text = json.dumps(manifest, indent=2)
        (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InvalidInput(f"{folder} cannot be written: {why}", fix="give another --to") from None
    return manifest


Files = Mapping[str, tuple[IO[str], IO[str]]]


@contextmanager
def _opened(folder: Path, buckets: Sequence[str]) -> Iterator[Files]:
    with ExitStack() as closing:
        files = {}
        for bucket in buckets:
            table, lines = (
                closing.enter_context(
                    (folder / f"{bucket}.{kind}").open("x", encoding="utf-8", newline="")
                )
                for kind in ("csv", "jsonl")
            )
            table.write(csv_line(FIELDS))
            files[bucket] = (table, lines)
        yield files


def _written(item: Item, files: Files) -> str:
    """Write an item where it belongs; returns its bucket."""
    bucket = item.outcome.bucket.value if item.outcome else OPEN
    view = item_view(item)
    table, lines = files[bucket]
    table.write(csv_line([cell(view[name]) for name in FIELDS]))
    lines.write(json.dumps(view) + "\n")
    return bucket


def _manifest(job: Job, folder: Path, rows: Mapping[str, int]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "job": job.id,
        "account": job.account,
        "provider": job.provider,
        "action": job.action,
        "mode": "dry_run" if job.dry_run else "run",
        "state": job.state.value,
        "reason": job.reason,
        "plan_hash": job.plan.hash or None,
        "finished_at": iso(job.finished_at),
        "total": sum(rows.values()),
        "rows": dict(rows),
        "files": [
            _described(folder / f"{b}.{k}", rows[b]) for b in rows for k in ("csv", "jsonl")
        ],
    }


def _described(path: Path, rows: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": digest}
