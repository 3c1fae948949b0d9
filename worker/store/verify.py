"""Recomputes the audit chains and compares them with the items: what was tampered with, and where.

All of it is read in one snapshot, entry by entry, so its size does not matter. What cannot be
seen here is a chain written anew from some entry to its head: a certificate shows that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, TextClause, text

from worker.domain.audit import EXPORTED, GENESIS, canonical, hash_of, job_chain
from worker.domain.errors import NotFound
from worker.store.engine import Database
from worker.store.verify_items import item_problems

_PG_AT = """to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_SQLITE_AT = "replace(at, ' ', 'T') || 'Z'"
_CHAIN, _SEQ = EXPORTED.index("chain"), EXPORTED.index("seq")
_PREV, _HASH = EXPORTED.index("prev_hash"), EXPORTED.index("hash")
_SHOWN = 100
_AT_ONCE = 2_000

_JOB = text("SELECT 1 FROM jobs WHERE id = :job")
_HEAD = text("SELECT seq, hash FROM chain_heads WHERE chain = :chain")
_EMPTIED = text(
    "SELECT chain FROM chain_heads WHERE seq > 0 "
    "AND (CAST(:chain AS text) IS NULL OR chain = :chain) AND NOT EXISTS "
    "(SELECT 1 FROM audit_entries WHERE audit_entries.chain = chain_heads.chain) "
    "ORDER BY chain LIMIT :shown"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadEntry:
    """The first entry of a chain that is not as it was written, or is not there."""

    chain: str
    seq: int
    why: str

    def __str__(self) -> str:
        return f"entry {self.seq} of {self.chain} {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What verifying came to. `problems` are sentences, the first hundred of them."""

    chains: int
    entries: int
    first_bad: BadEntry | None
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


@dataclass(slots=True)
class _Walk:
    """A chain being walked from its first entry on."""

    chain: str
    seq: int = 0
    hash: str = GENESIS
    before: str = ""  # hash of the entry before the last one
    entries: int = 0
    bad: BadEntry | None = None

    def step(self, row: Sequence[Any]) -> None:
        """Take the next entry; after the first bad one nothing can be said of the rest."""
        self.entries += 1
        if self.bad is not None:
            return
        seq, prev_hash = row[_SEQ], row[_PREV]
        if seq != self.seq + 1:
            self._is_bad(self.seq + 1, "is missing")
            return
        intact = _is_intact(row)
        if prev_hash != self.hash:
            self._wrong_link(row, intact=intact)
        elif not intact:
            self._is_bad(seq, "was changed after it was written")
        self.seq, self.before, self.hash = seq, self.hash, row[_HASH]

    def end(self, head: tuple[int, str] | None) -> None:
        """Compare the last entry with the head of the chain."""
        if self.bad is not None:
            return
        if head is None:
            self._is_bad(self.seq, "is the last one, but the head of its chain is missing")
        elif head[0] > self.seq:
            self._is_bad(self.seq + 1, "is missing: the chain was cut off before its head")
        elif head[0] < self.seq:
            self._is_bad(head[0] + 1, "was added past the head of its chain")
        elif head[1] != self.hash:
            self._is_bad(self.seq, "is not the one the head of its chain names")

    def _wrong_link(self, row: Sequence[Any], *, intact: bool) -> None:
        seq, prev_hash = row[_SEQ], row[_PREV]
        # An intact entry tells what its predecessor's hash was: so it is that one which is
        # false. A moved one that still follows the entry before says that one was put between.
        if self.seq and intact:
            self._is_bad(self.seq, "was changed after it was written, and its hash with it")
        elif self.seq and row[_HASH] == self.hash:
            self._is_bad(seq, "is a copy of the entry before it")
        elif self.seq and prev_hash == self.before:
            self._is_bad(self.seq, "was put in between later")
        else:
            self._is_bad(seq, "does not follow the entry before it")

    def _is_bad(self, seq: int, why: str) -> None:
        self.bad = BadEntry(chain=self.chain, seq=seq, why=why)


def verify(database: Database, job_id: str | None = None) -> Verification:
    """Verify one job's chain, or all chains, and that items and entries say the same.

    Raises NotFound if there is no such job.
    """
    with database.read() as connection:
        if job_id is not None and not _exists(connection, job_id):
            raise NotFound(f"there is no job {job_id}", fix="see: bulkdel jobs")
        chain = None if job_id is None else job_chain(job_id)
        chains = entries = 0
        bad: list[BadEntry] = []
        for walk in _walked(connection, chain):
            chains += 1
            entries += walk.entries
            bad.extend([walk.bad] if walk.bad and len(bad) < _SHOWN else [])
        bad.extend(_emptied(connection, chain))
        problems = [*map(str, bad), *item_problems(connection, job_id, limit=_SHOWN)]
    return Verification(
        chains=chains,
        entries=entries,
        first_bad=min(bad, key=lambda one: one.chain, default=None),
        problems=tuple(problems[:_SHOWN]),
    )


def _walked(connection: Connection, chain: str | None) -> Iterator[_Walk]:
    # A server-side cursor; on SQLite rows are fetched as they are walked anyway.
    with connection.execute(
        _rows_of(connection, chain), {"chain": chain}, execution_options={"yield_per": _AT_ONCE}
    ) as found:
        for name, rows in groupby(found, key=itemgetter(_CHAIN)):
            walk = _Walk(name)
            for row in rows:
                walk.step(row)
            head = connection.execute(_HEAD, {"chain": name}).one_or_none()
            walk.end(None if head is None else (head.seq, head.hash))
            yield walk


def _rows_of(connection: Connection, chain: str | None) -> TextClause:
    at = _SQLITE_AT if connection.dialect.name == "sqlite" else _PG_AT
    columns = ", ".join(at if name == "at" else name for name in EXPORTED)
    where = "" if chain is None else "WHERE chain = :chain"
    return text(f"SELECT {columns} FROM audit_entries {where} ORDER BY chain, seq")  # noqa: S608  our own names


def _emptied(connection: Connection, chain: str | None) -> list[BadEntry]:
    rows = connection.execute(_EMPTIED, {"chain": chain, "shown": _SHOWN})
    return [BadEntry(chain=name, seq=1, why="is missing, with all after it") for (name,) in rows]


def _exists(connection: Connection, job_id: str) -> bool:
    return connection.execute(_JOB, {"job": job_id}).first() is not None


def _is_intact(row: Sequence[Any]) -> bool:
    try:
        return bool(hash_of(row[_PREV], canonical(row[:_PREV])) == row[_HASH])
    except (TypeError, ValueError):  # no entry of ours has such a value
        return False
