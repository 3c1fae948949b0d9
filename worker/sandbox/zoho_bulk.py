"""How a bulk delete of Zoho Books ends: whole, in part, or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.sandbox.dialect import Answer, Effect, Outcome
from worker.sandbox.rules import BulkMode, BulkRules, Refused
from worker.sandbox.state import Kind, Organization
from worker.sandbox.zoho_bodies import envelope

DELETED = "The projects have been deleted."
FAILED_IDS = 4083

# In these the ids that were refused are said, each mode in its own shape.
SAYS_WHICH = frozenset({BulkMode.NAMED_PARTIAL, BulkMode.SKIPPED_INFO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The ids of one call, parted by what may become of them."""

    living: tuple[str, ...]
    refused: tuple[str, ...]
    absent: tuple[str, ...]


def split(organization: Organization, ids: Sequence[str]) -> Chunk:
    """Which of these are there, which are refused, which are not there."""
    there = [id_ for id_ in dict.fromkeys(ids) if id_ in organization.projects]
    refused = [id_ for id_ in there if (Kind.PROJECT, id_) in organization.refused]
    return Chunk(
        living=tuple(id_ for id_ in there if id_ not in refused),
        refused=tuple(refused),
        absent=tuple(id_ for id_ in ids if id_ not in organization.projects),
    )


def chosen(mode: BulkMode, chunk: Chunk, ids: Sequence[str]) -> tuple[str, ...]:
    """The ids a call that succeeds deletes."""
    if mode is BulkMode.IGNORE:
        return ()
    if mode is BulkMode.FIRST_ONLY:
        return tuple(id_ for id_ in ids[:1] if id_ in chunk.living)
    if mode is BulkMode.OK:
        return (*chunk.living, *chunk.refused)
    return chunk.living


def taken_besides(organization: Organization, ids: Sequence[str]) -> tuple[str, ...]:
    """What a call deletes that it does not name, at a provider that cannot be trusted."""
    others = [id_ for id_ in sorted(organization.projects, key=int) if id_ not in ids]
    if organization.bulk.mode is BulkMode.EVERYTHING:
        return tuple(others)
    if organization.bulk.mode is BulkMode.ONE_MORE:
        return tuple(id_ for id_ in others if int(id_) > max(map(int, ids)))[:1]
    return ()


def delete(
    organization: Organization,
    ids: Sequence[str],
    chunk: Chunk,
    usual: tuple[int, int, str],
    now: float,
) -> Outcome:
    """Delete what the mode lets go, and say so as the mode does; `usual` is the usual refusal."""
    rules = organization.bulk
    gone = (*chosen(rules.mode, chunk, ids), *taken_besides(organization, ids))
    for id_ in gone:
        organization.delete(Kind.PROJECT, id_, None, now)
    left = [
        (id_, refusal(organization.refused[Kind.PROJECT, id_], usual)) for id_ in chunk.refused
    ]
    body = envelope(0, DELETED, **_said_of(rules, left))
    return Outcome(
        effect=Effect.DELETED if gone else Effect.NONE,
        answer=Answer(status=200, code=0, body=body),
        deleted_ids=gone,
    )


def refusal(refused: Refused, usual: tuple[int, int, str]) -> tuple[int, int, str]:
    """Status, code and words of a refusal, the usual ones where none were given."""
    status, code, text = usual
    return (
        refused.status or status,
        code if refused.code is None else refused.code,
        text if refused.text is None else refused.text,
    )


def _said_of(
    rules: BulkRules, left: Sequence[tuple[str, tuple[int, int, str]]]
) -> Mapping[str, Any]:
    ids_by_words: dict[tuple[int, str], list[str]] = {}
    for id_, (_, code, text) in left:
        ids_by_words.setdefault((code, text), []).append(id_)
    if not left or rules.mode not in SAYS_WHICH:
        return {}
    if rules.mode is BulkMode.SKIPPED_INFO:
        rows = [
            {"projectId": ids, "code": code, "message": text}
            for (code, text), ids in ids_by_words.items()
        ]
        return {"skippedInfo": rows}
    named = [{"message": text, "ids": ids} for (_, text), ids in ids_by_words.items()]
    return {"info": {rules.info_key: named, "code": FAILED_IDS}}
