"""The sandbox's own record of everything that happened, in the order in which it happened."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from worker.sandbox.dialect import Effect, Route


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request; `at` is when its effect took place, `ended` is None while it is unanswered.

    `deleted_ids` is what this call really deleted; a bulk call's route has the `ids` it named.
    """

    seq: int
    at: float
    organization_id: str | None
    method: str
    path: str
    query: str
    route: Route
    effect: Effect
    fault: str | None
    started: float
    deleted_ids: tuple[str, ...] = ()
    status: int | None = None
    code: int | None = None
    answered: bool = False
    ended: float | None = None

    def line(self) -> str:
        """The entry as one line of JSON, newline included."""
        row = {
            "seq": self.seq,
            "at": self.at,
            "organization_id": self.organization_id,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "kind": self.route.kind,
            "id": self.route.id,
            "parent_id": self.route.parent_id,
            "ids": self.route.ids,
            "deleted_ids": self.deleted_ids,
            "effect": self.effect,
            "status": self.status,
            "code": self.code,
            "fault": self.fault,
            "answered": self.answered,
            "started": self.started,
            "ended": self.ended,
        }
        return json.dumps(row, separators=(",", ":")) + "\n"


class Ledger:
    """Entries in memory, the newest `keep` of them, and all of them in a file if there is one.

    The file gets an entry once it is ended, in batches; so its lines are in the order of the ends.
    """

    def __init__(self, path: Path | None = None, keep: int | None = None) -> None:
        self._entries: list[Entry] = []
        self._forgotten = 0
        self._keep = keep
        self._unwritten: list[Entry] = []
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None
        self._counts = {name: Counter[str]() for name in ("method", "effect", "status", "fault")}
        self._deleted: Counter[str] = Counter()
        self._unanswered = 0

    @property
    def next_seq(self) -> int:
        """The number of the entry that comes next; the first is 1."""
        return self._forgotten + len(self._entries) + 1

    def open(self, entry: Entry) -> None:
        """Record what has just been done; its end comes later."""
        self._entries.append(entry)
        self._counts["method"][entry.method] += 1
        self._counts["effect"][entry.effect] += 1
        if entry.fault is not None:
            self._counts["fault"][entry.fault] += 1
        if entry.effect is Effect.DELETED:
            self._deleted[entry.route.kind or ""] += len(entry.deleted_ids) or 1
        if self._keep is not None and len(self._entries) > self._keep + self._keep // 4 + 1:
            excess = len(self._entries) - self._keep
            del self._entries[:excess]
            self._forgotten += excess

    def end(self, entry: Entry, now: float, *, answered: bool) -> None:
        """Record how the request ended; only the first word on it counts."""
        if entry.ended is not None:
            return
        entry.ended = now
        entry.answered = answered
        self._unanswered += not answered
        self._counts["status"][str(entry.status) if answered else "none"] += 1
        if self._file is not None:
            self._unwritten.append(entry)

    def since(self, seq: int, limit: int) -> list[Entry]:
        """Up to `limit` entries after `seq`, the open ones included."""
        start = max(0, seq - self._forgotten)
        return self._entries[start : start + limit]

    def flush(self) -> None:
        """Write what has ended since the last time."""
        if self._file is None or not self._unwritten:
            return
        batch, self._unwritten = self._unwritten, []
        self._file.writelines(entry.line() for entry in batch)
        self._file.flush()

    def close(self, now: float) -> None:
        """End what is still open, unanswered, and close the file."""
        for entry in self._entries:
            self.end(entry, now, answered=False)
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def stats(self) -> dict[str, Any]:
        """Counts over the whole life of the ledger, forgotten entries included."""
        return {
            "calls": self.next_seq - 1,
            "forgotten": self._forgotten,
            "unanswered": self._unanswered,
            "deleted": dict(self._deleted),
            **{f"by_{name}": dict(counts) for name, counts in self._counts.items()},
        }
