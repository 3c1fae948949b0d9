"""Appending to the audit chains: the only code that writes audit entries.

The heads of all chains touched are locked in order of their names, so that two transactions
never wait for each other crosswise; the time is taken after that.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, insert, select, text, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from worker.domain.audit import (
    EXPORTED,
    GENESIS,
    Entry,
    canonical,
    canonical_at,
    clean,
    hash_of,
    values_of,
)
from worker.store.engine import WRITTEN, now
from worker.store.models import Base

_HEADS: Table = Base.metadata.tables["chain_heads"]
_ENTRIES: Table = Base.metadata.tables["audit_entries"]

_PG_MAKE_HEADS = text(
    "INSERT INTO chain_heads (chain, seq, hash) "
    "SELECT chain, 0, :genesis FROM unnest(CAST(:chains AS text[])) AS fresh (chain) "
    "ORDER BY chain ON CONFLICT DO NOTHING"
)
_PG_LOCK_HEADS = text(
    "SELECT chain, seq, hash FROM chain_heads WHERE chain = ANY(CAST(:chains AS text[])) "
    "ORDER BY chain FOR UPDATE"
)
_PG_TYPES = {"seq": "bigint", "item_id": "bigint", "duration_ms": "integer", "at": "timestamptz"}
_PG_TYPES |= {"attempt": "smallint", "http_status": "smallint"}
_PG_COLUMNS = ", ".join(EXPORTED)
_PG_RECORD = ", ".join(f"{name} {_PG_TYPES.get(name, 'text')}" for name in EXPORTED)
# One statement and one parameter for any number of rows: so the trigger looks once, and it takes
# half the time of arrays or of a statement a row.
_PG_INSERT = text(
    f"WITH fresh AS (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r ({_PG_RECORD})), "  # noqa: S608  our own column names
    "last AS (SELECT DISTINCT ON (chain) chain, seq, hash FROM fresh ORDER BY chain, seq DESC), "
    "moved AS (UPDATE chain_heads SET seq = last.seq, hash = last.hash FROM last"
    " WHERE chain_heads.chain = last.chain) "
    f"INSERT INTO audit_entries ({_PG_COLUMNS}) SELECT {_PG_COLUMNS} FROM fresh"
)

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_SQLITE_MAKE_HEADS = sqlite_insert(_HEADS).on_conflict_do_nothing()
_SQLITE_HEADS = select(_HEADS.c.chain, _HEADS.c.seq, _HEADS.c.hash).where(
    _HEADS.c.chain.in_(bindparam("chains", expanding=True))
)
_SQLITE_MOVE_HEADS = (
    update(_HEADS)
    .where(_HEADS.c.chain == bindparam("name"))
    .values(seq=bindparam("to_seq"), hash=bindparam("to_hash"))
)


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain; `seq` 0 if there is none yet."""

    seq: int
    hash: str


def lock_heads(connection: Connection, chains: Collection[str]) -> dict[str, Head]:
    """Lock the heads of these chains until the transaction ends, making those that are missing."""
    names = sorted({clean(chain) for chain in chains})
    if not names:
        return {}
    if connection.dialect.name == "postgresql":
        rows = _pg_locked(connection, names)
    else:
        fresh = [{"chain": name, "seq": 0, "hash": GENESIS} for name in names]
        connection.execute(_SQLITE_MAKE_HEADS, fresh)
        rows = connection.execute(_SQLITE_HEADS, {"chains": names}).all()
    return {chain: Head(seq, last) for chain, seq, last in rows}


def _pg_locked(connection: Connection, names: list[str]) -> Sequence[Row[Any, Any, Any]]:
    """One head is there nearly always; several are made first, to be locked in their order."""
    if len(names) == 1:
        rows = connection.execute(_PG_LOCK_HEADS, {"chains": names}).all()
        if rows:
            return rows
    connection.execute(_PG_MAKE_HEADS, {"chains": names, "genesis": GENESIS})
    return connection.execute(_PG_LOCK_HEADS, {"chains": names}).all()


def append(
    connection: Connection,
    entries: Sequence[Entry],
    *,
    at: datetime | None = None,
    heads: dict[str, Head] | None = None,
) -> datetime:
    """Append the entries to their chains, in the order given; returns the time they carry.

    `heads` is what `lock_heads` gave in this transaction (it saves locking again) and is kept up
    to date; `at` is taken from the database, after the locks, unless given.
    """
    if heads is None:
        heads = lock_heads(connection, {entry.chain for entry in entries})
    if at is None:
        at = now(connection)
    if not entries:
        return at
    rows = _chained(entries, heads, canonical_at(at))
    connection.info.get(WRITTEN, []).extend(entries)
    if connection.dialect.name == "postgresql":
        connection.execute(_PG_INSERT, {"rows": _compact(rows)})
        return at
    connection.execute(insert(_ENTRIES), [row | {"at": at} for row in rows])
    ends = {row["chain"]: {"to_seq": row["seq"], "to_hash": row["hash"]} for row in rows}
    connection.execute(_SQLITE_MOVE_HEADS, [{"name": name, **end} for name, end in ends.items()])
    return at


def _chained(entries: Sequence[Entry], heads: dict[str, Head], at: str) -> list[dict[str, Any]]:
    rows = []
    for entry in entries:
        chain = clean(entry.chain)
        head = heads[chain]
        values = values_of(entry, seq=head.seq + 1, at=at)
        own = hash_of(head.hash, canonical(values))
        heads[chain] = Head(head.seq + 1, own)
        rows.append(dict(zip(EXPORTED, (*values, head.hash, own), strict=True)))
    return rows
