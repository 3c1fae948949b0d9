"""The exit code that a job's state stands for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.ports import Counts, Job

AS_WANTED = 0
SOME_FAILED = 3
CREDENTIALS = 4
REFUSED = 5
SOME_UNKNOWN = 6
STOPPED_EARLY = 7
RAN_OUT = 8
NOT_REACHABLE = 9


def exit_code_of(job: "Job", counts: "Counts") -> int:
    """The exit code of a job as it stands; one that goes on well is as wanted.

    `unknown` wins over `failed`; a breaker is told by what it left unprocessed.
    """
    from worker.domain.outcomes import Outcome
    from worker.domain.states import JobState

    match job.state:
        case JobState.SUCCEEDED:
            return AS_WANTED
        case JobState.CANCELLED | JobState.PAUSED:
            return STOPPED_EARLY
        case JobState.EXPIRED | JobState.REJECTED:
            return REFUSED
        case JobState.PLAN_FAILED:
            return NOT_REACHABLE
        case JobState.PARTIALLY_SUCCEEDED | JobState.FAILED:
            if counts.by_outcome.get(Outcome.UNKNOWN):
                return SOME_UNKNOWN
            left_out = counts.by_outcome.get(Outcome.UNPROCESSED)
            return STOPPED_EARLY if left_out else SOME_FAILED
        case _:
            return CREDENTIALS if waits_on_credentials(job) else AS_WANTED


def waits_on_credentials(job: "Job") -> bool:
    """Whether nothing goes on before somebody mends the account's credentials."""
    from worker.domain.states import FINAL, Waiting

    waits = job.waiting_on
    return job.state not in FINAL and waits is not None and waits.code is Waiting.CREDENTIALS


def is_refused(job: "Job") -> bool:
    """Whether a guard forbids to confirm the plan as it is."""
    from worker.domain.plan import FindingLevel
    from worker.domain.states import JobState

    return job.state is JobState.AWAITING_CONFIRMATION and any(
        finding.level is FindingLevel.REFUSAL for finding in job.plan.findings
    )
