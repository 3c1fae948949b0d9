"""Whether what a provider really did and what the audit log says are the same, item by item."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from worker.domain.calls import PROJECT, Target
from worker.domain.outcomes import Outcome
from worker.ports import Counts

SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A deletion that the provider was asked for, and whether something really went."""

    seq: int
    target: Target
    took_effect: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the audit log says that an item ended."""

    target: Target
    outcome: Outcome


def compare(ledger: Sequence[Deletion], items: Sequence[Ending]) -> list[str]:
    """What does not agree, in sentences (the first twenty); none if all is as it should be.

    An item is `deleted` if and only if the provider deleted it exactly once, nothing else was
    asked to be deleted, and no project went before its children.
    """
    effects = Counter(line.target for line in ledger if line.took_effect)
    endings = Counter(item.target for item in items)
    problems = [
        f"{_named(target)} ended {times} times in the audit log"
        for target, times in endings.items()
        if times > 1
    ]
    problems += _disagreements(effects, items)
    strange = {line.target for line in ledger} - endings.keys()
    problems += [
        f"{_named(target)} was asked to be deleted, but is no item of the job"
        for target in sorted(strange, key=_named)
    ]
    return [*problems, *_too_early(ledger)][:SHOWN]


def _disagreements(effects: Mapping[Target, int], items: Iterable[Ending]) -> list[str]:
    found = []
    for item in items:
        times = effects.get(item.target, 0)
        should = int(item.outcome is Outcome.DELETED)
        if times != should:
            found.append(
                f"{_named(item.target)} is {item.outcome} in the audit log, "
                f"but the provider deleted it {times} times"
            )
    return found


def _too_early(ledger: Iterable[Deletion]) -> list[str]:
    """Children that went, or were asked to go, after their project had gone."""
    gone_at = {
        line.target.external_id: line.seq
        for line in ledger
        if line.took_effect and line.target.kind == PROJECT
    }
    return [
        f"{_named(line.target)} was asked to be deleted after its project had gone"
        for line in ledger
        if line.target.kind != PROJECT
        and line.seq > gone_at.get(line.target.parent_external_id, line.seq)
    ]


def _named(target: Target) -> str:
    of = f" of project {target.parent_external_id}" if target.parent_external_id else ""
    return f"{target.kind} {target.external_id}{of}"


def adds_up(counts: Counts, ended: int) -> list[str]:
    """What does not add up of a job's counts, in sentences; `ended` is of the audit log."""
    settled = sum(counts.by_outcome.values())
    problems = []
    if counts.open or settled + counts.open != counts.total:
        problems.append(
            f"{settled} items have their outcome and {counts.open} are open, of {counts.total}"
        )
    if settled != ended:
        problems.append(f"{settled} items have their outcome, but {ended} in the audit log")
    return problems
