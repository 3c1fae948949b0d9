"""What one call came to (verdict) and how an item ended (outcome)."""

from collections.abc import Mapping
from enum import StrEnum

from worker.domain.states import JobState


class Verdict(StrEnum):
    """The one-word class of what a call came to."""

    SEEN = "seen"  # a read was answered
    DELETED = "deleted"  # the provider confirmed the deletion
    ACCEPTED = "accepted"  # a bulk deletion was answered as done: no proof for any single id
    ABSENT = "absent"  # the provider says that this very id does not exist
    REFUSED = "refused"  # a business rule of the provider said no
    INVALID = "invalid"  # the request itself was refused as malformed, or redirected
    THROTTLED = "throttled"  # too many calls; no attempt
    QUOTA_EXHAUSTED = "quota_exhausted"  # the day's quota is gone; no attempt
    UNAUTHORISED = "unauthorised"  # credentials or rights; parks the account, fails no item
    TOKENLESS = "tokenless"  # its access token had ended, or none is to be had now; no attempt
    UNAVAILABLE = "unavailable"  # a read went wrong, or an explicit "not now": try again
    AMBIGUOUS = "ambiguous"  # a deletion was sent and never clearly answered: look first
    NOT_SENT = "not_sent"  # nothing can have happened at the provider: free retry

    @property
    def is_attempt(self) -> bool:
        """Whether the call was sent and answered or lost."""
        return self not in NO_ATTEMPT


NO_ATTEMPT = frozenset(
    {
        Verdict.THROTTLED,
        Verdict.QUOTA_EXHAUSTED,
        Verdict.UNAUTHORISED,
        Verdict.TOKENLESS,
        Verdict.NOT_SENT,
    }
)


class Bucket(StrEnum):
    """The five columns every count has."""

    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNPROCESSED = "unprocessed"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How an item ended."""

    DELETED = "deleted"  # confirmed, or gone after an attempt of ours whose answer was lost
    ALREADY_ABSENT = "already_absent"  # it did not exist, and no attempt of ours came before
    DELETED_WITH_PARENT = "deleted_with_parent"  # it went with its project
    SKIPPED_PROTECTED = "skipped_protected"  # a protection spared it
    SKIPPED_HELD = "skipped_held"  # a hold spared it
    SKIPPED_CHANGED = "skipped_changed"  # it is not what the plan showed any more
    SKIPPED_DUPLICATE = "skipped_duplicate"  # another live job holds the same target
    FAILED_REFUSED = "failed_refused"  # the provider's business rule said no
    FAILED_INVALID = "failed_invalid"  # the request itself was refused as malformed
    FAILED_PRECHECK = "failed_precheck"  # a protection or state could not be read
    FAILED_EXHAUSTED = "failed_exhausted"  # transient errors used up the attempts
    DEPENDENCY_FAILED = "dependency_failed"  # what had to go first is still there
    UNPROCESSED = "unprocessed"  # never attempted
    UNKNOWN = "unknown"  # sent, and neither an answer nor five looks could tell

    @property
    def bucket(self) -> Bucket:
        """The column it counts in."""
        return BUCKETS[self]


BUCKETS: dict[Outcome, Bucket] = {
    Outcome.DELETED: Bucket.SUCCEEDED,
    Outcome.ALREADY_ABSENT: Bucket.SUCCEEDED,
    Outcome.DELETED_WITH_PARENT: Bucket.SUCCEEDED,
    Outcome.SKIPPED_PROTECTED: Bucket.SKIPPED,
    Outcome.SKIPPED_HELD: Bucket.SKIPPED,
    Outcome.SKIPPED_CHANGED: Bucket.SKIPPED,
    Outcome.SKIPPED_DUPLICATE: Bucket.SKIPPED,
    Outcome.FAILED_REFUSED: Bucket.FAILED,
    Outcome.FAILED_INVALID: Bucket.FAILED,
    Outcome.FAILED_PRECHECK: Bucket.FAILED,
    Outcome.FAILED_EXHAUSTED: Bucket.FAILED,
    Outcome.DEPENDENCY_FAILED: Bucket.FAILED,
    Outcome.UNPROCESSED: Bucket.UNPROCESSED,
    Outcome.UNKNOWN: Bucket.UNKNOWN,
}


def by_bucket(counts: Mapping[Outcome, int]) -> dict[Bucket, int]:
    """Sum counts by outcome into the five columns."""
    sums = dict.fromkeys(Bucket, 0)
    for outcome, count in counts.items():
        sums[outcome.bucket] += count
    return sums


def final_state(counts: Mapping[Outcome, int]) -> JobState:
    """How a job ends whose items all have their outcome (nobody having stopped it)."""
    sums = by_bucket(counts)
    short = sums[Bucket.FAILED] + sums[Bucket.UNPROCESSED] + sums[Bucket.UNKNOWN]
    if not short:
        return JobState.SUCCEEDED
    return JobState.PARTIALLY_SUCCEEDED if sums[Bucket.SUCCEEDED] else JobState.FAILED
