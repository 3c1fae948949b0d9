"""Whether what the provider saw, what the items say and what the audit says are the same."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Target = tuple[str, str, str]

CALLS = frozenset({"call", "call.late", "attempt.lost"})
DELETES = frozenset({"delete", "chunk", "canary"})
GONE_WITHOUT_A_CALL = "deleted_with_parent"
SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a job from four sides."""

    ledger: Sequence[Row]  # of the sandbox: every request it saw for this account
    living: Mapping[str, Mapping[str, Sequence[str]]]  # what the sandbox still has
    items: Sequence[Row]
    audit: Sequence[Row]


def compare(seen: Evidence) -> list[str]:
    """What does not agree, in words; nothing if all of it does."""
    found = [
        *_each_ended_once(seen),
        *_deleted_means_one_effect(seen),
        *_nothing_beside_the_plan(seen),
        *_parents_last(seen),
        *_every_call_has_its_entry(seen),
        *_gone_is_gone(seen),
    ]
    return found[:SHOWN]


def target_of(row: Row) -> Target:
    """What a row of the ledger, of the items or of the audit is about."""
    parent = row.get("parent_id") or row.get("parent_external_id") or ""
    return (row["kind"] or "", row.get("id") or row.get("external_id") or "", parent)


def deletions(ledger: Iterable[Row]) -> list[Row]:
    """The calls that delete; a bulk call counts as one of each id it names."""
    return [one for row in ledger if row["method"] == "DELETE" for one in _singly(row)]


def _singly(row: Row) -> list[Row]:
    if not row["ids"]:
        return [row]
    gone = row["deleted_ids"]
    return [
        {**row, "id": one, "effect": "deleted" if one in gone else "none"} for one in row["ids"]
    ]


def effects(ledger: Iterable[Row]) -> "Counter[Target]":
    """How often each target really went."""
    rows = (one for row in ledger for one in _singly(row))
    return Counter(target_of(row) for row in rows if row["effect"] == "deleted")


def _each_ended_once(seen: Evidence) -> Iterable[str]:
    endings: dict[int, list[str]] = defaultdict(list)
    for entry in seen.audit:
        if entry["outcome"]:
            endings[entry["item_id"]].append(entry["outcome"])
    for item in seen.items:
        said = endings.pop(item["item_id"], [])
        if said != [item["outcome"]] or item["state"] != "settled":
            yield f"{target_of(item)} is {item['state']} {item['outcome']}, the audit says {said}"
    yield from (
        f"item {item} ended {said} and is no item of the job" for item, said in endings.items()
    )


def _deleted_means_one_effect(seen: Evidence) -> Iterable[str]:
    times = effects(seen.ledger)
    for item in seen.items:
        if item["outcome"] == "unknown":
            continue
        count, target = times[target_of(item)], target_of(item)
        if count != (item["outcome"] == "deleted"):
            yield f"{target} is {item['outcome']} and went {count} times"
        if item["outcome"] == GONE_WITHOUT_A_CALL and not times["project", target[2], ""]:
            yield f"{target} is {item['outcome']}, but its project did not go"


def _nothing_beside_the_plan(seen: Evidence) -> Iterable[str]:
    planned = {target_of(item) for item in seen.items}
    strangers = {target_of(row) for row in deletions(seen.ledger)} - planned
    yield from (f"{target} was asked to go and is in no plan" for target in sorted(strangers))


def _parents_last(seen: Evidence) -> Iterable[str]:
    went = {
        t: row["seq"]
        for row in seen.ledger
        if row["effect"] == "deleted"
        for t in [target_of(row)]
    }
    for row in deletions(seen.ledger):
        target = target_of(row)
        project = went.get(("project", target[2], ""))
        if target[2] and project is not None and row["seq"] > project:
            yield f"{target} was asked to go after its project went"


def _every_call_has_its_entry(seen: Evidence) -> Iterable[str]:
    made = Counter(target_of(row) for row in deletions(seen.ledger))
    written: Counter[Target] = Counter()
    sent: Counter[Target] = Counter()
    for entry in seen.audit:
        action = entry["detail"].get("action") or entry["detail"].get("step")
        if entry["event"] in CALLS and action in DELETES:
            for target in _targets_of(entry):
                written[target] += 1
                sent[target] += entry["event"] == "call" and _was_sent(entry)
    for target in made.keys() | sent.keys():
        if not sent[target] <= made[target] <= written[target]:
            yield (
                f"{target} was asked to go {made[target]} times; of the entries "
                f"{sent[target]} say so and {written[target]} may"
            )


def _targets_of(entry: Row) -> list[Target]:
    ids = entry["detail"].get("ids")
    return [("project", one, "") for one in ids] if ids else [target_of(entry)]


def _was_sent(entry: Row) -> bool:
    """Whether a call left: one for which there was no token to send did not."""
    return not (entry["verdict"] == "not_sent" or entry["error_class"] == "credentials")


def _gone_is_gone(seen: Evidence) -> Iterable[str]:
    living = {("project", project, "") for project in seen.living}
    for project, children in seen.living.items():
        for kinds, ids in children.items():
            living |= {(kinds.removesuffix("s"), one, project) for one in ids}
    for item in seen.items:
        is_gone = item["outcome"] in {"deleted", "already_absent", GONE_WITHOUT_A_CALL}
        if is_gone and target_of(item) in living:
            yield f"{target_of(item)} is {item['outcome']} and lives"
