"""The guards of a plan: what they are held against, and what they say."""

from dataclasses import dataclass

from worker.domain.calls import PROJECT
from worker.domain.guards import GuardNumbers, Measured, check, unreadable
from worker.domain.holds import NO_HOLDS, Holds
from worker.domain.plan import Finding
from worker.ports import Job, PlannedItems
from worker.services.tools import AccountFacts, Tools, off


@dataclass(frozen=True, slots=True, kw_only=True)
class AtPlan:
    """What the database says for the guards while a plan is made."""

    holds: Holds = NO_HOLDS
    used_today: int = 0


NOTHING_USED = AtPlan()


async def look(tools: Tools, job: Job, holds: Holds) -> AtPlan:
    """What the guards of this job are held against, as it stands now."""
    used = await off(tools.guards.used_today, job.account, but=job.id)
    return AtPlan(holds=holds, used_today=used)


def needs_count(job: Job, facts: AccountFacts) -> bool:  # noqa: ARG001  a policy's job asks too
    """Whether all projects of the account have to be counted for this job's guards."""
    return facts.max_percent is not None


def guard_findings(
    job: Job, items: PlannedItems, facts: AccountFacts, at_plan: AtPlan
) -> list[Finding]:
    """What the guards say of a plan; pure."""
    count = sum(items.by_kind.values())
    measured = Measured(
        items=count,
        projects=items.by_kind.get(PROJECT, 0) + job.plan.kept.get(PROJECT, 0),
        account_projects=job.account_projects,
        used_today=at_plan.used_today,
    )
    found = check(account_numbers(job, facts), measured)
    if at_plan.holds.unreadable and count:
        found.insert(0, unreadable(at_plan.holds.unreadable))
    return found


def account_numbers(job: Job, facts: AccountFacts) -> GuardNumbers:
    """What the account allows any plan; `--max-items` of the job wins over its own."""
    return GuardNumbers(
        max_items=job.options.max_items or facts.max_items,
        max_percent=facts.max_percent,
        max_items_per_day=facts.max_items_per_day,
    )
