"""The guards of a plan: what they are held against, and what they say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from worker.domain.calls import PROJECT
from worker.domain.guards import GuardNumbers, Measured, check, unreadable
from worker.domain.holds import NO_HOLDS, Holds
from worker.domain.plan import Finding, FindingLevel
from worker.ports import Job, PlannedItems
from worker.services.tools import AccountFacts, Tools, off


@dataclass(frozen=True, slots=True, kw_only=True)
class AtPlan:
    """What the database says for the guards while a plan is made."""

    holds: Holds = NO_HOLDS
    used_today: int = 0
    last_runs: Sequence[int] = ()  # items of the policy's runs, the newest first


NOTHING_USED = AtPlan()


async def look(tools: Tools, job: Job, holds: Holds) -> AtPlan:
    """What the guards of this job are held against, as it stands now."""
    used = await off(tools.guards.used_today, job.account, but=job.id)
    runs: Sequence[int] = ()
    if job.policy is not None and job.options.guard_max_times_median is not None:
        runs = await off(tools.guards.last_runs, job.policy, but=job.id)
    return AtPlan(holds=holds, used_today=used, last_runs=runs)


def needs_count(job: Job, facts: AccountFacts) -> bool:
    """Whether all projects of the account have to be counted for this job's guards."""
    return facts.max_percent is not None or job.options.guard_max_percent is not None


def guard_findings(
    job: Job, items: PlannedItems, facts: AccountFacts, at_plan: AtPlan
) -> list[Finding]:
    """What the guards say of a plan; pure. A listing that repeats itself counts nothing."""
    count = sum(items.by_kind.values())
    counted = None if job.bulk.trail.repeats else job.account_projects
    measured = Measured(
        items=count,
        projects=items.by_kind.get(PROJECT, 0) + job.plan.kept.get(PROJECT, 0),
        account_projects=counted,
        used_today=at_plan.used_today,
        last_runs=at_plan.last_runs,
    )
    found = check(account_numbers(job, facts), measured)
    found += [
        replace(finding, text=f"policy {job.policy}: {finding.text.partition(': submit with')[0]}")
        for finding in check(policy_numbers(job), measured, level=FindingLevel.ASK)
    ]
    if at_plan.holds.unreadable and count:
        found.insert(0, unreadable(at_plan.holds.unreadable))
    return found


def policy_numbers(job: Job) -> GuardNumbers:
    """What the policy allows its own runs: above it, a person decides."""
    return GuardNumbers(
        max_items=job.options.guard_max_items,
        max_percent=job.options.guard_max_percent,
        max_times_median=job.options.guard_max_times_median,
    )


def account_numbers(job: Job, facts: AccountFacts) -> GuardNumbers:
    """What the account allows any plan; `--max-items` of the job wins over its own."""
    return GuardNumbers(
        max_items=job.options.max_items or facts.max_items,
        max_percent=facts.max_percent,
        max_items_per_day=facts.max_items_per_day,
    )
