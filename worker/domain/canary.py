"""The first small batch: whether it speaks against letting the rest go."""

from collections.abc import Mapping

from worker.domain.outcomes import Bucket, Outcome, by_bucket


def canary_size(projects: int, *, above: int, percent: float, least: int) -> int:
    """How many projects go first; 0 if the job is too small for a canary."""
    if projects <= above:
        return 0
    return min(max(int(projects * percent / 100), least), projects)


def canary_verdict(counts: Mapping[Outcome, int], *, stuck: str = "") -> str:
    """Why the job should wait for a person; empty if nothing speaks against going on.

    `stuck` names a project of the canary that ended dependency_failed, and over which child.

    What was skipped, or was absent all along, says nothing about how deleting goes.
    """
    sums = by_bucket(counts)
    bad = sums[Bucket.FAILED] + sums[Bucket.UNKNOWN]
    total = bad + sums[Bucket.SUCCEEDED] - counts.get(Outcome.ALREADY_ABSENT, 0)
    if bad and 2 * bad >= total:
        worst = max((o for o in counts if o.bucket in _BAD), key=lambda o: counts[o])
        return f"{bad} of the first {total} items failed (most of them {worst}){_said(stuck)}"
    standing = counts.get(Outcome.DEPENDENCY_FAILED, 0)
    if standing:
        return f"{standing} of the first {total} items ended dependency_failed{_said(stuck)}"
    return ""


def _said(stuck: str) -> str:
    return f": {stuck}" if stuck else ""


_BAD = frozenset({Bucket.FAILED, Bucket.UNKNOWN})
